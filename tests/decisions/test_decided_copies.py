"""What stands in the journal of the copy that was decided on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lifeboat.database_model import PointKind, RecoveryPoint, RecoveryPointId
from lifeboat.decisions.decided_copies import DecidedCopy, decided, facts, restored_in

AS_OF = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("kind", list(PointKind))
@pytest.mark.parametrize("to", [None, AS_OF])
def test_a_later_attempt_reads_what_an_earlier_one_has_decided(kind: PointKind, to: datetime | None) -> None:
    point = RecoveryPoint(
        id=RecoveryPointId("copy-1"),
        kind=kind,
        database="app-g1",
        region="eu-central-1",
        taken_at=AS_OF,
        status="available",
        size=21474836480,
        source="app-g1",
        key=None,
        arn="arn:aws:rds:eu-west-1:1:snapshot:copy-1",
    )
    made = DecidedCopy(point=point, as_of=AS_OF, to=to, generation="g2", identifier="app-g2")

    noted = json.loads(json.dumps(facts(made)))

    # The latest moment of a window, which older versions did not name, is the one that it had then.
    meant = AS_OF if kind is PointKind.POINT_IN_TIME else to
    assert decided(noted.get) == replace(made, to=meant)
    assert restored_in(made, "eu-west-1").region == "eu-west-1"


def test_before_anything_was_decided_there_is_nothing() -> None:
    assert decided(lambda _: None) is None
