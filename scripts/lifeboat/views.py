"""All printing: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from lifeboat.decisions import hints, plans
from lifeboat.decisions.durations import said
from lifeboat.decisions.protection import span
from lifeboat.errors import EXIT_STATUSES, LifeboatError
from lifeboat.gitlab_model import Job, SyncPlan
from lifeboat.model import (
    Action,
    AssetRow,
    Choice,
    Health,
    Image,
    ImageRow,
    Judged,
    NameRecord,
    Plan,
    Prerequisite,
    Pruning,
    PublicAnswer,
    Recovery,
    Tag,
)

_PLAIN_EVERY_SECONDS = 10.0
_WIDTH_WITHOUT_TERMINAL = 140
_spoken_for: ContextVar[str | None] = ContextVar("spoken_for", default=None)
_before_aws: ContextVar[str] = ContextVar("before_aws", default="")


def console(*, stderr: bool) -> Console:
    """Return where to print: as wide as the terminal, or wide enough for a table where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    # With emoji, "secret:rds!db" of an ARN would come out as a Japanese sign.
    return Console(stderr=stderr, width=width, highlight=False, emoji=False, soft_wrap=not stream.isatty())


class Teller:
    """Progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._bar: Bar | None = None
        self._task: Any = None
        self._last_plain = 0.0
        self._all_done = False

    def say(self, text: str) -> None:
        """Tell one thing that happened."""
        self._console.print(escape(text))

    def warn(self, text: str) -> None:
        """Tell one thing to look at."""
        self._console.print(f"[yellow]{escape(text)}[/yellow]")

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Give a function that shows what is waited for: a line that changes on a terminal, one now and then elsewhere."""
        if self._console.is_terminal:
            with self._console.status(Text("")) as status:
                yield lambda text: status.update(Text(text))
            return
        last = time.monotonic()

        def plain(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _PLAIN_EVERY_SECONDS:
                last = time.monotonic()
                self._console.print(escape(f"  {text}"))

        yield plain

    def resources(self, done: int, total: int, slowest: str) -> None:
        """Show how many resources are done and which one takes longest."""
        if self._console.is_terminal:
            if self._bar is None:
                self._bar = Bar(
                    TextColumn("applying", markup=False),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeElapsedColumn(),
                    TextColumn("{task.description}", markup=False),
                    console=self._console,
                    transient=True,
                )
                self._bar.start()
                self._task = self._bar.add_task("", total=total)
            self._bar.update(self._task, completed=done, total=total, description=slowest)
            return
        now, said_already = time.monotonic(), self._all_done
        self._all_done = done == total
        if self._all_done and said_already:
            return
        if now - self._last_plain >= _PLAIN_EVERY_SECONDS or self._all_done:
            self._last_plain = now
            self._console.print(
                escape(f"  {done} of {total} resources done" + (f"; slowest: {slowest}" if slowest else ""))
            )

    def resources_end(self) -> None:
        """Take the bar away."""
        self._all_done = False
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def plan(name: str, found: Plan) -> None:
    """Print every change of a plan, its counts, and each delete and replacement with its reason."""
    marks = {
        Action.CREATE: "+",
        Action.UPDATE: "~",
        Action.DELETE: "-",
        Action.REPLACE: "-/+",
        Action.IMPORT: "<-",
        Action.FORGET: "x",
        Action.MOVE: "->",
    }
    out = console(stderr=False)
    for change in found.changes:
        out.print(escape(f"  {marks[change.action]:>3} {change.address}"))
    out.print(f"[bold]{escape(name)}[/bold]: {plans.headline(found)}")
    for line in plans.lost_by_name(found):
        out.print(f"  [red]{escape(line)}[/red]")


def plan_document(found: Plan) -> dict[str, Any]:
    """Return a plan for JSON."""
    return {
        "empty": found.empty,
        "summary": plans.headline(found),
        "changes": [{"address": c.address, "action": c.action.value, "reason": c.reason} for c in found.changes],
    }


def protection(rows: Sequence[AssetRow], recovery: Recovery) -> None:
    """Print the protection table."""
    table = Table(
        title=f"Protection of {recovery.application} ({recovery.environment}), "
        f"objective: lose at most {recovery.objectives.rpo_hours:g} h, be back within {recovery.objectives.rto_hours:g} h",
        title_justify="left",
    )
    for heading in ("asset", "protected by", "every", "kept", "regions", "RPO"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        rpo = "unknown" if row.rpo is None else span(row.rpo)
        shown = f"[green]{rpo}[/green]" if row.meets else f"[red]{rpo}[/red]"
        if not row.ways:
            table.add_row(row.asset, f"[red]{escape(row.note)}[/red]", "-", "-", "-", shown)
        for number, way in enumerate(row.ways):
            first = number == 0
            table.add_row(
                row.asset if first else "",
                escape(way.mechanism) + (f" [red]({escape(row.note)})[/red]" if first and row.note else ""),
                way.every,
                way.kept,
                ", ".join(way.regions),
                shown if first else "",
            )
        table.add_section()
    console(stderr=False).print(table)


def protection_document(rows: Sequence[AssetRow]) -> list[dict[str, Any]]:
    """Return the protection table for JSON; RPO in hours, null where unknown."""
    return [
        {
            "asset": row.asset,
            "ways": [asdict(way) for way in row.ways],
            "rpo_hours": None if row.rpo is None else row.rpo.total_seconds() / 3600,
            "meets_objective": row.meets,
            "note": row.note,
        }
        for row in rows
    ]


def application(recovery: Recovery, answers: str | None, public: PublicAnswer | None) -> None:
    """Print where the application is and what it answered, by its address and through its public name."""
    out = console(stderr=False)
    out.print(f"application: {escape(recovery.app.url)}" + ("" if answers is None else f"  ({escape(answers)})"))
    if public is not None:
        out.print(f"public name: {escape(public.name)}  ({escape(_met(public))})")
    out.print(f"database:    {recovery.database.identifier} at {recovery.database.address}:{recovery.database.port}")


def images(rows: Sequence[ImageRow], now: datetime) -> None:
    """Print the machine images, newest first, each with its copies below it: where from, where, and whether usable."""
    table = Table()
    for heading in ("image", "region", "age", "source", "name", "runs", "proven to boot", "usable"):
        # An id that is broken over two lines cannot be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("image", "region", "age"))

    def add(image: Image, source: str, why_not: str | None) -> None:
        usable = "[green]yes[/green]" if why_not is None else f"[red]no: {escape(why_not)}[/red]"
        runs = escape(image.tags.get(Tag.IMAGE_TAG, "unknown"))
        age = said(now - image.taken_at)
        table.add_row(image.id, image.region, age, source, escape(image.name), runs, _proven(image, now), usable)

    for row in rows:
        add(row.image, row.source, row.why_not)
        for copy in row.copies:
            add(copy.what, "its copy", copy.why or None)
        table.add_section()
    console(stderr=False).print(table)


def _proven(image: Image, now: datetime) -> str:
    return "never" if image.proven_at is None else f"{said(now - image.proven_at)} ago"


def images_document(rows: Sequence[ImageRow]) -> list[dict[str, Any]]:
    """Return the machine images for JSON; `why_not` is null for one that can be used."""
    return [
        {
            **image_document(row.image),
            "source": row.source,
            "age_seconds": round(row.age.total_seconds()),
            "why_not": row.why_not,
            "copies": [{**image_document(judged.what), "why_not": judged.why or None} for judged in row.copies],
        }
        for row in rows
    ]


def image_document(image: Image) -> dict[str, Any]:
    """Return one machine image for JSON; times are RFC 3339."""
    return {
        "id": image.id,
        "region": image.region,
        "name": image.name,
        "state": image.state,
        "taken_at": image.taken_at.isoformat(),
        "proven_at": None if image.proven_at is None else image.proven_at.isoformat(),
        "deprecated_at": None if image.deprecated_at is None else image.deprecated_at.isoformat(),
        "architecture": image.architecture,
        "copied_from": image.copied_from,
        "snapshots": list(image.snapshot_ids),
        "tags": dict(image.tags),
    }


def choice_document(choice: Choice[Image]) -> dict[str, Any]:
    """Return a chosen image for JSON, with the reasons for it and against each other one."""
    return {
        "chosen": None if choice.chosen is None else image_document(choice.chosen),
        "why": choice.why,
        "remarks": list(choice.remarks),
        "rejected": [_judged_image(judged) for judged in choice.rejected],
    }


def _judged_image(judged: Judged[Image]) -> dict[str, str]:
    return {"id": judged.what.id, "region": judged.what.region, "name": judged.what.name, "why": judged.why}


def pruning(found: Pruning) -> None:
    """Print which images and snapshots go and which stay, each with the reason."""
    table = Table()
    for heading in ("", "what", "region", "name", "why"):
        table.add_column(heading, overflow="fold")
    for judged in found.removed:
        table.add_row(
            "[red]goes[/red]", judged.what.id, judged.what.region, escape(judged.what.name), escape(judged.why)
        )
    for doomed in found.snapshots:
        table.add_row("[red]goes[/red]", doomed.what.id, doomed.what.region, "", escape(doomed.why))
    for judged in found.kept:
        table.add_row("stays", judged.what.id, judged.what.region, escape(judged.what.name), escape(judged.why))
    console(stderr=False).print(table)


def pruning_document(found: Pruning) -> dict[str, Any]:
    """Return for JSON which images and snapshots go and which stay."""
    return {
        "removed": [_judged_image(judged) for judged in found.removed],
        "kept": [_judged_image(judged) for judged in found.kept],
        "snapshots": [{"id": j.what.id, "region": j.what.region, "why": j.why} for j in found.snapshots],
    }


def health_document(health: Health) -> dict[str, Any]:
    """Return for JSON what the application's health page answered."""
    return asdict(health)


def _met(public: PublicAnswer) -> str:
    if public.resolved is None:
        return public.problem
    healths = ", ".join(health_words(health) for health in public.healths)
    return f"TTL {public.resolved.ttl.total_seconds():.0f} s, {healths}"


def health_words(health: Health) -> str:
    """Return who answered at an address, and how."""
    if health.status is None:
        return f"{health.address}: {health.says}"
    by = f" from {health.instance_id}" if health.instance_id else ""
    image = f", {health.image}" if health.image else ""
    return f"{health.address}: HTTP {health.status}{by}{image}"


def public_document(public: PublicAnswer | None) -> dict[str, Any] | None:
    """Return what a client of the public name meets, for JSON."""
    if public is None:
        return None
    found = public.resolved
    return {
        "name": public.name,
        "addresses": [] if found is None else list(found.addresses),
        "ttl_seconds": None if found is None else found.ttl.total_seconds(),
        "said_by": None if found is None else found.server,
        "healths": [asdict(health) for health in public.healths],
        "problem": public.problem,
    }


def record_document(record: NameRecord | None) -> dict[str, Any] | None:
    """Return a record set for JSON."""
    if record is None:
        return None
    return {
        "zone": record.zone,
        "name": record.name,
        "type": record.kind,
        "ttl_seconds": record.ttl.total_seconds(),
        "values": list(record.values),
        "special": record.special,
    }


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print what is known of one thing, a line for each fact."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    console(stderr=False).print(table)


def findings(found: Iterable[str]) -> None:
    """Print what is wrong, each on a line of its own."""
    out = console(stderr=False)
    for finding in found:
        out.print(f"[yellow]! {escape(finding)}[/yellow]")


def timings(stages: Iterable[tuple[str, float]]) -> None:
    """Print where the time went, on stderr."""
    taken = list(stages)
    parts = [f"{name} {seconds:.0f} s" for name, seconds in taken if seconds >= 0.5]
    whole = f"{sum(seconds for _, seconds in taken):.1f} s"
    console(stderr=True).print("time: " + escape(", ".join(parts) or whole))


def prerequisites(rows: Sequence[Prerequisite]) -> None:
    """Print what doctor found and the command that mends what is missing."""
    table = Table()
    for heading in ("", "prerequisite", "found", "wanted", "to fix it"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        mark = "[green]ok[/green]" if row.good else "[red]bad[/red]"
        table.add_row(
            mark, row.name, escape(row.found), escape(row.wanted), "" if row.good else escape(next_command(row.fix))
        )
    console(stderr=False).print(table)


def prerequisites_document(rows: Sequence[Prerequisite]) -> list[dict[str, Any]]:
    """Return what doctor found for JSON; `fix` is empty where nothing needs to be mended."""
    return [{**asdict(row), "fix": "" if row.good else next_command(row.fix)} for row in rows]


def sync_document(plan: SyncPlan) -> dict[str, Any]:
    """Return a plan of GitLab's variables for JSON, without any value."""
    return {
        "writes": len(plan.writes),
        "differs": plan.differs,
        "changes": [
            {
                "key": change.name.key,
                "scope": change.name.scope,
                "action": change.doing.value,
                "attributes": list(change.attributes),
                "pointer": change.pointer,
                "notes": list(change.notes),
            }
            for change in plan.changes
        ],
        "warnings": list(plan.warnings),
    }


def job_document(job: Job) -> dict[str, Any]:
    """Return a job that has ended for JSON; durations in seconds."""
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "pipeline": job.pipeline.id,
        "ref": job.pipeline.ref,
        "sha": job.pipeline.sha,
        "queued_seconds": None if job.queued is None else job.queued.total_seconds(),
        "seconds": None if job.ran is None else job.ran.total_seconds(),
        "url": job.web_url,
    }


def job_line(job: Job) -> str:
    """Return a job that has ended in one line."""
    waited = "" if job.queued is None else f", after {job.queued.total_seconds():.0f} s of waiting"
    ran = "" if job.ran is None else f" in {job.ran.total_seconds():.0f} s"
    return f"{job.name} (job {job.id}, pipeline {job.pipeline.id}): {job.status}{ran}{waited}; {job.web_url}"


def lines(texts: Iterable[str]) -> None:
    """Print plain lines, as they are."""
    for text in texts:
        sys.stdout.write(text + "\n")


def clean(text: str) -> str:
    """Return a text that anybody may have written with what a terminal would obey, or break a line at, made visible."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with their columns below each other: of tens of thousands too, in a second."""
    rows = [[clean(cell) for cell in row] for row in rows]
    width = max(len(row) for row in rows)
    columns = [max(len(row[number]) for row in rows if len(row) > number) for number in range(width)]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, columns, strict=False)).rstrip() for row in rows]


def document(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document, piece by piece: the whole text of a long one would take as much memory once more."""
    sys.stdout.writelines(json.JSONEncoder(indent=2, default=str).iterencode(content))
    sys.stdout.write("\n")


def error(problem: LifeboatError) -> None:
    """Print what happened and the next command, on stderr."""
    out = console(stderr=True)
    out.print(f"[red]error:[/red] {escape(problem.summary)}")
    if problem.hint:
        out.print(f"  next: {escape(next_command(problem.hint))}")


def speak_for(env: str | None, *, before_aws: str = "") -> None:
    """Let what is printed to type next be for this environment; None for the one that needs no name.

    `before_aws` is what a shell needs before a command of the AWS CLI, where it is not AWS that is to be reached.
    """
    _spoken_for.set(env)
    _before_aws.set(before_aws)


def next_command(text: str) -> str:
    """Return what is to be typed next, for the environment that is spoken for."""
    return hints.for_shell(hints.for_environment(text, _spoken_for.get()), _before_aws.get())


def exit_statuses() -> str:
    """Return the table of exit statuses for `--help`."""
    return "\n\n".join(f"{status}: {meaning}" for status, meaning in EXIT_STATUSES.items())
