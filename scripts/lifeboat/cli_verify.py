"""The verb `lifeboat verify`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lifeboat import views, views_restores
from lifeboat.cli_options import Env, Out, Output, Within, duration, site_of
from lifeboat.cli_restore import Database, dump_id
from lifeboat.commands import verify as verify_command
from lifeboat.commands.verify import Which
from lifeboat.decisions import samples
from lifeboat.decisions.samples import Share
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth
from lifeboat.errors import DONE


def add_to(app: typer.Typer) -> None:
    """Make this verb a command of the program."""
    app.command()(verify)


def _share(text: str | None) -> Share | None:
    if text is None:
        return None
    found = samples.parsed(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no share of all copies; write 1/7 for a seventh of them")
    return found


def verify(
    dump: Annotated[
        str | None, typer.Argument(help="A dump's id, or latest, which is meant where nothing is named.")
    ] = None,
    *,
    level: Annotated[int, typer.Option("--level", help="How deep to look: 1 to 4.", min=1, max=4)] = 2,
    every: Annotated[
        bool, typer.Option("--all", help="Each complete dump, of every database unless one is named.")
    ] = False,
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample",
            metavar="N/T",
            help="This week's share of all dumps, and the newest: with 1/7, all within seven weeks.",
        ),
    ] = None,
    env: Env = "local",
    output: Out = Output.TABLE,
    database: Database = None,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Look at the copies in the other region; proofs there count for these only."),
    ] = None,
    within: Within = "2h",
) -> int:
    """Prove that dumps can be restored, and put the proof beside each: 11 where one failed.

    Level 1 compares the listing with the manifest. Level 2 reads every byte: digests, archives, rows of each table. Level 3
    restores on a scratch server that can reach nothing, compares tables and definitions, and checks indexes. Level 4 also asks
    the environment's own [\\[dumps.probes]].

    Example: lifeboat verify latest --level 3 -e production
    """
    if sum([dump is not None, every, sample is not None]) > 1:
        raise typer.BadParameter("name one dump, or --all, or --sample")
    which = Which(
        wanted=dump_id("latest" if dump is None else dump),
        every=every,
        share=_share(sample),
        database=database,
        now=datetime.now(UTC),
        region=region,
    )
    here, tell = site_of(env), views.Teller()
    depth = verify_command.depth(here, Depth(level=level, within=duration(within)))
    with tell.waiting() as show:
        tellers = Tellers(
            say=tell.say,
            tell=lambda n, total, seconds: show(views_restores.passing(n, total, seconds)),
            warn=tell.warn,
        )
        found = verify_command.run(here, tellers, which, depth)
    if output is Output.JSON:
        views.document(views_restores.verified_document(found))
    else:
        views_restores.verified(found, which.now)
    verify_command.require_sound(found, verify_command.elsewhere(here, which, found))
    return DONE
