"""Orders over layers: known distributions, known errors, and the difference that an exchange makes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from pytest_quantgate.diagnosis import sensitivity
from pytest_quantgate.diagnosis.architecture import architecture_of
from pytest_quantgate.diagnosis.clock import TimeUpError
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Value
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.sensitivity import (
    Attribution,
    attribute,
    by_cover,
    by_effect,
    by_kurtosis,
    early_first,
    kurtosis,
)
from pytest_quantgate.diagnosis.swapping import swapped

LAYERS = 3
SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8)),  # scaled embeddings, soft caps
}
POINT = Point("a", degraded=True, token_ids=(5, 9, 33, 12, 60, 7), target=11, rival=42, following=(), prompt_tokens=6)


def network(family: str = "llama") -> Any:
    torch.manual_seed(0)
    model: Any = MODELS[family]()
    return model.eval().requires_grad_(requires_grad=False)


def noisy(model: Any, size: float) -> Any:
    """The same with an error of a known size in the weights of every linear layer in its decoder layers."""
    copy = deepcopy(model)
    torch.manual_seed(1)
    for name in early_first(architecture_of(copy)):
        weight = copy.get_submodule(name).weight
        weight += size * weight.std() * torch.randn_like(weight)
    return copy


def margin(model: Any, point: Point = POINT) -> float:
    with torch.no_grad():
        logits = model(torch.tensor([point.token_ids])).logits[0, -1]
    return float(logits[point.target] - logits[42])


def test_kurtosis_of_known_distributions() -> None:
    torch.manual_seed(0)
    assert kurtosis(torch.tensor([-1.0, 1.0] * 50)) == pytest.approx(-2)
    assert kurtosis(torch.linspace(-3, 5, 100_001)) == pytest.approx(-1.2, abs=1e-3)
    assert kurtosis(torch.randn(400, 500)) == pytest.approx(0, abs=0.05)
    assert kurtosis(torch.distributions.Laplace(2.0, 0.1).sample(torch.Size([400, 500]))) == pytest.approx(3, abs=0.2)
    assert kurtosis(torch.randn(400, 500).half()) == pytest.approx(0, abs=0.05)
    assert kurtosis(torch.full((3, 3), 0.25)) == 0.0


def test_weights_with_outliers_come_first() -> None:
    model = network()
    names = early_first(architecture_of(model))
    model.get_submodule(names[9]).weight[0, 0] = 9.0
    model.get_submodule(names[4]).weight[0, 0] = 5.0
    assert by_kurtosis(model, names)[:2] == (names[9], names[4])
    assert sorted(by_kurtosis(model, names)) == sorted(names)


def test_early_layers_are_in_the_order_in_which_they_run() -> None:
    names = early_first(architecture_of(network()))
    assert len(names) == 7 * LAYERS
    assert [int(name.split(".")[2]) for name in names] == sorted([0, 1, 2] * 7)


def test_what_loses_most_alone_comes_first() -> None:
    architecture = architecture_of(network())
    losing = Measured(
        values=tuple(
            Value("one_component", "degraded", "candidate", "parting", value, 4, part)
            for part, value in (("q_proj", 1.0), ("down_proj", 0.25), ("v_proj", 0.5), ("o_proj", None))
        ),
        curves=(Curve("one_layer", "degraded", "candidate", "parting", (0, 2), (1.0, 0.5), 4),),
    )
    order = by_effect(architecture, losing)
    assert order is not None
    assert order[0] == "model.layers.2.mlp.down_proj"
    assert set(order[1:4]) == {
        "model.layers.2.self_attn.v_proj",
        "model.layers.0.mlp.down_proj",
        "model.layers.1.mlp.down_proj",
    }
    assert len(order) == 7 * LAYERS
    assert by_effect(architecture, Measured()) is None


@pytest.mark.parametrize("family", MODELS)
def test_attribution_is_the_difference_that_an_exchange_makes_where_errors_are_small(family: str) -> None:
    reference = network(family)
    candidate = noisy(reference, 1e-3)
    names = early_first(architecture_of(reference))
    found = attribute(reference, Runner(candidate), [POINT], names)
    assert found is not None
    before = margin(candidate)
    assert found.margins.tolist() == pytest.approx([before], abs=1e-5)
    changes = []
    for name in names:
        with swapped(candidate, reference, [name]):
            changes.append(margin(candidate) - before)
    expected = torch.tensor(changes)
    assert (found.effects[0] - expected).norm() < 0.02 * expected.norm()
    assert float(found.effects.sum()) == pytest.approx(margin(reference) - before, rel=0.05)


def test_around_a_candidate_that_keeps_some_layers_errors_are_still_those_of_its_own_weights() -> None:
    reference, lender = network(), network()
    candidate = noisy(reference, 1e-3)
    names = early_first(architecture_of(reference))
    plain = attribute(reference, Runner(candidate), [POINT], names)
    own = {name: candidate.get_submodule(name) for name in names}
    before = margin(candidate)
    with swapped(candidate, lender, names[3:9]):
        found = attribute(reference, Runner(candidate), [POINT], names, layers=own)
        around = margin(candidate)
    assert plain is not None
    assert found is not None
    assert found.margins.tolist() == pytest.approx([around], abs=1e-5)
    assert float(found.effects[0, 3:9].sum()) == pytest.approx(around - before, rel=0.05)
    assert (found.effects - plain.effects).norm() < 0.05 * plain.effects.norm()


@pytest.mark.parametrize("reference_dtype", [torch.float32, torch.float16])
def test_attribution_of_a_candidate_that_computes_in_half_precision(reference_dtype: torch.dtype) -> None:
    reference = network()
    candidate = noisy(reference, 0.1)
    names = early_first(architecture_of(reference))
    exact = attribute(reference, Runner(candidate), [POINT], names)
    found = attribute(reference.to(reference_dtype), Runner(candidate.bfloat16()), [POINT], names)
    assert exact is not None
    assert found is not None
    assert (found.effects - exact.effects).norm() < 0.2 * exact.effects.norm()


def test_attribution_leaves_nothing_behind() -> None:
    reference = network()
    candidate = noisy(reference, 0.1)
    before = margin(candidate)
    attribute(reference, Runner(candidate), [POINT], early_first(architecture_of(reference)))
    assert margin(candidate) == before
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in candidate.parameters())
    assert not any(module._forward_hooks for module in candidate.modules())  # noqa: SLF001


def test_where_the_candidate_gave_no_token_its_best_other_one_stands_for_it() -> None:
    reference = network()
    candidate = noisy(reference, 0.1)
    with torch.no_grad():
        logits = candidate(torch.tensor([POINT.token_ids])).logits[0, -1]
    first, second = logits.topk(2).indices.tolist()
    names = early_first(architecture_of(reference))
    ended = Point(
        "b", degraded=True, token_ids=POINT.token_ids, target=first, rival=None, following=(), prompt_tokens=6
    )
    found = attribute(reference, Runner(candidate), [ended], names)
    assert found is not None
    assert found.margins.tolist() == pytest.approx([float(logits[first] - logits[second])], abs=1e-5)


def test_points_that_are_too_long_have_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = network()
    monkeypatch.setattr(sensitivity, "LONGEST", 6)
    longer = replace(POINT, token_ids=(*POINT.token_ids, 3))
    found = attribute(
        reference, Runner(noisy(reference, 0.1)), [longer, POINT], early_first(architecture_of(reference))
    )
    assert found is not None
    assert len(found.margins) == 1


def test_it_asks_before_each_point_whether_to_go_on() -> None:
    reference = network()
    left = [2]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TimeUpError

    with pytest.raises(TimeUpError):
        attribute(reference, Runner(noisy(reference, 0.1)), [POINT] * 3, early_first(architecture_of(reference)), check)


def test_points_that_are_no_numbers_are_left_out() -> None:
    reference = network()
    candidate = noisy(reference, 0.1)
    candidate.get_submodule("model.layers.1.mlp.up_proj").weight[0, 0] = float("nan")
    names = early_first(architecture_of(reference))
    found = attribute(reference, Runner(candidate), [POINT], names)
    assert found is not None
    assert found.effects.shape == (0, len(names))
    assert by_cover(found, dict.fromkeys(names, 1.0)) == names


def test_layers_that_only_their_own_kernels_know_have_no_attribution() -> None:
    class Packed(torch.nn.Linear):
        pass

    reference = network()
    candidate = deepcopy(reference)
    candidate.set_submodule("model.layers.0.mlp.up_proj", Packed(32, 48, bias=False))
    assert attribute(reference, Runner(candidate), [POINT], early_first(architecture_of(reference))) is None


def test_what_covers_most_cases_for_its_cost_comes_first_and_is_not_counted_twice() -> None:
    # a turns two cases, b the same two at half the cost, c the third, d breaks a preserved one (the last row)
    effects = torch.tensor([[4.0, 4.0, 0.0, 4.0], [4.0, 4.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, -9.0]])
    margins = torch.tensor([-2.0, -2.0, -2.0, 3.0])
    attribution = Attribution(("a", "b", "c", "d"), margins, effects, torch.ones(4))
    assert by_cover(attribution, {"a": 2.0, "b": 1.0, "c": 1.0, "d": 1.0}) == ("b", "c", "a", "d")
    assert by_cover(attribution, {"c": 1.0, "a": 1.0}) == ("a", "c")


def test_a_case_counts_once_however_many_points_it_has() -> None:
    """The first layer turns three points of one case, the second one point of each of two others."""
    effects = torch.tensor([[4.0, 0.0]] * 3 + [[0.0, 4.0]] * 2)
    of_points = Attribution(("a", "b"), torch.full((5,), -2.0), effects, torch.ones(5))
    assert by_cover(of_points, {"a": 1.0, "b": 1.0}) == ("a", "b")
    of_cases = replace(of_points, shares=torch.tensor([1 / 3] * 3 + [1.0] * 2))
    assert by_cover(of_cases, {"a": 1.0, "b": 1.0}) == ("b", "a")


def test_the_points_of_a_case_share_its_weight() -> None:
    reference = network()
    nothing = noisy(reference, 0.1)
    nothing.get_input_embeddings().weight[50] = float("nan")
    left_out = replace(POINT, token_ids=(*POINT.token_ids, 50))
    points = [POINT, replace(POINT, case_id="b"), replace(POINT, token_ids=POINT.token_ids[:4]), left_out]
    found = attribute(reference, Runner(nothing), points, early_first(architecture_of(reference)))
    assert found is not None
    assert found.shares.tolist() == [0.5, 1.0, 0.5]
