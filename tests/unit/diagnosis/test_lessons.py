"""What is learned from cases that failed when they were decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_quantgate.diagnosis.lessons import Lessons, own_way
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.trials import Protection
from pytest_quantgate.outcomes.model import Comparison
from tests.unit.diagnosis.answered import asked, degraded, preserved, prompt_of
from tests.unit.diagnosis.made_up import point


def choose(fails: Sequence[Any]) -> Any:
    """Every case parts where it says."""
    return SimpleNamespace(points=tuple(each.point for each in fails), recalled=frozenset())


def case(point: Point) -> Any:
    return SimpleNamespace(case=SimpleNamespace(id=point.case_id), point=point)


def decoded(*points: Point) -> Any:
    return SimpleNamespace(fails=tuple(case(each) for each in points))


OWN = point("broken")
LATER = replace(OWN, token_ids=(*OWN.token_ids, OWN.target, 3), rival=9)


def test_what_failed_is_learned_in_the_group_of_its_case_behind_where_the_candidate_itself_parts() -> None:
    lessons = Lessons(choose, [case(OWN), case(point("other"))], [])
    lessons.learn([decoded(LATER, point("kept"))])
    assert lessons.points == (OWN, LATER, point("kept", degraded=False))


def test_what_was_decoded_is_learned_once() -> None:
    lessons = Lessons(choose, [case(OWN)], [])
    lessons.learn([])
    assert not lessons.points
    first = decoded(point("kept"))
    lessons.learn([first])
    lessons.learn([first, decoded(), decoded(LATER)])
    assert lessons.points == (point("kept", degraded=False), OWN, LATER)


def test_of_a_place_the_newest_mistake_is_kept_and_stands_last() -> None:
    lessons = Lessons(choose, [case(OWN)], [])
    again = replace(LATER, rival=4)
    lessons.learn([decoded(LATER, point("kept")), decoded(again)])
    assert lessons.points == (OWN, point("kept", degraded=False), again)
    recalled = replace(OWN, target=OWN.target + 1)  # another text behind the same tokens
    lessons.learn([decoded(), decoded(), decoded(recalled)])
    assert {OWN, recalled} <= set(lessons.points)


CASE = asked("kept")
RIGHT = (5, 6, 7, 8)
MINE = (5, 6, 20, 21, 22, 23, 24, 25, 26, 27, 28)
"""What the candidate says by itself in place of ``RIGHT``, and passes."""


def at(shared: Sequence[int]) -> Point:
    """Where an answer parts from ``RIGHT``."""
    prompt = prompt_of(CASE)
    return replace(point("kept"), token_ids=(*prompt, *shared), target=RIGHT[len(shared)], prompt_tokens=len(prompt))


def learned(point: Point, kept: Comparison, *fails: Comparison, recalled: Iterable[str] = ()) -> tuple[Point, ...]:
    """What is learned of a case that is kept by itself and fails there with some protections, one after another."""

    def found(those: Sequence[Comparison]) -> Any:
        return SimpleNamespace(points=(point,) if those else (), recalled=frozenset(recalled))

    lessons = Lessons(found, [], [kept])
    lessons.learn([cast("Protection", SimpleNamespace(fails=(each,))) for each in fails])
    return lessons.points


@pytest.mark.parametrize(
    ("wrong", "own"),
    [
        ((5, 6, 40), (20, 21, 22, 23, 24)),  # neither the reference's way nor the candidate's own
        ((5, 6, 20, 21, 41), (20, 21, 22, 23, 24, 25, 26)),  # the candidate's own for two tokens
        ((5, 40), ()),  # the candidate says there what the reference says
        (MINE, ()),  # what passes by itself failed: nothing is known
        ((*MINE, 40), ()),
    ],
)
def test_a_preserved_case_may_go_the_candidate_s_own_way_until_it_is_not_what_failed(
    wrong: tuple[int, ...], own: tuple[int, ...]
) -> None:
    kept, fails = preserved(CASE, RIGHT, MINE), degraded(CASE, RIGHT, wrong)
    point = at(RIGHT[: next(number for number, token in enumerate(wrong) if token != RIGHT[number])])
    assert own_way(kept, fails, point) == own
    assert learned(point, kept, fails) == (replace(point, degraded=False, own=own),)


def test_of_two_mistakes_on_its_own_way_the_later_one_counts() -> None:
    kept, point = preserved(CASE, RIGHT, MINE), at(RIGHT[:2])
    later, sooner = (degraded(CASE, RIGHT, wrong) for wrong in ((5, 6, 20, 21, 41), (5, 6, 40)))
    assert [each.own for each in learned(point, kept, later, sooner)] == [(20, 21, 22, 23, 24, 25, 26)]


def test_what_a_text_should_recall_and_cases_of_several_turns_have_no_other_way() -> None:
    kept, fails, point = preserved(CASE, RIGHT, MINE), degraded(CASE, RIGHT, (5, 6, 40)), at(RIGHT[:2])
    assert [each.own for each in learned(point, kept, fails)] == [(20, 21, 22, 23, 24)]
    assert [each.own for each in learned(point, kept, fails, recalled={"kept"})] == [()]
    turns = replace(kept, reference=replace(kept.reference, turns=(kept.reference,)))
    assert own_way(turns, fails, point) == ()
