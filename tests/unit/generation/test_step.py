"""The short way through a decoding step: the same tokens, and only where it is known to be right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from pytest_quantgate.generation import step
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.slots import SlotPool
from pytest_quantgate.generation.step import ShortStep, short_step, top_two
from tests.unit.generation.test_decode import SHAPE, STOP, evaluating, generate, mixed_prompts

BUILDERS: dict[str, Callable[[], Any]] = {
    "Llama with biases": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)),
    "Llama, tied, one head a key": lambda: LlamaForCausalLM(
        LlamaConfig(**{**SHAPE, "num_key_value_heads": 4}, tie_word_embeddings=True)
    ),
    "Mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)),
    "Qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "Qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=32)),
}


def build(name: str) -> PreTrainedModel:
    torch.manual_seed(4)
    model = BUILDERS[name]()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "norm" in key or key.endswith("bias"):  # made as ones and zeros, which prove little
                parameter.add_(0.3 * torch.randn_like(parameter))
    return evaluating(model)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_short_way_gives_the_tokens_of_generate(name: str) -> None:
    model = build(name)
    prompts = mixed_prompts()[::3]
    expected = {prompt.digest: [token for token in generate(model, prompt) if token != STOP] for prompt in prompts}
    decoder = Decoder(model, frozenset({STOP}), 1 << 30)
    given = {each.prompt.digest: list(each.token_ids) for step in decoder.run(prompts) for each in step.finished}
    assert given == expected
    assert decoder._short is not None  # noqa: SLF001  (nothing else tells which way was taken)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BUILDERS)
def test_in_half_precision_each_step_is_the_models_own_but_for_rounding(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = build(name)
    decoder = Decoder(model.to(dtype), frozenset({STOP}), 1 << 30)
    right, distances = ShortStep.logits, list[torch.Tensor]()

    def compared(self: ShortStep, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        short, whole = right(self, token_ids, pool), decoder._whole(token_ids, pool)  # noqa: SLF001
        distances.append(((short.float() - whole.float()).norm(dim=1) / whole.float().norm(dim=1)).max())
        return short

    monkeypatch.setattr(ShortStep, "logits", compared)
    assert all(step.tokens for step in decoder.run(mixed_prompts()[::3]))
    assert len(distances) > 2
    assert float(torch.stack(distances).max()) < 40 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", BUILDERS)
def test_joined_weights_are_those_of_the_model_and_held_once(name: str) -> None:
    model = build(name)
    before = {key: parameter.clone() for key, parameter in model.named_parameters()}
    assert short_step(model) is not None
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in model.parameters()}
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]), key
    assert sum(storages.values()) == sum(each.nbytes for each in before.values())
    assert short_step(model) is not None  # as for the next turn of a chat
    assert storages.keys() == {each.untyped_storage().data_ptr() for each in model.parameters()}


class OtherLinear(nn.Linear):
    """A layer that computes in its own way, as quantized and adapted ones do."""


def other_layer(model: Any) -> None:
    model.model.layers[1].mlp.up_proj = OtherLinear(64, 96, bias=False)


class OtherEmbedding(nn.Embedding):
    """An embedding that does more than its weights say."""


def other_embedding(model: Any) -> None:
    model.model.embed_tokens = OtherEmbedding(SHAPE["vocab_size"], SHAPE["hidden_size"])


class OtherTensor(torch.Tensor):
    """Weights that compute in their own way, as some quantizers put them into ordinary layers."""


def other_weights(model: Any) -> None:
    layer = model.model.layers[0].mlp.down_proj
    layer.weight = nn.Parameter(layer.weight.data.as_subclass(OtherTensor), requires_grad=False)


def hooked(model: Any) -> None:
    model.model.layers[0].self_attn.register_forward_hook(lambda *_: None)


def patched(model: Any) -> None:
    layer = model.model.layers[0]
    layer.forward = layer.forward


def eager(model: Any) -> None:
    model.set_attn_implementation("eager")


def mixed(model: Any) -> None:
    model.model.norm.double()


@pytest.mark.parametrize("change", [other_layer, other_embedding, other_weights, hooked, patched, eager, mixed])
def test_what_is_not_plain_is_left_to_the_model(change: Callable[[Any], None]) -> None:
    model = build("Mistral")
    change(model)
    assert short_step(model) is None


def test_sliding_windows_are_left_to_the_model() -> None:
    assert short_step(evaluating(MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=16)))) is None


def differs(rows: int) -> torch.Tensor:
    return torch.ones(rows, SHAPE["vocab_size"])


def is_of_another_shape(rows: int) -> torch.Tensor:
    return torch.ones(rows, SHAPE["vocab_size"] + 1)


def fails(rows: int) -> torch.Tensor:
    raise TypeError(f"nobody thought of {rows} rows")


@pytest.mark.parametrize("ends", [differs, is_of_another_shape, fails])
def test_a_short_way_that_is_wrong_is_given_up_and_leaves_nothing_behind(
    ends: Callable[[int], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("Llama with biases")
    prompts = mixed_prompts()[:4]
    taken = []

    def wrong(self: ShortStep, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:  # noqa: ARG001
        taken.append(len(token_ids))
        for number, (keys, _) in enumerate(pool.memory()):
            states = torch.full((len(token_ids), keys.shape[1], 1, keys.shape[3]), 5.0)
            pool.layer(number).write(states, states)
        return ends(len(token_ids))

    monkeypatch.setattr(ShortStep, "logits", wrong)
    finished = [each for step in Decoder(model, frozenset({STOP}), 1 << 30).run(prompts) for each in step.finished]
    for answer in finished:
        assert list(answer.token_ids) == [token for token in generate(model, answer.prompt) if token != STOP]
    assert max(len(answer.token_ids) for answer in finished) > 1  # steps followed on what the first one wrote
    assert len(finished) == 4
    assert len(taken) == 1


def test_a_short_way_that_fails_later_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("Llama with biases")
    prompts = mixed_prompts()[:4]
    right, taken = ShortStep.logits, []

    def failing(self: ShortStep, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        taken.append(len(token_ids))
        return right(self, token_ids, pool) if len(taken) < 3 else fails(len(token_ids))

    monkeypatch.setattr(ShortStep, "logits", failing)
    finished = [each for step in Decoder(model, frozenset({STOP}), 1 << 30).run(prompts) for each in step.finished]
    for answer in finished:
        assert list(answer.token_ids) == [token for token in generate(model, answer.prompt) if token != STOP]
    assert len(finished) == 4
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("_layer", AttributeError("'LlamaAttention' object has no attribute 'scaling'")),
        ("_joined", RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")),
        ("_joined", MemoryError()),
    ],
)
def test_where_the_short_way_cannot_be_made_the_models_own_is_taken(
    part: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, right = [], getattr(step, part)

    def failing(modules: Any) -> Any:
        made.append(modules)
        if len(made) > 1:
            raise error
        return right(modules)

    model = build("Llama with biases")
    monkeypatch.setattr(step, part, failing)
    decoder = Decoder(model, frozenset({STOP}), 1 << 30)
    assert decoder._short is None  # noqa: SLF001  (nothing else tells which way was taken)
    prompts = mixed_prompts()[:4]
    finished = [each for found in decoder.run(prompts) for each in found.finished]
    assert len(finished) == 4
    for answer in finished:
        assert list(answer.token_ids) == [token for token in generate(model, answer.prompt) if token != STOP]


def test_memory_that_runs_out_on_the_short_way_halves_the_batch_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("Llama with biases")
    prompts = mixed_prompts()[:4]
    right, notes = ShortStep.logits, list[str]()

    def large(self: ShortStep, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        if pool.rows > 2:
            raise MemoryError
        return right(self, token_ids, pool)

    monkeypatch.setattr(ShortStep, "logits", large)
    decoder = Decoder(model, frozenset({STOP}), 1 << 30, notes.append)
    finished = [each for step in decoder.run(prompts) for each in step.finished]
    assert notes == ["memory ran out with 4 prompts at a time; going on with 2"]
    assert len(finished) == 4
    assert decoder._short is not None  # noqa: SLF001  (nothing else tells which way was taken)


@pytest.mark.parametrize("vocabulary", [3, 64, 127, 128, 300, 1000])
@pytest.mark.parametrize("order", ["rows", "tokens"])
def test_top_two_are_those_of_the_whole_row(vocabulary: int, order: str) -> None:
    torch.manual_seed(vocabulary)
    for logits in (torch.randn(7, vocabulary), torch.randint(3, (7, vocabulary)).float()):
        laid_out = logits if order == "rows" else logits.t().contiguous().t()
        tokens, top, second = top_two(laid_out.bfloat16())
        best = logits.bfloat16().float().topk(2)
        assert torch.equal(tokens, logits.bfloat16().argmax(-1))
        assert torch.equal(top, best.values[:, 0])
        assert torch.equal(second, best.values[:, 1])


def test_a_logit_that_is_no_number_is_not_passed_over() -> None:
    logits = torch.randn(3, 500)
    logits[1, 333] = float("nan")
    _, top, _ = top_two(logits)
    assert torch.isnan(top).tolist() == [False, True, False]


def test_rows_of_about_the_same_length_stay_side_by_side() -> None:
    chance = random.Random(1)
    pool = SlotPool([(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))], rows=40, capacity=600)
    rows: list[tuple[int, int]] = []  # a name, and the cursor's distance to its first column
    for name, length in enumerate(sorted((chance.randrange(5, 400) for _ in range(40)), reverse=True)):
        states = torch.full((1, 1, length, 2), float(name))
        pool.add([(states, states)], 0, length)
        rows.append((name, length))
    counts = [len(pool.runs())]
    while rows:
        runs = pool.runs()
        assert [row for run, _ in runs for row in range(run.start, run.stop)] == list(range(len(rows)))
        for run, window in runs:
            lengths = [length for _, length in rows[run]]
            assert pool.cursor - window == max(lengths)
            assert min(lengths) >= 0.8 * max(lengths) or max(lengths) - min(lengths) <= 32
        for row, (name, length) in enumerate(rows):
            assert pool.cursor - pool.starts[row] == length
            assert (pool.layer(0).keys[row, 0, pool.cursor - length : pool.cursor] == name).all()
        for source, target in pool.remove(gone := chance.randrange(len(rows))):
            assert source > target >= gone
            rows[target] = rows[source]
        rows.pop()
        counts.append(len(pool.runs()))
    assert counts == sorted(counts, reverse=True)  # a row that leaves splits no run
