"""A model watched and begun in the middle says what its own forward pass says, in every family."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from pytest_quantgate.diagnosis.architecture import ArchitectureRegistry, unregister
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.kv_quant import cache_of, store_of
from tests.unit.diagnosis.families import FAMILIES, LAYERS, TOKENS, WIDTH, tiny
from tests.unit.diagnosis.test_architecture import GPT2

EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)
near = partial(torch.testing.assert_close, atol=1e-4, rtol=1e-4)


def forward(model: Any, **options: Any) -> Any:
    with torch.no_grad():
        return model(torch.tensor([TOKENS]), **options)


def attention_of(model: Any) -> str:
    return str(model.config._attn_implementation)  # noqa: SLF001


def state_of(model: nn.Module) -> list[tuple[int, int, bool]]:
    """What hangs on each module; transformers leaves hooks of its own behind."""
    return [
        (len(module._forward_hooks), len(module._forward_pre_hooks), "forward" in vars(module))  # noqa: SLF001
        for module in model.modules()
    ]


@EACH_FAMILY
def test_a_trace_holds_the_states_between_the_layers(family: str) -> None:
    model = tiny(family)
    trace = Runner(model).trace(TOKENS)
    expected = forward(model, output_hidden_states=True)
    states = torch.cat(expected.hidden_states)
    assert trace.token_ids == TOKENS
    assert trace.states.shape == (LAYERS + 1, len(TOKENS), WIDTH)
    near(trace.states[:-1], states[:-1])
    norm = model.get_submodule(Runner(model).architecture.final_norm)
    near(norm(trace.states[-1]), states[-1])  # theirs is behind the final norm
    near(trace.logits, expected.logits[0, -1])


@EACH_FAMILY
def test_begun_at_any_layer_and_position_it_comes_to_the_same_logits(family: str) -> None:
    runner = Runner(tiny(family))
    trace = runner.trace(TOKENS)
    for layer in range(LAYERS + 1):
        for begin in (0, 5, len(TOKENS) - 1):
            logits = runner.resume(trace, layer, trace.states[layer][None, begin:], begin)
            near(logits, trace.logits[None])


@EACH_FAMILY
@pytest.mark.parametrize(("layer", "position"), [(0, 3), (3, 5)])
def test_another_state_has_the_effect_that_it_has_in_a_whole_pass(family: str, layer: int, position: int) -> None:
    model = tiny(family)
    runner = Runner(model)
    trace = runner.trace(TOKENS)
    others = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(5))
    expected = []
    for other in others:

        def put_in(_: nn.Module, inputs: tuple[Any, ...], state: torch.Tensor = other) -> tuple[Any, ...]:
            states = inputs[0].clone()
            states[0, position] = state
            return (states, *inputs[1:])

        handle = model.model.layers[layer].register_forward_pre_hook(put_in)
        expected.append(forward(model).logits[0, -1])
        handle.remove()
    states = trace.states[layer].repeat(2, 1, 1)
    states[:, position] = others
    near(runner.resume(trace, layer, states), torch.stack(expected))
    near(runner.resume(trace, layer, states[:, position:], position), torch.stack(expected))
    assert not torch.allclose(expected[0], trace.logits, atol=1e-2)


@EACH_FAMILY
def test_one_layer_alone_leads_from_state_to_state(family: str) -> None:
    runner = Runner(tiny(family))
    trace = runner.trace(TOKENS)
    for layer in range(LAYERS):
        near(runner.step(trace, layer, trace.states[layer]), trace.states[layer + 1])


@EACH_FAMILY
def test_the_lens_behind_the_last_layer_is_the_output(family: str) -> None:
    runner = Runner(tiny(family))
    trace = runner.trace(TOKENS)
    logits = forward(runner.model).logits[0]
    near(runner.lens(trace.states[-1]), logits)
    near(runner.lens(trace.states)[-1, 3], logits[3])
    if family == "Gemma2":
        assert runner.lens(trace.states * 100).abs().max() <= 3  # its cap holds in the middle too


@EACH_FAMILY
def test_choices_are_the_next_tokens_of_the_model_itself(family: str) -> None:
    runner = Runner(tiny(family))
    expected = forward(runner.model).logits[0].argmax(dim=-1)
    for begin in (0, 4, len(TOKENS) - 1):
        assert runner.choices(TOKENS, begin).tolist() == expected[begin:].tolist()


@EACH_FAMILY
def test_attention_is_the_models_own_and_the_way_it_is_computed_stays(family: str) -> None:
    model = tiny(family)
    before = attention_of(model)
    found: dict[int, torch.Tensor] = {}
    Runner(model).attention(TOKENS, 4, found.__setitem__)
    assert attention_of(model) == before
    model.set_attn_implementation("eager")
    expected = forward(model, output_attentions=True).attentions
    model.set_attn_implementation(before)
    assert sorted(found) == list(range(LAYERS))
    for layer, rows in found.items():
        near(rows, expected[layer][0, :, 4:])
        torch.testing.assert_close(rows.sum(dim=-1), torch.ones(rows.shape[:2]))


@EACH_FAMILY
def test_a_model_is_left_as_it_was(family: str) -> None:
    runner = Runner(tiny(family))
    before, state = forward(runner.model).logits, state_of(runner.model)
    trace = runner.trace(TOKENS)
    runner.step(trace, 1, trace.states[1])
    runner.lens(trace.states)
    runner.attention(TOKENS, 0, lambda _, __: None)
    with pytest.raises(RuntimeError):
        runner.resume(trace, 2, trace.states[2][None, :, 1:])  # too narrow: the pass fails halfway
    assert state_of(runner.model) == state
    assert torch.equal(forward(runner.model).logits, before)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 2.0},
        {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4},
        {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "factor": 4.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 4,
        },
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_positions_are_the_models_own_where_they_are_stretched(rope: dict[str, Any]) -> None:
    """The text is longer than what the model was first made for."""
    config = deepcopy(tiny("Llama").config)
    config.max_position_embeddings = 4
    config.rope_parameters = {"rope_theta": 10000.0, "original_max_position_embeddings": 4, **rope}
    model: Any = LlamaForCausalLM(config)
    model.load_state_dict(tiny("Llama").state_dict())
    runner = Runner(model.eval())
    trace = runner.trace(TOKENS)
    near(trace.logits, forward(model).logits[0, -1])
    assert not torch.allclose(trace.logits, Runner(tiny("Llama")).trace(TOKENS).logits, atol=1e-2)
    runner.lens(trace.states)  # reads a shorter text in between
    near(runner.resume(trace, 1, trace.states[1][None, 6:], 6)[0], trace.logits)


@pytest.mark.parametrize("scheme", ["int8", "int2", "fp8"])
def test_quantized_keys_and_values_are_read_wherever_it_begins(scheme: str) -> None:
    model = tiny("Llama")
    runner = Runner(model, kv=scheme)
    trace = runner.trace(TOKENS)
    expected = forward(model, past_key_values=cache_of(store_of(scheme)), use_cache=True).logits[0]
    near(trace.logits, expected[-1])
    assert not torch.allclose(trace.logits, Runner(model).trace(TOKENS).logits, atol=1e-2)
    for layer, begin in ((0, 0), (1, 4), (3, 8)):
        logits = runner.resume(trace, layer, trace.states[layer][None, begin:], begin)
        near(logits[0], trace.logits)
    near(runner.step(trace, 2, trace.states[2]), trace.states[3])
    assert runner.choices(TOKENS, 2).tolist() == expected[2:].argmax(dim=-1).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_and_read_in_full(dtype: torch.dtype) -> None:
    runner = Runner(deepcopy(tiny("Llama")).to(dtype))
    trace = runner.trace(TOKENS)
    assert (trace.states.dtype, trace.logits.dtype) == (dtype, torch.float32)
    resumed = runner.resume(trace, 2, trace.states[2][None].float())
    assert resumed.dtype == runner.lens(trace.states).dtype == torch.float32
    torch.testing.assert_close(resumed[0], trace.logits, atol=0.1, rtol=0.1)


def test_numbers_that_are_none_give_a_trace_and_no_choice() -> None:
    model = deepcopy(tiny("Llama"))
    model.model.layers[2].mlp.down_proj.weight.fill_(float("nan"))
    runner = Runner(model)
    trace = runner.trace(TOKENS)
    assert trace.states[2].isfinite().all()
    assert trace.states[3].isnan().all()
    assert trace.logits.isnan().all()
    assert runner.choices(TOKENS, 5).tolist() == [-1] * 4


def test_a_single_token_can_be_traced_and_begun_again() -> None:
    runner = Runner(tiny("Qwen2"))
    trace = runner.trace(TOKENS[:1])
    near(runner.resume(trace, 3, trace.states[3][None])[0], trace.logits)


def test_a_forward_that_a_library_put_there_stays() -> None:
    model = deepcopy(tiny("Llama"))
    calls = []
    own: Callable[..., torch.Tensor] = model.model.layers[0].forward

    def wrapped(*inputs: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return own(*inputs, **options)

    model.model.layers[0].forward = wrapped
    runner = Runner(model)
    trace = runner.trace(TOKENS)
    calls.clear()
    runner.resume(trace, 1, trace.states[1][None])
    assert (calls, model.model.layers[0].forward) == ([], wrapped)


def test_modules_may_be_exchanged_under_a_runner() -> None:
    model, other = deepcopy(tiny("Llama")), tiny("Llama", 1)
    runner = Runner(model)
    trace = runner.trace(TOKENS)
    model.model.layers[1] = other.model.layers[1]
    expected = Runner(other).step(trace, 1, trace.states[1])
    near(runner.step(trace, 1, trace.states[1]), expected)


def test_a_model_whose_layers_are_not_all_there_is_to_it_is_refused() -> None:
    model = deepcopy(tiny("Llama"))
    heard: list[torch.Tensor] = []
    model.model.layers[0].mlp.register_forward_hook(lambda _, __, output: heard.append(output.mean()))
    model.lm_head.register_forward_hook(lambda _, __, logits: logits * (heard.pop() if heard else 2))
    with pytest.raises(ModelError, match="begun in the middle it gives other logits"):
        Runner(model, name="nf4").trace(TOKENS)


def test_layers_that_give_more_than_states_are_told() -> None:
    model = deepcopy(tiny("Llama"))
    for layer in model.model.layers:
        layer.register_forward_hook(lambda _, __, states: (states, None))
    for module in (*model.model.layers[1:], model.model.norm):  # as a loop over such layers takes them apart
        module.register_forward_pre_hook(lambda _, inputs: inputs[0][:1])
    with pytest.raises(ModelError, match="its layers give more than states"):
        Runner(model).trace(TOKENS)


def test_attention_that_is_not_given_is_told() -> None:
    model = deepcopy(tiny("Llama"))
    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(lambda _, __, output: (output[0], None))
    runner = Runner(model, name="nf4")
    with pytest.raises(ModelError, match="nf4: LlamaForCausalLM cannot be looked into: its attention"):
        runner.attention(TOKENS, 2, lambda _, __: None)
    assert attention_of(model) == "sdpa"


def test_a_described_architecture_runs_like_one_that_was_found() -> None:
    config = GPT2Config(vocab_size=60, n_embd=WIDTH, n_layer=3, n_head=4, n_positions=32, initializer_range=0.3)
    ArchitectureRegistry().register("GPT2LMHeadModel", GPT2)
    model: Any = GPT2LMHeadModel(config)
    try:
        runner = Runner(model.eval())
    finally:
        unregister("GPT2LMHeadModel")
    trace = runner.trace(TOKENS)
    near(trace.logits, forward(runner.model).logits[0, -1])
    near(runner.resume(trace, 1, trace.states[1][None, 4:], 4)[0], trace.logits)
