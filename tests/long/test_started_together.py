"""Recoveries that are started together: one runs, and the others name it."""

from __future__ import annotations

from tests.faults.recoveries import Point, Scene, scene
from tests.long.test_cut_off_recoveries import TOGETHER, start_together

__all__ = ["scene"]


def test_of_eight_that_are_started_together_one_runs_and_seven_name_it(scene: Scene) -> None:
    start_together(scene, Point(0, f"{TOGETHER} started together", ""))
