"""Two tiny models that differ in a known place."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from pytest_quantgate.diagnosis.causal import causal_tests, spread
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Grid, Value
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner, Trace

LAYERS = 4
VOCABULARY = 64
TOKENS = 9
SUBJECT = 3
PROMPT = 6
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,
}


def network(layers: int = LAYERS) -> Any:
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(**SIZES | {"num_hidden_layers": layers}))
    return model.eval()


def damaged(model: Any, *names: str) -> Any:
    """Other weights in the linear modules whose full name holds one of some names."""
    copy = deepcopy(model)
    torch.manual_seed(1)
    for name, module in copy.named_modules():
        if isinstance(module, torch.nn.Linear) and any(f".{each}." in f".{name}." for each in names):
            module.weight.data = torch.randn_like(module.weight) * 0.3
    return copy


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


def parting(reference: Any, candidate: Any, count: int = 2, *, subject: int | None = SUBJECT) -> list[Point]:
    """Texts behind which two models go on with different tokens."""
    texts = torch.randint(VOCABULARY, (200, TOKENS), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        targets, rivals = (each(texts).logits[:, -1].argmax(-1).tolist() for each in (reference, candidate))
    points = [
        Point(str(number), True, tuple(text), target, rival, (), PROMPT, subject)  # noqa: FBT003
        for number, (text, target, rival) in enumerate(zip(texts.tolist(), targets, rivals, strict=True))
        if target != rival
    ]
    assert len(points) >= count
    return points[:count]


def looked_at(reference: Any, candidate: Any, points: Sequence[Point]) -> Measured:
    return causal_tests(Runner(reference), Runner(candidate), points, lambda _: None)


def everything(found: Measured) -> tuple[Value | Curve | Grid, ...]:
    return (*found.values, *found.curves, *found.grids)


def curve(found: Measured, measure: str) -> Curve:
    (its,) = (each for each in found.curves if each.measure == measure)
    return its


def grid(found: Measured, measure: str, *, side: str = "candidate", part: str = "") -> Grid:
    (its,) = (each for each in found.grids if (each.measure, each.side, each.part) == (measure, side, part))
    return its


def column(cells: Grid, name: str) -> list[float | None]:
    return [row[cells.columns.index(name)] for row in cells.values]


@pytest.mark.parametrize("layer", range(LAYERS))
def test_one_damaged_layer_is_found(model: Any, layer: int) -> None:
    candidate = damaged(model, f"layers.{layer}")
    points = parting(model, candidate)
    found = looked_at(model, candidate, points)
    domino, alone = curve(found, "domino"), curve(found, "one_layer")
    assert domino.at == tuple(range(LAYERS + 1))
    assert domino.values == tuple(float(first <= layer) for first in range(LAYERS + 1))
    assert alone.at == tuple(range(LAYERS))
    assert alone.values == tuple(float(each != layer) for each in range(LAYERS))
    behind = [float(each >= layer) for each in range(LAYERS)]
    assert column(grid(found, "patching"), "all") == pytest.approx(behind, abs=1e-4)
    assert column(grid(found, "patching", part="turned"), "all") == behind
    assert {each.count for each in everything(found)} == {len(points)}


@pytest.mark.parametrize("component", ["q_proj", "v_proj", "gate_proj", "down_proj"])
def test_one_damaged_component_is_found(model: Any, component: str) -> None:
    candidate = damaged(model, component)
    found = looked_at(model, candidate, parting(model, candidate))
    kept = {value.part: value.value for value in found.values if value.measure == "one_component"}
    assert kept == {each: float(each != component) for each in kept}
    assert list(kept) == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def test_fused_components_are_exchanged_as_one() -> None:
    torch.manual_seed(0)
    fused: Any = Phi3ForCausalLM(Phi3Config(**SIZES, pad_token_id=0))
    candidate = damaged(fused.eval(), "qkv_proj")
    found = looked_at(fused, candidate, parting(fused, candidate, 1))
    kept = {value.part: value.value for value in found.values}
    assert kept == {"o_proj": 1.0, "down_proj": 1.0, "qkv_proj": 0.0, "gate_up_proj": 1.0}


def test_a_state_of_the_model_itself_changes_nothing(model: Any) -> None:
    points = parting(model, damaged(model, "layers.0"))
    found = looked_at(model, deepcopy(model), points)
    assert set(column(grid(found, "patching"), "subject")) == {None}  # nothing is lacking
    for name in ("parting", "subject", "all"):
        assert column(grid(found, "patching", part="turned"), name) == [1.0] * LAYERS
    assert curve(found, "domino").values == (1.0,) * (LAYERS + 1)
    assert curve(found, "one_layer").values == (1.0,) * LAYERS
    assert {value.value for value in found.values} == {1.0}
    reference, candidate = (grid(found, "ablation", side=side).values for side in ("reference", "candidate"))
    for ours, theirs in zip(reference, candidate, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def following(model: Any, point: Point, layer: int = 0, at: int = 0, state: Any = None) -> torch.Tensor:
    """Log-probabilities behind a text, of a plain pass in which one residual state may be another."""

    def change(_: object, __: object, output: torch.Tensor) -> None:
        if state is not None:
            output[:, at] = state

    with torch.no_grad(), model.model.layers[layer].register_forward_hook(change):
        logits: torch.Tensor = model(torch.tensor([point.token_ids])).logits
    return logits[0, -1].log_softmax(-1)


def state_behind(model: Any, point: Point, layer: int, at: int) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    with model.model.layers[layer].register_forward_hook(lambda _, __, output: seen.append(output[0, at].clone())):
        following(model, point)
    return seen[0]


def margin(log_probabilities: torch.Tensor, point: Point) -> float:
    assert point.rival is not None
    return float(log_probabilities[point.target] - log_probabilities[point.rival])


@pytest.mark.parametrize(("place", "at"), [("parting", TOKENS - 1), ("subject", SUBJECT)])
def test_patching_and_zeroing_are_what_a_plain_pass_gives(model: Any, place: str, at: int) -> None:
    candidate = damaged(model, "layers.1", "layers.3.mlp")
    points = parting(model, candidate, 3)
    found = looked_at(model, candidate, points)
    before = {point: following(candidate, point) for point in points}
    lacking = sum(margin(following(model, point), point) - margin(before[point], point) for point in points)
    for layer in range(LAYERS):
        after = {
            point: following(candidate, point, layer, at, state_behind(model, point, layer, at)) for point in points
        }
        gained = sum(margin(after[point], point) - margin(before[point], point) for point in points)
        turned = fmean(after[point].argmax() == point.target for point in points)
        assert column(grid(found, "patching"), place)[layer] == pytest.approx(gained / lacking, abs=1e-4)
        assert column(grid(found, "patching", part="turned"), place)[layer] == turned
        for side, network in (("reference", model), ("candidate", candidate)):
            lost = fmean(
                float((following(network, point) - following(network, point, layer, at, 0.0))[point.target])
                for point in points
            )
            assert column(grid(found, "ablation", side=side), place)[layer] == pytest.approx(lost, abs=1e-4)


def test_the_end_of_the_prompt_stands_in_for_a_subject(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    marked, plain = parting(model, candidate, 2)
    found = looked_at(model, candidate, [marked, replace(plain, subject=None)])
    patching = grid(found, "patching")
    assert patching.columns == ("parting", "subject", "prompt end", "all")
    assert grid(found, "ablation").columns == ("parting", "subject", "prompt end")
    assert found.notes == tuple(
        f"patching and zeroing at the place {place!r} rest on 1 of 2 cases, which have it"
        for place in ("subject", "prompt end")
    )
    alone = looked_at(model, candidate, [replace(plain, subject=PROMPT - 1)])
    assert column(patching, "prompt end") == pytest.approx(column(grid(alone, "patching"), "subject"))


def test_an_answer_that_parts_at_once_has_no_other_place(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    (point,) = parting(model, candidate, 1, subject=None)
    found = looked_at(model, candidate, [replace(point, prompt_tokens=TOKENS)])
    assert grid(found, "patching").columns == ("parting", "all")
    assert grid(found, "ablation").columns == ("parting",)
    assert found.notes == ()


def test_the_other_token_is_the_candidates_best_where_none_is_told(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    points = parting(model, candidate)
    ended = [replace(point, rival=None) for point in points]
    assert looked_at(model, candidate, ended) == looked_at(model, candidate, points)


@pytest.mark.parametrize(("scale", "restored"), [(0.5, 0.0), (2.0, None)])
def test_states_do_not_restore_what_another_head_changed(model: Any, scale: float, restored: float | None) -> None:
    candidate = deepcopy(model)
    candidate.lm_head.weight.data *= scale  # the same next token; none is lacking where it is surer
    (point,) = parting(model, damaged(model, "layers.1"), 1)
    found = looked_at(model, candidate, [replace(point, rival=None)])
    assert column(grid(found, "patching"), "all") == pytest.approx([restored] * LAYERS, abs=1e-4)
    assert column(grid(found, "patching", part="turned"), "all") == [1.0] * LAYERS


def test_only_degraded_cases_are_looked_at_and_each_is_told_of(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    first, second = parting(model, candidate, 2)
    told: list[int] = []
    contrast = replace(second, degraded=False)
    found = causal_tests(Runner(model), Runner(candidate), [contrast, first], told.append)
    assert found == looked_at(model, candidate, [first])
    assert {each.group for each in everything(found)} == {"degraded"}
    assert told == [1]


def test_cases_without_numbers_leave_every_mean_and_are_noted(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    points = parting(model, candidate, 3)
    (token, *_) = set(points[0].token_ids) - set(points[1].token_ids) - set(points[2].token_ids)
    broken = deepcopy(candidate)
    broken.model.embed_tokens.weight.data[token] = float("nan")
    found = looked_at(model, broken, points)
    assert found.notes == ("causal tests are without 1 of 3 cases: logits are not numbers",)
    whole = looked_at(model, candidate, points[1:])
    assert everything(found) == everything(whole)


def test_an_exchange_without_numbers_leaves_its_mean_and_is_noted(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = damaged(model, "layers.1")
    points = parting(model, candidate)
    step = Runner.step

    def overflowing(self: Runner, trace: Trace, layer: int, states: torch.Tensor) -> torch.Tensor:
        far = float("inf") if layer == 2 and trace.token_ids == points[0].token_ids else 1.0
        return step(self, trace, layer, states) * far

    monkeypatch.setattr(Runner, "step", overflowing)
    found = looked_at(model, candidate, points)
    assert found.notes == ("causal tests gave logits that are not numbers in 1 of 2 cases; they are in no mean",)
    assert curve(found, "one_layer").values == (1.0, 0.0, 1.0, 1.0)
    assert curve(looked_at(model, candidate, points[:1]), "one_layer").values == (1.0, 0.0, None, 1.0)


def test_a_candidate_that_gives_no_numbers_has_no_causal_tests(model: Any) -> None:
    candidate = damaged(model, "layers.1")
    points = parting(model, candidate)
    candidate.model.norm.weight.data.fill_(float("nan"))
    found = looked_at(model, candidate, points)
    assert found == Measured(notes=("no causal tests: no degraded case gives numbers with both variants",))


def test_components_are_exchanged_only_where_the_other_variant_can_run_them(model: Any) -> None:
    candidate = damaged(model, "layers.1").bfloat16()
    points = parting(model, damaged(model, "layers.1"))
    found = looked_at(model, candidate, points)
    assert found.values == ()
    assert found.notes == (
        "no component was tested alone: the variants' linear layers differ in name, compute dtype or device",
    )
    assert curve(found, "one_layer").values == (1.0, 0.0, 1.0, 1.0)


def test_a_token_that_the_reference_ranks_third_is_right_where_it_stands_third(model: Any) -> None:
    """As the text of a `recall` check that allows for it."""
    candidate = damaged(model, "layers.2")
    texts = torch.randint(VOCABULARY, (40, TOKENS), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        before, after = (each(texts).logits[:, -1].argsort(descending=True).tolist() for each in (model, candidate))
    points = [
        Point(str(number), True, tuple(text), ours[2], None, (), PROMPT)  # noqa: FBT003
        for number, (text, ours, theirs) in enumerate(zip(texts.tolist(), before, after, strict=True))
        if theirs.index(ours[2]) > 2
    ][:3]
    found = looked_at(model, candidate, points)
    assert curve(found, "domino").values == (1.0, 1.0, 1.0, 0.0, 0.0)
    assert curve(found, "one_layer").values == (1.0, 1.0, 0.0, 1.0)
    assert column(grid(found, "patching", part="turned"), "all") == [0.0, 0.0, 1.0, 1.0]


def test_a_deep_model_is_looked_at_on_a_grid_of_layers() -> None:
    deep = network(14)
    candidate = damaged(deep, "layers.13")
    found = looked_at(deep, candidate, parting(deep, candidate, 1))
    layers = spread(14)
    assert found.notes == ("causal tests look at 12 of 14 layers",)
    assert grid(found, "patching").rows == tuple(map(str, layers))
    assert curve(found, "one_layer").at == layers
    assert curve(found, "domino").at == (0, *(layer + 1 for layer in layers))
    assert curve(found, "domino").values == (1.0,) * len(layers) + (0.0,)


@pytest.mark.parametrize("layers", [1, 2, 12, 13, 30, 31, 80])
def test_the_grid_has_the_first_layers_the_last_and_others_evenly(layers: int) -> None:
    chosen = spread(layers)
    assert len(chosen) == min(layers, 12)
    assert chosen[:3] == tuple(range(min(layers, 3)))
    assert chosen[-1] == layers - 1
    steps = [after - before for before, after in pairwise(chosen[2:])]
    assert not steps or 1 <= min(steps) <= max(steps) <= min(steps) + 1
