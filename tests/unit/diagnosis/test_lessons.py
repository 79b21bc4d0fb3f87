"""What is learned from cases that failed when they were decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from pytest_quantgate.diagnosis.lessons import Lessons
from pytest_quantgate.diagnosis.points import Point
from tests.unit.diagnosis.made_up import point


def choose(fails: Sequence[Any]) -> Any:
    """Every case parts where it says."""
    return SimpleNamespace(points=tuple(each.point for each in fails))


def decoded(*points: Point) -> Any:
    return SimpleNamespace(fails=tuple(SimpleNamespace(point=each) for each in points))


def test_what_failed_is_learned_in_the_group_of_its_case() -> None:
    lessons = Lessons(choose, ["broken"])
    first = decoded(point("broken"), point("kept"))
    assert lessons.learn([first])
    assert [(each.case_id, each.degraded) for each in lessons.points] == [("broken", True), ("kept", False)]


def test_where_nothing_new_failed_nothing_is_learned() -> None:
    lessons = Lessons(choose, ["broken"])
    assert not lessons.learn([])
    first = decoded(point("broken"))
    assert lessons.learn([first])
    assert not lessons.learn([first])
    assert not lessons.learn([first, decoded()])
    assert len(lessons.points) == 1


def test_a_place_is_learned_once_with_what_went_wrong_there_last() -> None:
    lessons = Lessons(choose, ["broken"])
    again, later = (replace(point("broken"), **new) for new in ({"rival": 3}, {"token_ids": (1, 2)}))
    assert lessons.learn([decoded(point("broken")), decoded(again, later)])
    assert lessons.points == (again, later)
