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


def case(point: Point) -> Any:
    return SimpleNamespace(case=SimpleNamespace(id=point.case_id), point=point)


def decoded(*points: Point) -> Any:
    return SimpleNamespace(fails=tuple(case(each) for each in points))


OWN = point("broken")
LATER = replace(OWN, token_ids=(*OWN.token_ids, OWN.target, 3), rival=9)


def test_what_failed_is_learned_in_the_group_of_its_case_behind_where_the_candidate_itself_parts() -> None:
    lessons = Lessons(choose, [case(OWN), case(point("other"))])
    lessons.learn([decoded(LATER, point("kept"))])
    assert lessons.points == (OWN, LATER, point("kept", degraded=False))


def test_what_was_decoded_is_learned_once() -> None:
    lessons = Lessons(choose, [case(OWN)])
    lessons.learn([])
    assert not lessons.points
    first = decoded(point("kept"))
    lessons.learn([first])
    lessons.learn([first, decoded(), decoded(LATER)])
    assert lessons.points == (point("kept", degraded=False), OWN, LATER)


def test_of_a_place_the_newest_mistake_is_kept_and_stands_last() -> None:
    lessons = Lessons(choose, [case(OWN)])
    again = replace(LATER, rival=4)
    lessons.learn([decoded(LATER, point("kept")), decoded(again)])
    assert lessons.points == (OWN, point("kept", degraded=False), again)
    recalled = replace(OWN, target=OWN.target + 1)  # another text behind the same tokens
    lessons.learn([decoded(), decoded(), decoded(recalled)])
    assert {OWN, recalled} <= set(lessons.points)
