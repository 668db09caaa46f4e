"""Journals of runs as they are written, and the evidence that comes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.decisions import evidence, evidence_chain
from lifeboat.decisions.evidence import Ended, Facts
from lifeboat.decisions.timings import Answering
from lifeboat.evidence_model import Bundle, Chain, Head, Kind
from lifeboat.model import Event, EventKind, Objectives, Scope
from lifeboat.runbooks import tables

AT = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)
FAILED_AT = AT - timedelta(minutes=4)
ANSWERING = Answering(step="answers", confirmed_by="sessions")
WHO = {"user": "zoë", "host": "laptop", "machine": "m1", "request": {}}
Line = tuple[int, EventKind, str, str, dict[str, Any]]  # seconds, kind, step, text, data

BEGUN, NOTE, DOING, DONE, HOLDS = EventKind.BEGUN, EventKind.NOTE, EventKind.DOING, EventKind.DONE, EventKind.HOLDS
INTENT, RESULT, STOPPED, LEFT_OPEN = EventKind.INTENT, EventKind.RESULT, EventKind.STOPPED, EventKind.LEFT_OPEN

COPY: dict[str, Any] = {
    "copy": "app-2026-03-01-02-00",
    "copy_kind": "automated snapshot",
    "copy_region": "eu-central-1",
    "as_of": "2026-03-01T02:00:00+00:00",
    "why_copy": "it loses least of what fits",
    "other_copies": {"app-2026-02-28": "older", "app-<script>": "status is <b>failed</b>"},
    "unseen": ["AWS Backup in eu-west-1"],
    "identifier": "app-g2",
}
PROOF: dict[str, Any] = {
    "tables": 4,
    "with_rows": 3,
    "data_until": "2026-03-01T02:10:00+00:00",
    "known_by": "the heartbeat's last row",
    "rpo_seconds": 3660.0,
    "probes": ["orders", "users"],
    "probe_findings": [],
}
COMPARED: dict[str, Any] = {"compared_with": ["app-g1", "the dump of 02:00Z"], "missing": []}
# A recovery of both, side by side, as the runner writes it.
FULL: tuple[Line, ...] = (
    (0, BEGUN, "", "attempt 1", WHO),
    (2, DOING, "failure", "the time of the failure is not written down", {}),
    (2, NOTE, "failure", "failed", {"failed_at": FAILED_AT.isoformat(), "why": "the operator said so"}),
    (3, DONE, "failure", "", {}),
    (8, HOLDS, "preflight", "", {}),
    (14, DOING, "copy", "app-2026-03-01-02-00: it loses least of what fits", {}),
    (14, NOTE, "copy", "app-2026-03-01-02-00", COPY),
    (15, DONE, "copy", "", {}),
    (16, DOING, "image", "ami-1 (newest)", {}),
    (16, NOTE, "image", "ami-1", {"image": "ami-1", "why_image": "the newest", "rejected": {"ami-0": "taken before"}}),
    (17, DONE, "image", "", {}),
    (18, DOING, "restore", "there is no app-g2", {}),
    (18, INTENT, "restore", "restore app-g2", {"identifier": "app-g2"}),
    (20, DOING, "plan", "Terraform has to plan one from ami-1", {}),
    (
        26,
        NOTE,
        "plan",
        "1 to replace",
        {"changes": ["replace module.app_instance.aws_instance.this"], "plan_sha256": "ab" * 32},
    ),
    (27, DONE, "plan", "", {}),
    (28, DOING, "instance", "i-0 runs ami-0", {}),
    (28, INTENT, "instance", "apply the plan", {"plan": "1 to replace"}),
    (70, RESULT, "restore", "restore app-g2", {"identifier": "app-g2"}),
    (71, DONE, "restore", "", {}),
    (72, DOING, "proof", "nobody has looked at what app-g2 holds", {}),
    (78, NOTE, "proof", "4 tables, 3 with rows", PROOF),
    (79, DONE, "proof", "", {}),
    (95, RESULT, "instance", "apply the plan", {"instance": "i-1", "address": "10.0.0.9"}),
    (96, DONE, "instance", "", {}),
    (110, DOING, "answers", "app.example.com does not answer", {}),
    (131, DONE, "answers", "", {}),
    (133, DOING, "sessions", "nobody has asked", {}),
    (134, NOTE, "sessions", "only app-g2", {"works_on": "new", "works_on_why": "only app-g2 has sessions"}),
    (135, DONE, "sessions", "", {}),
    (136, EventKind.ENDED, "", "done", {"rto_seconds": 375.0}),
)


def journal(*lines: Line) -> list[Event]:
    """Return lines as the events of a journal."""
    return [
        Event(seq=number, at=AT + timedelta(seconds=after), kind=kind, step=step, text=text, data=data)
        for number, (after, kind, step, text, data) in enumerate(lines, start=1)
    ]


def facts(**changes: Any) -> Facts:
    """Return the facts of a recovery of both, changed."""
    usual: dict[str, Any] = {
        "kind": Kind.RECOVER,
        "run": "20260301T031500Z-recover-1f9a3c",
        "scope": "full",
        "application": "app-production",
        "environment": "production",
        "account": "123456789012",
        "region": "eu-central-1",
        "objectives": Objectives(rpo_hours=24, rto_hours=4),
        "answering": ANSWERING,
        "titles": tables.titles(Scope.FULL),
        "versions": {"lifeboat": "0.1.0", "terraform": "1.11.4"},
    }
    return Facts(**{**usual, **changes})


def bundle(*lines: Line, error: Ended | None = None, **changes: Any) -> Bundle:
    """Return the evidence of a journal; of a whole recovery of both where no lines are given."""
    return evidence.bundle(journal(*(lines or FULL)), facts(error=error, **changes))


def drill(number: int, *, scope: str = "database", minutes: float = 3.0) -> Bundle:
    """Return the evidence of a drill some weeks ago, that made one thing and saw it go."""
    made = {"type": "aws_db_instance", "id": f"app-drill-{number}", "region": "eu-central-1"}
    lines: tuple[Line, ...] = (
        (0, BEGUN, "", "attempt 1", WHO),
        (1, NOTE, "copy", "chosen", COPY),
        (2, NOTE, "restore", "to be made", {"made": made}),
        (int(minutes * 60) - 5, NOTE, "proof", "proven", {**PROOF, **COMPARED}),
        (int(minutes * 60), DONE, "answers", "", {}),
        (int(minutes * 60) + 40, NOTE, "unwind", "is gone", {"gone": made}),
        (int(minutes * 60) + 41, EventKind.ENDED, "", "done", {}),
    )
    since = timedelta(days=30 * number)
    events = [
        Event(seq=e.seq, at=e.at + since, kind=e.kind, step=e.step, text=e.text, data=e.data) for e in journal(*lines)
    ]
    run = f"{AT + since:%Y%m%dT%H%M%SZ}-drill-{number:06}"
    return evidence.bundle(events, facts(kind=Kind.DRILL, scope=scope, run=run))


def chained(*bundles: Bundle) -> list[bytes]:
    """Return the stored bytes of bundles, each linked to the one before."""
    bodies: list[bytes] = []
    for number, one in enumerate(bundles, start=1):
        before = evidence_chain.stored(number - 1, bodies[-1]).sha256 if bodies else evidence_chain.NOTHING_BEFORE
        bodies.append(evidence_chain.linked(number, before, one))
    return bodies


def chain(*bodies: bytes | None, heads: bool = True) -> Chain:
    """Return what is stored (None: it is gone), each known in the other region as it was unless there are no heads."""
    stored = {n: evidence_chain.stored(n, body) for n, body in enumerate(bodies, start=1) if body is not None}
    known = {n: Head(number=n, sha256=one.sha256, run=one.run) for n, one in stored.items()} if heads else {}
    return Chain(stored=stored, heads=known)
