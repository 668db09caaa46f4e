"""Printing of a status: what there is of each asset, the last drills, and what is red, with what to type."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lifeboat.decisions.durations import said
from lifeboat.decisions.recovery_points import humane
from lifeboat.decisions.status import trends
from lifeboat.status_model import Asset, Colour, CopyRow, DrillRecord, DrillRow, Status, Verdict
from lifeboat.views import console, next_command

_NARROW = 110  # columns; a table of copies does not fit into fewer
_STYLE = {Colour.GREEN: "green", Colour.RED: "bold red", Colour.UNKNOWN: "bold yellow"}
_MARK = {Colour.GREEN: "✔", Colour.RED: "✘", Colour.UNKNOWN: "?"}
_PLAIN_MARK = {Colour.GREEN: "ok", Colour.RED: "RED", Colour.UNKNOWN: "???"}
_GAUGE = 10  # characters


def status(found: Status) -> None:
    """Print a status: as wide as the terminal is, below each other where that is narrow."""
    out = console(stderr=False)
    for part in rendered(found, out):
        out.print(part)


@contextmanager
def watching() -> Iterator[Callable[[Status, str], None]]:
    """Give what shows a status in place of the one before, with a line on when the next look is."""
    out = console(stderr=False)
    with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:

        def show(found: Status, below: str) -> None:
            live.update(Group(*screen(found, out, below)), refresh=True)

        yield show


def rendered(found: Status, out: Console) -> list[RenderableType]:
    """Return the parts of the report, from top to bottom."""
    narrow = out.width < _NARROW
    parts: list[RenderableType] = [_headline(found, out)]
    parts += _narrow_copies(found, out) if narrow else [_copies(found, out)]
    parts.append(_drills(found, out))
    parts.append(_assets(found, out))
    parts += _amiss(found, out)
    parts.append(_count(found))
    return parts


def screen(found: Status, out: Console, below: str) -> list[RenderableType]:
    """Return what fits onto one screen: of what is red a line each, and how many more there are; `below` is the last line."""
    narrow = out.width < _NARROW
    parts: list[RenderableType] = [_headline(found, out), _assets(found, out), Text("")]
    parts += [] if narrow else [_copies(found, out), _drills(found, out)]
    last = Group(_count(found), Text(below, style="dim"))
    left = out.height - sum(len(out.render_lines(part, pad=False)) for part in [*parts, last])
    amiss = [*found.of(Colour.RED), *found.of(Colour.UNKNOWN)]
    shown = amiss if len(amiss) <= left else amiss[: max(0, left - 1)]
    for one in shown:
        line = Text.assemble((f"{_MARK[one.colour]} ", _STYLE[one.colour]), (one.name, "bold"), f" {one.says}")
        line.truncate(out.width, overflow="ellipsis")
        parts.append(line)
    if len(amiss) > len(shown):
        parts.append(Text(f"  and {len(amiss) - len(shown)} more: lifeboat status", style="dim"))
    return [*parts, last]


# -- the head ----------------------------------------------------------------------------------------------------------


def _headline(found: Status, out: Console) -> RenderableType:
    red, unknown = len(found.of(Colour.RED)), len(found.of(Colour.UNKNOWN))
    if red:
        words, style = f"{red} red" + (f", {unknown} unknown" if unknown else ""), "bold white on red"
    elif unknown or not found.whole:
        words, style = f"{unknown} unknown: nobody knows whether all is well", "bold black on yellow"
    else:
        words, style = "all green", "bold white on green"
    title = Text.assemble((f" {words} ", style), "  ", (found.application, "bold"), f" ({found.environment})")
    objective = "objectives unknown: the stack's state cannot be read"
    if found.rpo is not None and found.rto is not None:
        objective = f"lose at most {said(found.rpo)}, be back within {said(found.rto)}"
    below = Text(f"{found.now:%Y-%m-%d %H:%M:%S}Z, objective: {objective}", style="dim")
    if out.is_terminal:
        return Panel(Group(title, below), box=box.ROUNDED, border_style=style.rpartition(" ")[2], padding=(0, 1))
    return Group(title, below)


# -- copies ------------------------------------------------------------------------------------------------------------


def _copies(found: Status, out: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", expand=False)
    for heading in (
        "asset",
        "kind of copy",
        "region",
        "newest",
        "age against limit",
        "count",
        "size",
        "verified",
        "restored",
    ):
        table.add_column(heading, no_wrap=heading != "verified", justify="right" if heading == "count" else "left")
    before: Asset | None = None
    for row in found.copies:
        if before is not None and row.asset is not before:
            table.add_section()
        table.add_row(
            Text("" if row.asset is before else row.asset.value, style="bold"),
            row.kind.value,
            row.region,
            *_cells(row, found.now, out),
        )
        before = row.asset
    return table


def _cells(row: CopyRow, now: datetime, out: Console) -> list[RenderableType]:
    if row.unseen:
        return [Text("unknown", style=_STYLE[Colour.UNKNOWN]), Text("could not be looked at", style="yellow")]
    if row.newest is None:
        return [Text("none", style=_STYLE[Colour.RED]), "", Text("0", style="red")]
    return [
        f"{row.newest:%m-%d %H:%M}Z",
        _age(row, now, out),
        f"{row.count:,}",
        _size(row, out),
        _verified(row, now),
        "never" if row.restored_at is None else f"{said(now - row.restored_at)} ago",
    ]


def _age(row: CopyRow, now: datetime, out: Console) -> Text:
    assert row.newest is not None
    age = now - row.newest
    if row.limit is None:
        return Text(said(age))
    style = _STYLE[Colour.RED] if age > row.limit else ("yellow" if age > row.limit * 0.8 else "green")
    text = Text(f"{said(age):>4} of {said(row.limit):<4}", style=style)
    return Text.assemble(_gauge(age / row.limit, style), " ", text) if out.is_terminal else text


def _gauge(part: float, style: str) -> Text:
    filled = max(0, min(_GAUGE, round(part * _GAUGE)))
    return Text.assemble(("━" * filled, style), ("─" * (_GAUGE - filled), "dim"))


def _size(row: CopyRow, out: Console) -> Text:
    if not row.sizes:
        return Text("")
    newest = humane(row.sizes[-1]) if row.sizes[-1] else ""
    return Text(f"{newest} {trends.line(row.sizes)}" if out.is_terminal and len(row.sizes) > 1 else newest)


def _verified(row: CopyRow, now: datetime) -> str:
    if row.verified is None or row.verified_at is None:
        return "-"
    return f"level {row.verified}, {said(now - row.verified_at)} ago"


def _narrow_copies(found: Status, out: Console) -> Iterator[RenderableType]:
    """Yield two lines for each kind of copy, below the name of its asset."""
    before: Asset | None = None
    for row in found.copies:
        if row.asset is not before:
            yield Text(row.asset.value, style="bold")
        before = row.asset
        cells = _cells(row, found.now, out)
        first = Text.assemble("  ", f"{row.kind.value}, {row.region}: ", *(_text(cell) for cell in cells[:1]))
        yield first
        more = [_text(cell) for cell in cells[1:]]
        if len(more) == 5:
            age, count, size, verified, restored = more
            age.rstrip()
            yield Text.assemble("    ", age, ", ", count, " kept", ", " if size.plain else "", size)
            looked = verified.plain if row.verified is not None else "never"
            yield Text(f"    verified: {looked}; restored: {restored.plain}", style="dim")


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


# -- drills ------------------------------------------------------------------------------------------------------------


def _drills(found: Status, out: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("drill", "last", "outcome", "recovery time"):
        table.add_column(heading)
    for row in found.drills:
        table.add_row(Text(row.scope, style="bold"), *_drill(row, found.now, out))
    return table


def _drill(row: DrillRow, now: datetime, out: Console) -> list[RenderableType]:
    if row.unseen:
        return [Text("unknown", style=_STYLE[Colour.UNKNOWN]), Text(row.unseen, style="yellow"), ""]
    if row.record is None:
        return [Text("never", style=_STYLE[Colour.RED]), "", ""]
    return [f"{said(now - row.record.ended)} ago", _outcome(row.record), _recovery_time(row, now, out)]


def _outcome(record: DrillRecord) -> Text:
    if record.passed:
        return Text("passed", style="green")
    return Text("cut off", style="yellow") if record.cut_off else Text(f"failed: {record.why}", style="red")


def _recovery_time(row: DrillRow, now: datetime, out: Console) -> RenderableType:
    """Return how long the last drill that went well took, against its objective, and when that was where it is not the last."""
    good = row.good
    if good is None or good.rto is None or good.rto_objective is None:
        return "not measured"
    style = "green" if good.rto <= good.rto_objective else _STYLE[Colour.RED]
    earlier = "" if good is row.record else f", {said(now - good.ended)} ago"
    text = Text(f"{said(good.rto)} of {said(good.rto_objective)}{earlier}", style=style)
    return Text.assemble(_gauge(good.rto / good.rto_objective, style), " ", text) if out.is_terminal else text


# -- what the checks say -----------------------------------------------------------------------------------------------


def _assets(found: Status, out: Console) -> RenderableType:
    """Return one line: how many checks of each asset are green, red and unknown."""
    marks = _MARK if out.is_terminal else _PLAIN_MARK
    text = Text()
    for asset in Asset:
        mine = [verdict for verdict in found.verdicts if verdict.asset is asset]
        if not mine:
            continue
        counts = [(colour, sum(verdict.colour is colour for verdict in mine)) for colour in Colour]
        shown = [(f"{marks[colour]} {count}", _STYLE[colour]) for colour, count in counts if count]
        if text:
            text.append("   ")
        text.append(f"{asset.value} ", style="bold")
        for number, (words, style) in enumerate(shown):
            text.append(("" if number == 0 else " ") + words, style=style)
    return text


def _amiss(found: Status, out: Console) -> Iterator[RenderableType]:
    for colour in (Colour.RED, Colour.UNKNOWN):
        verdicts = found.of(colour)
        if verdicts:
            yield Text("")
            heading = "red" if colour is Colour.RED else "unknown, which counts as red"
            yield (
                Rule(Text(f"{len(verdicts)} {heading}", style=_STYLE[colour]), align="left", style="dim")
                if (out.is_terminal)
                else Text(f"{len(verdicts)} {heading}:", style=_STYLE[colour])
            )
        yield from _grouped(verdicts, colour, out)


def _grouped(verdicts: Sequence[Verdict], colour: Colour, out: Console) -> Iterator[RenderableType]:
    """Yield each finding; those of one check that say the same are told once, with all that they are of."""
    same: dict[tuple[str, str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        same.setdefault((verdict.check, verdict.says, verdict.wanted, verdict.command), []).append(verdict)
    marks = _MARK if out.is_terminal else _PLAIN_MARK
    for group in same.values():
        first = group[0]
        of = ", ".join(filter(None, (verdict.subject for verdict in group)))
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        head = Text.assemble((first.check, "bold"), f" {of}" if of else "")
        grid.add_row(Text(marks[colour], style=_STYLE[colour]), head)
        for name, words in (
            ("is", first.says),
            ("should be", first.wanted),
            ("why", first.why),
            ("next", next_command(first.command)),
        ):
            if words:
                style = "cyan" if name == "next" else ("" if name == "is" else "dim")
                grid.add_row("", Text.assemble((f"{name}: ", "dim"), (words, style)))
        yield grid


def _count(found: Status) -> RenderableType:
    executed, expected = found.executed, found.expected
    text = f"{executed} of {expected} checks executed"
    unknown = expected - executed
    if unknown:
        text += f"; {unknown} could not look"
    if not found.whole:
        text += f"; {len(found.verdicts)} verdicts for {expected} checks: this is not the whole answer"
    return Text(text, style="" if executed == expected and found.whole else "bold yellow")


def text(found: str) -> None:
    """Print what a program reads, as it is."""
    sys.stdout.write(f"{found}\n")
