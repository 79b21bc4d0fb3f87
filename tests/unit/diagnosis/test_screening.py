"""Candidates that are broken in known places: what turns when these are the reference's again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis import screening
from pytest_quantgate.diagnosis.clock import TimeUpError
from pytest_quantgate.diagnosis.points import FOLLOWING, Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen, Screened, longest, within
from pytest_quantgate.diagnosis.swapping import swapped
from tests.unit.diagnosis.families import llama

BROKEN = ("model.layers.1.mlp.down_proj", "model.layers.2.self_attn.v_proj")
OTHERS = ("model.layers.0.mlp.up_proj", "model.layers.2.mlp.down_proj")
VOCABULARY = 64
TOKENS = 8


@pytest.fixture(scope="module")
def reference() -> Any:
    return llama(vocab_size=VOCABULARY, intermediate_size=64, num_hidden_layers=3)


@pytest.fixture(scope="module")
def candidate(reference: Any) -> Any:
    copy = deepcopy(reference)
    torch.manual_seed(1)
    for name in BROKEN:
        copy.get_submodule(name).weight += torch.randn_like(copy.get_submodule(name).weight) * 0.3
    return copy


def chosen(model: Any, texts: list[tuple[int, ...]], count: int) -> list[tuple[int, ...]]:
    """How a model goes on, for texts of one length."""
    found = torch.tensor(texts)
    with torch.no_grad():
        for _ in range(count):
            found = torch.cat([found, model(found).logits[:, -1:].argmax(-1)], dim=1)
    return [tuple(each) for each in found[:, TOKENS:].tolist()]


def points_of(reference: Any, candidate: Any, *, following: int = FOLLOWING) -> list[Point]:
    """Random texts, degraded where the next token differs, preserved where it is the same."""
    drawn = torch.randint(2, VOCABULARY, (24, TOKENS), generator=torch.Generator().manual_seed(2)).tolist()
    texts = [tuple(text) for text in drawn]
    before, after = chosen(reference, texts, 1 + following), chosen(candidate, texts, 1)
    found = []
    for number, (text, (target, *behind), (other,)) in enumerate(zip(texts, before, after, strict=True)):
        rival = None if other == target else other
        found.append(Point(f"{number:02}", rival is not None, text, target, rival, tuple(behind), TOKENS))
    assert 4 <= sum(point.degraded for point in found) <= len(found) - 4
    return found


@pytest.fixture(scope="module")
def points(reference: Any, candidate: Any) -> list[Point]:
    return points_of(reference, candidate)


def screen_of(reference: Any, candidate: Any, points: list[Point]) -> Screen:
    return Screen(Runner(reference), Runner(candidate), points)


def ids(points: list[Point], *, degraded: bool) -> set[str]:
    return {point.case_id for point in points if point.degraded == degraded}


def test_all_cases_turn_back_when_what_is_broken_is_whole_again(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    screen = screen_of(reference, candidate, points)
    assert screen.degraded_cases == ids(points, degraded=True)
    assert screen.preserved_cases == ids(points, degraded=False)
    assert screen.tried(reference, BROKEN) == Screened(frozenset(ids(points, degraded=True)), frozenset())


def test_nothing_turns_when_what_is_whole_is_exchanged(reference: Any, candidate: Any, points: list[Point]) -> None:
    found = screen_of(reference, candidate, points).tried(reference, OTHERS)
    assert (found, found.net) == (Screened(), 0)


def test_what_turns_is_what_whole_passes_of_the_hybrid_say(reference: Any, candidate: Any, points: list[Point]) -> None:
    broken = ids(points, degraded=True)
    some = set()
    for name in BROKEN:
        with swapped(candidate, reference, [name]):
            answers = chosen(candidate, [point.token_ids for point in points], 1 + FOLLOWING)
        known = zip(points, answers, strict=True)
        right = {point.case_id: (answer[0] == point.target, answer[1:] == point.following) for point, answer in known}
        turned = {each for each in broken if right[each] == (True, True)}
        lost = {each for each in right.keys() - broken if not right[each][0]}
        found = screen_of(reference, candidate, points).tried(reference, [name])
        assert found == Screened(frozenset(turned), frozenset(lost))
        some |= turned
    assert 0 < len(some) < len(broken)


def test_preserved_cases_that_a_ruined_layer_breaks_are_lost(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    donor = deepcopy(reference)
    donor.get_submodule(OTHERS[1]).weight.mul_(-4)
    assert screen_of(reference, candidate, points).tried(donor, [OTHERS[1]]).lost
    donor.get_submodule(OTHERS[1]).weight.fill_(float("nan"))
    lost = screen_of(reference, candidate, points).tried(donor, [OTHERS[1]])
    assert lost == Screened(frozenset(), frozenset(ids(points, degraded=False)))


def test_a_case_that_goes_on_otherwise_is_not_turned_back(reference: Any, candidate: Any, points: list[Point]) -> None:
    """The one trial that turns the next token only."""
    known = points_of(reference, candidate, following=0)
    first = screen_of(reference, candidate, known).tried(reference, [BROKEN[0]]).turned
    whole = screen_of(reference, candidate, points).tried(reference, [BROKEN[0]]).turned
    assert whole < first


def test_layers_before_the_first_kept_one_are_not_run_again(reference: Any, candidate: Any) -> None:
    run: list[int] = []

    def ran(layer: int) -> Callable[..., None]:
        return lambda *_: run.append(layer)

    known = points_of(reference, candidate, following=0)
    screen = screen_of(reference, candidate, known)
    layers = enumerate(candidate.model.layers)
    handles = [each.mlp.register_forward_hook(ran(number)) for number, each in layers]
    screen.tried(reference, [BROKEN[1]])
    for handle in handles:
        handle.remove()
    assert run == [2] * len(known)


def test_a_token_that_the_reference_does_not_choose_must_stand_as_high_as_with_it(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    degraded = next(point for point in points if point.degraded)
    with torch.no_grad():
        before, after = (
            model(torch.tensor([degraded.token_ids])).logits[0, -1].argsort(descending=True).tolist()
            for model in (reference, candidate)
        )
    token = next(each for place, each in enumerate(before) if place and after.index(each) > place)
    recalled = replace(degraded, target=token, rival=None, following=())
    screen = screen_of(reference, candidate, [recalled])
    assert screen.tried(reference, BROKEN).turned == {degraded.case_id}
    assert screen.tried(reference, OTHERS).turned == set()


def test_a_degraded_case_that_is_whole_along_its_answer_shows_nothing(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    preserved = next(point for point in points if not point.degraded)
    assert screen_of(reference, candidate, [replace(preserved, degraded=True)]).points == ()


def test_the_shortest_points_of_each_group_are_looked_at(
    reference: Any, candidate: Any, points: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 4 * TOKENS)
    screen = screen_of(reference, candidate, points)
    assert sorted(screen.degraded_cases) == sorted(ids(points, degraded=True))[:2]
    assert sorted(screen.preserved_cases) == sorted(ids(points, degraded=False))[:2]
    monkeypatch.setattr(screening, "MOST_TOKENS", 1)
    assert len(screen_of(reference, candidate, points).degraded_cases) == 1


def test_a_tie_is_worse_than_being_first_and_better_than_being_second(reference: Any, points: list[Point]) -> None:
    """As in half precision, where exact ties are usual and decoding may take either."""
    point = next(point for point in points if not point.degraded)
    (best, second, *_) = reference(torch.tensor([point.token_ids])).logits[0, -1].argsort(descending=True).tolist()
    assert best == point.target
    tied, behind = deepcopy(reference), deepcopy(reference)
    tied.lm_head.weight[second] = tied.lm_head.weight[best]
    behind.lm_head.weight[[best, second]] = behind.lm_head.weight[[second, best]]
    broken = replace(point, degraded=True, following=())
    assert screen_of(reference, tied, [broken]).good == {broken: 1.0}
    assert screen_of(tied, behind, [broken]).good == {broken: 1.5}
    assert screen_of(tied, deepcopy(tied), [broken]).good == {}


def parted(reference: Any, candidate: Any, points: list[Point]) -> tuple[Point, Point]:
    """Two broken cases: one that the first broken layer alone turns back when it is whole again, and one that not."""
    turned = screen_of(reference, candidate, points).tried(reference, [BROKEN[0]]).turned
    broken = [point for point in points if point.degraded]
    one = next(point for point in broken if point.case_id in turned)
    return one, next(point for point in broken if point.case_id not in turned)


def test_where_a_protected_candidate_went_wrong_a_preserved_case_must_go_on_as_the_reference_does(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    one, other = (replace(point, degraded=False) for point in parted(reference, candidate, points))
    assert screen_of(reference, candidate, [one, other]).tried(reference, [BROKEN[0]]).lost == set()
    broken = [point for point in points if point.degraded]
    screen = screen_of(reference, candidate, broken)
    assert screen.learn([one, other])
    assert not screen.learn([one, other])
    assert screen.tried(reference, [BROKEN[0]]).lost == {other.case_id}
    assert screen.tried(reference, BROKEN).lost == set()


def test_a_preserved_case_may_go_its_own_way_where_a_protected_candidate_went_wrong(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    """What the first broken layer alone makes of the case, when it is whole again, is a way of its own."""
    _, other = parted(reference, candidate, points)
    with swapped(candidate, reference, [BROKEN[0]]):
        (own,) = chosen(candidate, [other.token_ids], 1 + FOLLOWING)
    assert own != (other.target, *other.following)
    screen = screen_of(reference, candidate, [point for point in points if point.degraded])
    for way, lost in ((own, set()), ((), {other.case_id}), ((*own[:3], own[3] ^ 1), {other.case_id})):
        screen.learn([replace(other, degraded=False, own=way)])
        assert screen.tried(reference, [BROKEN[0]]).lost == lost
        assert screen.tried(reference, BROKEN).lost == set()


def test_a_case_turns_back_where_all_its_points_are_good(reference: Any, candidate: Any, points: list[Point]) -> None:
    one, other = parted(reference, candidate, points)
    learned = replace(other, case_id=one.case_id)
    screen = screen_of(reference, candidate, [one])
    screen.learn([learned])
    assert screen.points == (one, learned)
    assert screen.degraded_cases == {one.case_id}
    assert screen.tried(reference, [BROKEN[0]]).turned == set()
    assert screen.tried(reference, BROKEN).turned == {one.case_id}


def test_where_only_a_protected_candidate_goes_wrong_is_looked_at_too(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    whole = replace(next(point for point in points if not point.degraded), degraded=True, following=())
    screen = screen_of(reference, candidate, points)
    screen.learn([whole])
    assert whole in screen.points
    donor = deepcopy(reference)
    donor.get_submodule(OTHERS[1]).weight.fill_(float("nan"))
    assert screen.tried(donor, [OTHERS[1]]).turned == set()
    assert screen.tried(reference, OTHERS).turned == {whole.case_id}


def test_a_place_that_was_learned_again_is_looked_at_once(reference: Any, candidate: Any, points: list[Point]) -> None:
    point = next(point for point in points if point.degraded)
    learned = replace(point, rival=None)
    screen = screen_of(reference, candidate, [point])
    assert not screen.learn([point])
    assert screen.learn([learned])
    assert screen.points == (learned,)
    assert not screen.learn([])
    assert screen.points == (point,)


def test_learned_points_take_no_more_memory_than_was_counted() -> None:
    def point(name: str, tokens: int, following: int = 0) -> Point:
        behind = (1,) * following
        text = (1,) * tokens
        return Point(name, degraded=True, token_ids=text, target=1, rival=None, following=behind, prompt_tokens=1)

    seen = [point("a", 4, following=2), point("b", 5)]
    assert (longest(seen), longest([])) == (7, 0)
    learned = [point("c", 2), point("d", 4), point("e", 7), point("f", 8)]
    assert [each.case_id for each in within(learned, seen)] == ["c", "e"]  # 9 tokens together, none of more than 7
    assert [each.case_id for each in within(learned[:2], seen)] == ["c", "d"]


def test_it_stops_between_two_points_and_leaves_the_model_as_it_was(
    reference: Any, candidate: Any, points: list[Point]
) -> None:
    left = [len(points) + 3]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TimeUpError

    screen = Screen(Runner(reference), Runner(candidate), points, check)
    assert left == [3]
    own = [candidate.get_submodule(name) for name in BROKEN]
    with pytest.raises(TimeUpError):
        screen.tried(reference, BROKEN)
    assert all(each is candidate.get_submodule(name) for each, name in zip(own, BROKEN, strict=True))
    with pytest.raises(TimeUpError):
        Screen(Runner(reference), Runner(candidate), points, check)
