"""Products of low rank against what is known of the best ones, and the most confident layer made louder."""

from __future__ import annotations

import gc
from copy import deepcopy
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis import low_rank as low_rank_module
from pytest_quantgate.diagnosis.amplify import amplified, amplify
from pytest_quantgate.diagnosis.donors import donor_of
from pytest_quantgate.diagnosis.low_rank import RANKS, compensate, factor_bits, low_rank, rank_within
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screened
from pytest_quantgate.diagnosis.sensitivity import early_first
from pytest_quantgate.diagnosis.swapping import swapped
from tests.unit.diagnosis.families import llama

VOCABULARY = 48


@pytest.fixture(scope="module")
def reference() -> Any:
    return llama(vocab_size=VOCABULARY, intermediate_size=40, num_hidden_layers=2)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def lacking(error: torch.Tensor, inputs: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> float:
    return float(((error - left @ right) @ inputs.T).norm() / (error @ inputs.T).norm())


def test_an_error_of_low_rank_is_made_up_for_whole() -> None:
    error, inputs = drawn(30, 3, seed=1) @ drawn(3, 20, seed=2), drawn(100, 20, seed=3)
    assert lacking(error, inputs, *low_rank(error, inputs, 3)) < 1e-5
    assert lacking(error, inputs, *low_rank(error, inputs, 2)) > 0.05


def test_nothing_of_its_rank_makes_up_for_more_of_the_outputs_error() -> None:
    error = drawn(30, 20, seed=1)
    inputs = drawn(200, 20, seed=2) * torch.logspace(0, -2, 20)  # inputs of very different sizes
    left, right = low_rank(error, inputs, 4)
    assert (left.shape, right.shape) == ((30, 4), (4, 20))
    values = torch.linalg.svdvals(error @ inputs.T)
    best = float(values[4:].square().sum().sqrt() / values.square().sum().sqrt())
    assert lacking(error, inputs, left, right) == pytest.approx(best, rel=1e-3)
    vectors, sizes, others = torch.linalg.svd(error)
    plain = vectors[:, :4] * sizes[:4], others[:4]  # the best for the weights, that knows nothing of the inputs
    assert lacking(error, inputs, *plain) > 1.5 * best


def test_products_are_the_same_each_time_and_leave_chance_alone() -> None:
    error, inputs = drawn(30, 20, seed=1), drawn(9, 20, seed=2)
    torch.manual_seed(5)
    first = low_rank(error, inputs, 16)
    following = torch.rand(1)
    assert first[0].shape == (30, 9)  # no more than there are tokens
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), following)
    assert all(map(torch.equal, first, low_rank(error, inputs, 16)))


def test_no_generator_but_its_own_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeding torch seeds CUDA's generators too, which nothing puts back."""

    def seeded(_: int) -> None:
        pytest.fail("all generators were seeded")

    monkeypatch.setattr(torch, "manual_seed", seeded)
    low_rank(drawn(30, 20, seed=1), drawn(9, 20, seed=2), 4)


def test_a_candidate_whose_errors_have_low_rank_answers_as_the_reference(reference: Any) -> None:
    candidate = deepcopy(reference)
    runner = Runner(candidate)
    names = early_first(runner.architecture)
    for number, name in enumerate(names):
        weight = candidate.get_submodule(name).weight
        rows, columns = weight.shape
        weight += 0.1 * drawn(rows, 2, seed=number) @ drawn(2, columns, seed=99)
    texts = torch.randint(VOCABULARY, (6, 12), generator=torch.Generator().manual_seed(1)).tolist()
    points = [Point(str(number), False, tuple(text), 0, None, (), 12) for number, text in enumerate(texts)]  # noqa: FBT003
    layers = compensate(reference, runner, points, 2)
    assert layers is not None
    factors: list[Any] = [factor for layer in layers.values() for factor in (layer.left, layer.right)]
    assert all(torch.equal(factor, factor.half().float()) for factor in factors)  # as their bits are counted
    expected, broken = (model(torch.tensor(texts)).logits for model in (reference, candidate))
    with swapped(candidate, donor_of(layers), names):
        found = candidate(torch.tensor(texts)).logits
    assert (broken - expected).norm() > 0.2 * expected.norm()
    assert (found - expected).norm() < 1e-3 * expected.norm()
    assert torch.equal(candidate(torch.tensor(texts)).logits, broken)
    assert not any(module._forward_pre_hooks for module in candidate.modules())  # noqa: SLF001
    candidate.get_submodule(names[0]).weight[0, 0] = torch.nan
    assert compensate(reference, runner, points, 2) is None


def test_inputs_of_one_decoder_layer_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama(vocab_size=VOCABULARY, intermediate_size=40, num_hidden_layers=6)
    held: list[int] = []

    def count(error: torch.Tensor, inputs: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not held:
            every = [each for each in gc.get_objects() if type(each) is torch.Tensor and each.dim() == 2]
            held.append(len({each.data_ptr() for each in every if len(each) == 23}))
        return low_rank(error, inputs, rank)

    monkeypatch.setattr(low_rank_module, "low_rank", count)
    point = Point("a", False, tuple(range(2, 25)), 0, None, (), 23)  # noqa: FBT003
    layers = compensate(model, Runner(model), [point], 2)
    assert layers is not None
    assert len(layers) == 6 * 7
    assert 0 < held[0] <= 4 + 1  # for q, k and v; for o; for gate and up; for down; and those at hand, put together


def test_the_rank_is_the_largest_that_there_is_room_for() -> None:
    shapes = {"a": (100, 60), "b": (40, 60)}
    assert factor_bits(shapes, 8) == 16 * 8 * (160 + 100)
    assert factor_bits(shapes, 64) == 16 * (60 * 160 + 40 * 100)
    assert rank_within(shapes, factor_bits(shapes, 16)) == 16
    assert rank_within(shapes, factor_bits(shapes, 4) - 1) is None
    assert list(RANKS) == sorted(RANKS, reverse=True)


def test_the_layer_of_lowest_entropy_is_added() -> None:
    layers = torch.tensor([[0.0, 0.1, 0.0], [0.0, 9.0, 0.0], [1.0, 0.0, 0.5]])
    assert amplified(layers, 2.0).tolist() == [1.0, 18.0, 0.5]
    assert amplified(layers, 0.0).tolist() == layers[-1].tolist()
    broken = layers.clone()
    broken[1, 0] = torch.nan
    assert amplified(broken, 2.0).isfinite().all()  # a layer that says nothing is not the most confident
    broken[2, 0] = torch.nan
    assert not amplified(broken, 2.0).isfinite().all()


def test_the_last_layer_is_not_made_louder() -> None:
    layers = torch.tensor([[0.0, 0.1, 0.0], [0.0, 2.0, 0.0], [9.0, 0.0, 0.0]])
    assert amplified(layers, 5.0).tolist() == [9.0, 10.0, 0.0]


def test_points_turn_by_what_the_layers_say(reference: Any) -> None:
    runner = Runner(reference)
    text = (3, 9, 4, 20)
    layers = runner.lens(runner.trace(text).states[1:, -1])
    (plain, *_), (loud, second, third, *_) = (
        each.argsort(descending=True).tolist() for each in (layers[-1], amplified(layers, 50.0))
    )
    assert plain != loud

    def point(target: int, *, degraded: bool) -> Point:
        name = "a" if degraded else "b"
        return Point(name, degraded, token_ids=text, target=target, rival=None, following=(), prompt_tokens=4)

    assert amplify(runner, {point(loud, degraded=True): 1.0}, factor=50.0) == Screened(frozenset("a"), frozenset())
    assert amplify(runner, {point(second, degraded=True): 1.0}, factor=50.0) == Screened()
    assert amplify(runner, {point(second, degraded=True): 2.0}, factor=50.0).turned == {"a"}  # of a recalled text
    assert amplify(runner, {point(plain, degraded=False): 1.0}, factor=0.0) == Screened()
    assert amplify(runner, {point(second, degraded=False): 1.0}, factor=50.0) == Screened(frozenset(), frozenset("b"))
    assert amplify(runner, {point(third, degraded=False): 3.0}, factor=50.0) == Screened()
