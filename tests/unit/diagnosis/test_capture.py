"""What is read at a point is what a whole pass has there; readings are kept on disk and removed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_quantgate.diagnosis.capture import Reading, Readings, capture, reading_of
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.errors import ModelError, QuantgateError
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.tiny_model import build_tiny_model
from tests.unit.diagnosis.families import FAMILIES, HEADS, LAYERS, NEURONS, TOKENS, WIDTH, tiny

EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)
SUBJECT = 3
LAST = len(TOKENS) - 1
near = partial(torch.testing.assert_close, atol=1e-4, rtol=1e-4)


def point(case_id: str = "paris", tokens: tuple[int, ...] = TOKENS, **changed: Any) -> Point:
    given = {"target": 4, "rival": 5, "following": (), "prompt_tokens": len(tokens), "subject": None, **changed}
    return Point(case_id, degraded=True, token_ids=tokens, **given)


def whole_pass(runner: Runner, **options: Any) -> tuple[Any, list[torch.Tensor], list[torch.Tensor]]:
    """What the model gives for all tokens at once, and what enters and leaves its feed-forward blocks."""
    entered: list[torch.Tensor] = []
    left: list[torch.Tensor] = []

    def show(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        entered.append(inputs[0][0])
        left.append(output[0])

    blocks = [runner.module(layer.feed_forward) for layer in runner.architecture.layers]
    handles = [block.register_forward_hook(show) for block in blocks]
    model: Any = runner.model
    with torch.no_grad():
        output = model(torch.tensor([TOKENS]), **options)
    for handle in handles:
        handle.remove()
    return output, entered, left


@EACH_FAMILY
def test_states_and_blocks_are_those_of_a_whole_pass(family: str) -> None:
    runner = Runner(tiny(family))
    reading = reading_of(runner, point(subject=SUBJECT))
    output, _, left = whole_pass(runner, output_hidden_states=True)
    assert reading.places == ("parting", "subject")
    assert reading.finite
    states = torch.cat(output.hidden_states)[:-1]  # its last one is behind the final norm
    for number, position in enumerate((LAST, SUBJECT)):
        near(reading.residual[number, :-1], states[:, position])
        near(reading.feed_forward_out[number], torch.stack(left)[:, position])
    if family in {"Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Phi3"}:  # nothing but the two blocks adds to it
        added = reading.attention_out + reading.feed_forward_out
        near(reading.residual.diff(dim=1), added)


@EACH_FAMILY
def test_neurons_and_gates_are_what_the_feed_forward_blocks_compute_with(family: str) -> None:
    runner = Runner(tiny(family))
    reading = reading_of(runner, point(subject=SUBJECT))
    assert reading.neurons.shape == (2, LAYERS, NEURONS)
    assert (reading.gate is None) == (family == "Phi")
    _, entered, left = whole_pass(runner)
    for number, layer in enumerate(runner.architecture.layers):
        near(runner.module(layer.linear["down_proj"])(reading.neurons[0, number]), left[number][LAST])
        if reading.gate is not None:
            gate = runner.module(layer.linear.get("gate_proj") or layer.linear["gate_up_proj"])
            near(reading.gate[1, number], gate(entered[number][SUBJECT])[:NEURONS])


@EACH_FAMILY
def test_attention_is_the_row_of_each_place(family: str) -> None:
    model = tiny(family)
    reading = reading_of(Runner(model), point(subject=SUBJECT))
    eager = deepcopy(model)
    eager.set_attn_implementation("eager")
    expected = torch.cat(whole_pass(Runner(eager), output_attentions=True)[0].attentions)
    near(reading.attention, torch.stack((expected[:, :, LAST], expected[:, :, SUBJECT])))
    near(reading.attention.sum(dim=-1), torch.ones(2, LAYERS, HEADS))
    assert not reading.attention[1, :, :, SUBJECT + 1 :].any()


@EACH_FAMILY
def test_the_lens_reads_the_target_off_each_layer(family: str) -> None:
    runner = Runner(tiny(family))
    reading = reading_of(runner, point(target=11, rival=29, subject=SUBJECT))
    everywhere = whole_pass(runner)[0].logits[0]
    logits = everywhere[LAST]
    probabilities = logits.softmax(dim=-1)
    assert reading.lens.shape == (2, LAYERS + 1, 4)
    rank = int((logits >= logits[11]).sum())
    entropy = -(probabilities * probabilities.log()).sum()
    near(reading.lens[0, -1], torch.tensor([probabilities[11], rank, entropy, probabilities[11].log()]))
    assert reading.target_log_probability == pytest.approx(float(probabilities[11].log()), abs=1e-4)
    assert reading.target_rank == rank
    assert reading.rival_log_probability == pytest.approx(float(probabilities[29].log()), abs=1e-4)
    middle = runner.lens(reading.residual[0, 2]).softmax(dim=-1)
    near(reading.lens[0, 2, 0], middle[11])
    near(reading.lens[1, -1, 3], everywhere[SUBJECT].log_softmax(dim=-1)[11])
    near(reading.lens[1, 2, 0], runner.lens(reading.residual[1, 2]).softmax(dim=-1)[11])


def test_what_is_read_does_not_depend_on_what_follows() -> None:
    runner = Runner(tiny("Mistral"))
    long = reading_of(runner, point(subject=SUBJECT))
    short = reading_of(runner, point(tokens=TOKENS[: SUBJECT + 1]))
    near(long.residual[1], short.residual[0])
    near(long.attention[1, :, :, : SUBJECT + 1], short.attention[0])


def test_a_subject_at_the_parting_is_read_twice() -> None:
    reading = reading_of(Runner(tiny("Llama")), point(subject=LAST))
    assert reading.places == ("parting", "subject")
    assert torch.equal(reading.residual[0], reading.residual[1])
    assert torch.equal(reading.attention[0], reading.attention[1])


def test_a_single_token_attends_to_itself() -> None:
    reading = reading_of(Runner(tiny("Llama")), point(tokens=(7,)))
    assert reading.places == ("parting",)
    assert torch.equal(reading.attention, torch.ones(1, LAYERS, HEADS, 1))


def test_half_precision_is_kept_in_full_and_its_rows_sum_to_one() -> None:
    reading = reading_of(Runner(deepcopy(tiny("Llama")).half()), point())
    assert reading.residual.dtype == reading.neurons.dtype == reading.attention.dtype == torch.float32
    torch.testing.assert_close(reading.attention.sum(dim=-1), torch.ones(1, LAYERS, HEADS))


def test_readings_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    runner = Runner(tiny("Phi"))
    points = [point("one", subject=SUBJECT), point("a/b: ü\n", rival=None), point("three", TOKENS[:4])]
    told: list[int] = []
    with capture(runner, points, tmp_path, told.append) as readings:
        assert (list(readings), len(readings), told) == (["one", "a/b: ü\n", "three"], 3, [1, 1, 1])
        for each in points:
            kept, fresh = readings[each.case_id], reading_of(runner, each)
            assert kept.gate is None
            assert (kept.rival_log_probability, kept.broken_layer) == (fresh.rival_log_probability, None)
            for name in ("residual", "attention_out", "feed_forward_out", "neurons", "attention", "lens"):
                assert torch.equal(getattr(kept, name), getattr(fresh, name))
        assert readings["a/b: ü\n"].rival_log_probability is None
        with pytest.raises(KeyError):
            readings["two"]


def test_readings_are_private_and_go_when_they_are_closed(tmp_path: Path) -> None:
    with capture(Runner(tiny("Llama")), [point()], tmp_path, lambda _: None) as readings:
        (folder,) = tmp_path.iterdir()
        assert S_IMODE(folder.stat().st_mode) == 0o700
        assert len(list(folder.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert len(readings) == 0


def test_nothing_is_left_behind_by_what_fails(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(Runner(tiny("Llama")), [point()], tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    readings.close()
    with pytest.raises(QuantgateError, match=r"(?s)activations cannot be kept.*free some space"):
        readings.keep("paris", reading_of(Runner(tiny("Llama")), point()))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.embed_tokens", 0),
        ("model.layers.0.self_attn.v_proj", 0),
        ("model.layers.2.self_attn.k_proj", 2),
        ("model.layers.3.mlp.down_proj", 3),
        ("model.norm", LAYERS),
        ("lm_head", LAYERS),
    ],
)
def test_the_first_layer_that_is_not_finite_is_told(tmp_path: Path, name: str, layer: int) -> None:
    model = deepcopy(tiny("Llama"))
    model.get_submodule(name).weight.fill_(float("nan"))
    with capture(Runner(model), [point(subject=SUBJECT)], tmp_path, lambda _: None) as readings:
        assert readings["paris"].broken_layer == layer
        assert not readings["paris"].finite


def test_an_output_head_that_overflows_stands_behind_all_layers() -> None:
    model = deepcopy(tiny("Llama"))
    model.lm_head.weight[4] = float("inf")
    assert reading_of(Runner(model), point()).broken_layer == LAYERS


def test_quantized_keys_and_values_are_what_is_attended_to() -> None:
    model = tiny("Llama")
    reading, trace = reading_of(Runner(model, kv="int2"), point()), Runner(model, kv="int2").trace(TOKENS)
    near(reading.residual[0], trace.states[:, -1])
    assert not torch.allclose(reading.residual[0], reading_of(Runner(model), point()).residual[0], atol=1e-2)


@pytest.mark.parametrize("spec", ["nf4", "int8", "quanto:int8"])
def test_quantized_layers_are_run_and_read_with_their_own_kernels(tmp_path: Path, spec: str) -> None:
    variant = prepare_variant(spec, resolve_model(str(build_tiny_model(tmp_path))), device="cpu", kernels="native")
    runner = Runner(load_variant(variant).model, name=spec)
    assert type(runner.module("model.layers.0.mlp.up_proj")) is not nn.Linear
    trace = runner.trace(TOKENS)
    torch.testing.assert_close(trace.logits, whole_pass(runner)[0].logits[0, -1], atol=1e-2, rtol=1e-2)
    logits = runner.resume(trace, 1, trace.states[1].repeat(2, 1, 1))
    torch.testing.assert_close(logits, trace.logits.repeat(2, 1), atol=1e-2, rtol=1e-2)
    reading = reading_of(runner, point())
    assert reading.gate is not None
    assert reading.finite
    if spec != "int8":  # LLM.int8() keeps a column whole where a neighbour has an outlier, and here is none
        torch.testing.assert_close(reading.residual[0], trace.states[:, -1], atol=1e-2, rtol=1e-2)


def test_blocks_that_pass_their_linear_modules_by_are_told() -> None:
    model = deepcopy(tiny("Llama"))

    def fused(block: Any, states: torch.Tensor) -> torch.Tensor:
        gate = functional.linear(states, block.gate_proj.weight)
        return block.down_proj(block.act_fn(gate) * block.up_proj(states))  # type: ignore[no-any-return]

    for layer in model.model.layers:
        layer.mlp.forward = partial(fused, layer.mlp)
    with pytest.raises(ModelError, match="gate was seen in 0 of its 4 layers"):
        reading_of(Runner(model, name="nf4"), point())


@pytest.mark.parametrize("change", [lambda states: states, lambda states: states * 2])
def test_a_reading_tells_models_apart(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    model = deepcopy(tiny("Llama"))
    weight = model.model.layers[1].mlp.down_proj.weight
    weight.copy_(change(weight))
    before, after = reading_of(Runner(tiny("Llama")), point()), reading_of(Runner(model), point())
    same = [torch.equal(before.residual[0, layer], after.residual[0, layer]) for layer in range(LAYERS + 1)]
    unchanged = torch.equal(weight, tiny("Llama").model.layers[1].mlp.down_proj.weight)
    assert same == [True, True, *[unchanged] * 3]


def test_shapes_are_those_that_are_promised() -> None:
    reading = reading_of(Runner(tiny("Phi3")), point(subject=SUBJECT))
    assert isinstance(reading, Reading)
    assert reading.residual.shape == (2, LAYERS + 1, WIDTH)
    assert reading.attention_out.shape == reading.feed_forward_out.shape == (2, LAYERS, WIDTH)
    assert reading.gate is not None
    assert reading.gate.shape == reading.neurons.shape == (2, LAYERS, NEURONS)
    assert reading.attention.shape == (2, LAYERS, HEADS, len(TOKENS))
