"""The steps that tell what a restored database lacks: rows that are elsewhere, and what was written to the old one since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.clients.database_answers import DatabaseAnswers
from lifeboat.decisions import missing_rows, recoveries
from lifeboat.decisions.missing_rows import Elsewhere
from lifeboat.dumps import recovery_choice
from lifeboat.errors import Failed, IntegrityFailure, Unreachable
from lifeboat.model import Gap, Recovery
from lifeboat.runbooks import next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn


def _answers(c: Recovering, recovery: Recovery) -> DatabaseAnswers:
    return c.site.database_answers(recovery)


# -- rows that are elsewhere -------------------------------------------------------------------------------------------


def rows_are_compared(c: Recovering) -> Gap | None:
    """Is it written down whether tables hold rows elsewhere, and none in the restored database?"""
    if missing_rows.is_compared(c.journal.events):
        return None
    return Gap(text=f"nobody has compared the tables of {next_generation.named(c)} with those that there were")


def compare_rows(c: Recovering, turn: Turn) -> None:
    """Look for tables that hold rows in the old database, or in the newest dump before the moment, and none in this one.

    A copy from after a TRUNCATE or a DROP looks like any other. Where there are such tables, or where a probe was answered
    wrongly, somebody has to agree.
    """
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    restored = _answers(c, next_generation.stack_with(c, found)).tables()
    known: list[Elsewhere] = []
    unseen: list[str] = []
    for where, ask in ((str(c.fact("old_identifier")), _of_old), ("the dumps", _of_dump)):
        try:
            answer = ask(c)
        except (Unreachable, IntegrityFailure) as error:
            unseen.append(f"{where}: {error.summary}")
        else:
            known += answer.found
            unseen += answer.unseen
    lines = missing_rows.missing(restored, known)
    taken = sorted(map(str, missing_rows.taken_for_partitions(restored, known)))
    if taken:
        c.remarks.append(f"taken for partitions that are gone, by their names, and not missed: {', '.join(taken)}")
    against = [*lines, *(c.fact("probe_findings") or ())]
    if c.isolation is not None and not known:
        # A recovery has to serve with what it has; a drill that compared nothing has found nothing out.
        against.append("nobody could compare it with anything: " + ("; ".join(unseen) or "there is nothing else"))
    if against:
        c.agree([f"let {found.identifier} serve, although {line}" for line in against])
    for line in unseen:
        c.tell.warn(f"not compared with {line}")
    compared = " and ".join(one.where for one in known) or "nothing"
    turn.note(
        f"compared with {compared}: "
        + ("; ".join(lines) or ("no table lacks its rows" if known else "nobody knows whether tables lack their rows"))
        + "".join(f"; not compared with {line}" for line in unseen),
        compared_with=[one.where for one in known],
        not_compared=unseen,
        taken_for_partitions=taken,
        missing=lines,
    )


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What there is elsewhere, and in words what could not be looked at."""

    found: Sequence[Elsewhere] = ()
    unseen: Sequence[str] = ()


def _of_old(c: Recovering) -> _Answer:
    """Return what the old database holds; nothing where it is gone, or serves no more: this one would be compared with itself."""
    old = c.recovery
    if old.database.identifier != c.fact("old_identifier"):
        return _Answer()
    if c.site.database_restores(c.recovery.region).instance(old.database.identifier) is None:
        return _Answer()  # nobody will ever see what was in it, which is no look that failed
    return _Answer(found=[missing_rows.of_tables(old.database.identifier, _answers(c, old).tables())])


def _of_dump(c: Recovering) -> _Answer:
    """Return what the newest whole dump from before the moment holds that can be read; nothing where there is none.

    Not the one that was restored: compared with itself, whatever it lacks is not missing.
    """
    as_of, restored = datetime.fromisoformat(c.fact("as_of")), c.fact("copy") or ""
    newest = recovery_choice.newest_manifest(c.site, c.recovery, before=as_of, but=restored)
    manifest = newest.manifest
    return _Answer(
        found=[] if manifest is None else [missing_rows.of_manifest(manifest)],
        unseen=newest.unread,
    )


# -- what is left behind -----------------------------------------------------------------------------------------------


def end_is_told(c: Recovering) -> Gap | None:
    """Is it written down until when the old database was written to?"""
    if c.fact("before_asked_for") == c.fact("identifier") is not None:
        return None
    return Gap(text="nobody has asked until when the old database was written to")


def tell_end(c: Recovering, turn: Turn) -> None:
    """Ask it, now that nobody should write to it any more: until then rows were written that stay behind."""
    old, new = str(c.fact("old_identifier")), c.fact("identifier")
    at, known_by = _written_until(c, old)
    data = c.fact("data_until")
    facts = {}
    if at is not None and data is not None:
        ends = max(at, datetime.fromisoformat(c.fact("failed_at")))
        facts["rpo_seconds"] = max(ends - datetime.fromisoformat(data), timedelta(0)).total_seconds()
    until = "an unknown moment" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"
    turn.note(
        f"{old} was written to until {until} ({known_by})",
        before_asked_for=new,
        before_until=None if at is None else at.isoformat(),
        before_known_by=known_by,
        **facts,
    )


def _written_until(c: Recovering, old: str) -> tuple[datetime | None, str]:
    asked = old_one(c, old)
    if isinstance(asked, str):
        return None, asked
    # Later commits are RDS's own; a beat of the heartbeat is the application's host's in any case.
    started = recoveries.started_anew(c.journal.events, database=c.fact("identifier"), instance=c.app.instance_id)
    try:
        return asked.written_until(before=started or c.now())
    except (Unreachable, IntegrityFailure) as error:
        return None, error.summary


GONE = "it is gone"


def old_one(c: Recovering, old: str) -> DatabaseAnswers | str:
    """Return who asks the old database; in words why nobody can."""
    found = c.site.database_restores(c.recovery.region).instance(old)
    if found is None:
        return GONE
    if found.address is None or found.password_secret_arn is None:
        return "RDS tells no address of it" if found.address is None else "its password is in no secret"
    return _answers(c, next_generation.stack_with(c, found))


COMPARED: Step[Recovering] = Step(
    name="comparison",
    title="Look for tables that have lost their rows, and judge the probes' answers",
    check=rows_are_compared,
    do=compare_rows,
    limit=timedelta(hours=1),
)
LEFT_BEHIND: Step[Recovering] = Step(
    name="left-behind",
    title="Ask until when the old database was written to",
    check=end_is_told,
    do=tell_end,
    may_stay_open=(Unreachable,),
)
