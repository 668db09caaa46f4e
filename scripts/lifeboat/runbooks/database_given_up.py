"""What becomes of a restored database when its recovery is given up."""

from __future__ import annotations

from lifeboat.decisions import generations
from lifeboat.model import EventKind
from lifeboat.runbooks import database_restore, next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Turn
from lifeboat.stack import database_copies, recovery_file


def given_up(c: Recovering, turn: Turn) -> list[str]:
    """Take away what no apply has carried out: the restored instance, its name in the file; return in words what remains."""
    new, name = c.fact("generation"), c.fact("identifier")
    if new is None:
        return []
    if new in database_copies.recorded(c.site):
        return [
            f"{name} is adopted by Terraform and stays: lifeboat plan -e {c.site.project.env} shows how things stand"
        ]
    told = []
    found = next_generation.instance(c)
    if found is not None and next_generation.is_of_this_run(c, found):
        database_restore.take_away(c, turn, found)
        told.append(f"{name}, which this recovery restored and Terraform does not know, is being deleted")
    wrote = [e for e in c.journal.events if e.kind is EventKind.INTENT and e.step == "database-file"]
    path, text = c.site.project.recovery_file, recovery_file.text(c.site)
    if wrote and generations.active_in(text) == new:
        before = wrote[0].data.get("before")
        with turn.effect(f"take {new} out of environments/{path.name}"):
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
        told.append(f"environments/{path.name} no longer names {new}")
    return told
