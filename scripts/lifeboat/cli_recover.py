"""The verbs of a recovery: recover, resume, abort, runs, logs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeboat import views, views_recovery
from lifeboat.cli_options import (
    AcceptFlagged,
    AcceptRisk,
    Env,
    Out,
    Output,
    Yes,
    asking,
    copy_id,
    duration,
    image_id,
    matching,
    moment,
    moment_or_latest,
    site_of,
)
from lifeboat.clients.journal import Journal
from lifeboat.commands import recover as recover_command
from lifeboat.database_model import LATEST_DUMP
from lifeboat.decisions.policy import risks
from lifeboat.errors import (
    DONE,
    OBJECTIVE_MISSED,
    IntegrityFailure,
    Refused,
    StoppedPartWay,
    WrongConfiguration,
)
from lifeboat.model import DatabaseReport, ImageId, RecoveryPreview, RecoveryReport, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import tables
from lifeboat.runner import Watcher
from lifeboat.site import Site

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}[0-9A-Za-z.-]{1,60}")

Image = Annotated[str, typer.Option("--ami", metavar="IMAGE", help="latest, or an image id: ami-…")]
FailedAt = Annotated[
    str | None,
    typer.Option("--failed-at", metavar="TIME", help="When it failed, RFC 3339 with a zone: 2026-03-01T03:12:00Z."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="ADDRESS", help="Let the plan touch this too, e.g. 'module.database.*'. Repeatable."
    ),
]
Foreign = Annotated[
    bool, typer.Option("--accept-foreign-image", help="Launch the image named by --ami although it is not tagged ours.")
]
MaxAge = Annotated[
    str | None, typer.Option("--max-age", metavar="TIME", help="Refuse images whose content is older: 24h, 30d.")
]
WithoutGitLab = Annotated[
    bool,
    typer.Option(
        "--without-gitlab", help="Deploy over SSM, and leave GitLab's variables for a resume without this option."
    ),
]
What = Annotated[Scope, typer.Option("--scope", help="What to bring back; full is both, restored side by side.")]
To = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="TIME", help="Bring the database back as it was then: latest, or RFC 3339 with a zone."
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="COPY", help="From this copy, as lifeboat plan-recovery names it, or latest-dump."),
]
Run = Annotated[str, typer.Argument(help="A run, as lifeboat runs shows it; the only open one where it is left out.")]


def add_to(app: typer.Typer) -> None:
    """Make these verbs commands of the program."""
    for verb in (recover, resume, abort, runs, logs):
        app.command()(verb)


def recover(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    scope: What = Scope.INSTANCE,
    to: To = None,
    copy: From = None,
    accept_flagged: AcceptFlagged = False,
    ami: Image = "latest",
    failed_at: FailedAt = None,
    allow: Allow = None,
    accept_foreign_image: Foreign = False,
    max_age: MaxAge = None,
    without_gitlab: WithoutGitLab = False,
    accept_risk: AcceptRisk = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what each step would find missing; change nothing.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Bring the application back on a new instance from a recovery image, until it answers through its public name.

    Chooses the image, launches from it through Terraform, points GitLab at the instance, deploys, waits for the answer,
    and proves that a plan changes nothing. Timed from the declared failure. Cut off at any point, it is resumed.

    With --scope database the database comes back as its next generation, and the application is led to it; the old one
    stays. lifeboat plan-recovery shows from which copy. From a dump it comes into an instance that is made empty for it,
    and is compared with the dump's manifest to the row. Where tables lack rows that they have elsewhere, or a probe of
    [\\[dumps.probes]] is answered wrongly, it asks, and ends with 11 also where that was agreed to.

    Example: lifeboat recover --scope database --to 2026-03-01T03:11:00Z -e production
    """
    here = site_of(env)
    _require_fitting(scope, to, copy, ami)
    if accept_flagged:
        _require_named(copy)
    request = RecoveryRequest(
        scope=scope,
        to=moment_or_latest(to),
        copy=None if copy is None else copy_id(copy),
        image=image_id(ami),
        failed_at=None if failed_at is None else moment(failed_at, "--failed-at"),
        allowed=tuple(allow or ()),
        accepted=frozenset({_named(ami)}) if accept_foreign_image else frozenset(),
        max_age=None if max_age is None else duration(max_age),
        without_gitlab=without_gitlab,
        accept_flagged=accept_flagged,
        risks=risks.parsed(accept_risk or ()),
    )
    if preview:
        found = recover_command.preview(here, views.Teller(), request)
        if output is Output.JSON:
            views.document(views_recovery.preview_document(found))
        else:
            views_recovery.preview(found)
            if found.plan is not None:
                views_recovery.planned(found.plan, found.refused)
        return _status_of(found)
    return shown(recover_command.run(here, _orders(here, yes=yes), request), output)


def resume(
    run: Run = "",
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    allow: Allow = None,
    without_gitlab: WithoutGitLab = False,
    accept_risk: AcceptRisk = None,
    yes: Yes = False,
) -> int:
    """Go on with a recovery that was interrupted, killed, or left steps open; from any checkout, on any machine.

    Example: lifeboat resume 20260301T031500Z-recover-1f9a3c -e production
    """
    here = site_of(env)
    more = RecoveryRequest(
        allowed=tuple(allow or ()), without_gitlab=without_gitlab, risks=risks.parsed(accept_risk or ())
    )
    return shown(recover_command.resume(here, _orders(here, yes=yes), _run(run), more), output)


def abort(
    run: Run = "",
    *,
    env: Env = "local",
    unreadable: Annotated[
        bool, typer.Option("--unreadable", help="Set aside a run whose journal cannot be read; undo nothing.")
    ] = False,
) -> int:
    """Give a recovery up. Nothing is undone but the choice of an image that nothing was launched from yet.

    Example: lifeboat abort 20260301T031500Z-recover-1f9a3c -e production
    """
    which = _run(run)
    if not unreadable:
        views.lines(recover_command.abort(site_of(env), views.Teller(), which))
        return DONE
    if which is None:
        raise WrongConfiguration("--unreadable goes with a run that is named", hint="lifeboat runs lists them")
    views.lines(recover_command.set_aside(site_of(env), views.Teller(), which))
    return DONE


def runs(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    newest: Annotated[int, typer.Option("--newest", "-n", help="How many.", min=1)] = 20,
) -> int:
    """List the runs of the environment, newest first, wherever they began: ended, or open and where.

    Example: lifeboat runs -n 5 -e production
    """
    rows = recover_command.runs(site_of(env), newest)
    if output is Output.JSON:
        views.document(views_recovery.runs_document(rows))
    elif rows:
        views_recovery.runs(rows)
    else:
        views.lines([f"there are no runs of {env}"])
    return DONE


def logs(
    run: Annotated[str, typer.Argument(help="A run, as lifeboat runs shows it.")],
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
) -> int:
    """Print the journal of a run: what was found, decided, done and what came of it, line by line.

    Example: lifeboat logs 20260301T031500Z-recover-1f9a3c -e production
    """
    events = recover_command.logs(site_of(env), RunId(matching(run, _RUN_ID, "a run; lifeboat runs lists them")))
    if output is Output.JSON:
        views.document(views_recovery.journal_document(events))
    else:
        views_recovery.journal(events)
    return DONE


def _orders(site: Site, *, yes: bool) -> recover_command.Orders:
    def watch(journal: Journal, objective: timedelta) -> Watcher:
        def failed_at() -> datetime | None:
            noted = [event.data["failed_at"] for event in journal.events if "failed_at" in event.data]
            return datetime.fromisoformat(noted[-1]) if noted else None

        return views_recovery.Steps(objective=objective, failed_at=failed_at, now=lambda: datetime.now(UTC))

    return recover_command.Orders(tell=views.Teller(), watch=watch, agree=asking(yes=yes))


def _status_of(found: RecoveryPreview) -> int:
    """Return the status that the recovery would end with as far as a preview can tell: that of the first obstacle."""
    problems = [step.problem.exit_status for step in found.steps if step.problem is not None and step.stops]
    return problems[0] if problems else (Refused.exit_status if found.refused or found.forbidden else DONE)


def shown(done: RecoveryReport, output: Output) -> int:
    """Print what came of a recovery and return its status; raises where steps are open, or something is wrong with the data."""
    if output is Output.JSON:
        views.document(views_recovery.report_document(done))
    else:
        views_recovery.report(done, tables.titles(done.scope))
    if done.left_open:
        raise StoppedPartWay(
            f"the application is back, but {len(done.left_open)} steps are open: "
            + ", ".join(step.title for step in done.left_open),
            hint=f"lifeboat resume {done.run}",
        )
    if done.database is not None:
        _require_sound(done.database)
    return DONE if done.met else OBJECTIVE_MISSED


def _require_sound(found: DatabaseReport) -> None:
    """Raise IntegrityFailure where something is wrong with what serves: who agreed to it, or --yes, has not made it good."""
    if found.unsound:
        raise IntegrityFailure(
            f"the application is back, but not all of {found.identifier} is as it was:\n"
            + "\n".join(f"  {line}" for line in found.unsound),
            hint=f"{found.before} stays as it was until it is retired; lifeboat plan-recovery lists the other copies",
        )


def _run(text: str) -> RunId | None:
    return None if not text else RunId(matching(text, _RUN_ID, "a run; lifeboat runs lists them"))


def _named(ami: str) -> ImageId:
    found = image_id(ami)
    if found is None:
        raise WrongConfiguration(
            "--accept-foreign-image goes with an image that is named",
            hint="lifeboat recover --ami IMAGE --accept-foreign-image",
        )
    return found


def _require_named(copy: str | None) -> None:
    """Raise WrongConfiguration where doubts are accepted of whatever copy is chosen."""
    if copy in (None, LATEST_DUMP):
        raise WrongConfiguration(
            "--accept-flagged goes with a copy that is named by its id",
            hint="lifeboat recover --scope database --from COPY --accept-flagged; lifeboat plan-recovery lists them",
        )


def _require_fitting(scope: Scope, to: str | None, copy: str | None, ami: str) -> None:
    """Raise WrongConfiguration where an option is of something that this recovery does not bring back."""
    if scope is Scope.INSTANCE and (to is not None or copy is not None):
        raise WrongConfiguration(
            f"{'--to' if to is not None else '--from'} is of the database, and --scope instance leaves that alone",
            hint="lifeboat recover --scope database, or --scope full",
        )
    if scope is Scope.DATABASE and ami != "latest":
        raise WrongConfiguration(
            "--ami is of the instance, and --scope database leaves that alone", hint="lifeboat recover --scope full"
        )
