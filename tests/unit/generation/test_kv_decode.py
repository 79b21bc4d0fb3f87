"""Decoding with quantized keys and values: attention reads what would be stored, whatever runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.decoded import Decoded
from pytest_quantgate.generation.kv_quant import store_of
from pytest_quantgate.generation.prompts import Asked, Prompt
from pytest_quantgate.variants.kv import SCHEMES
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule
from tests.unit.generation.test_decode import SHAPE, STOP, evaluating, mixed_prompts, tokens_of

MEASURED = Prompt("measured", tuple(range(4, 30)), 5, (Asked("it", (7, 8, 9)), Asked("that", (12,))))


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(11)
    return evaluating(LlamaForCausalLM(LlamaConfig(**SHAPE)))


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    kv: str | None,
    schedule: Schedule = USUAL,
    kv_bytes: int = 1 << 30,
) -> dict[str, Decoded]:
    steps = Decoder(model, frozenset({STOP}), kv_bytes, schedule=schedule, kv=kv).run(prompts)
    return {decoded.prompt.digest: decoded for step in steps for decoded in step.finished}


def some_prompts() -> list[Prompt]:
    """Short ones, a long one, three that begin alike, and one that asks how probable texts are."""
    return [*mixed_prompts()[:20:4], *mixed_prompts()[-4:], MEASURED]


@pytest.fixture
def stored_attention(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Attention that rounds all keys and values itself: then one pass without any cache is right."""
    scheme: str = request.param
    store, usual = store_of(scheme), ALL_ATTENTION_FUNCTIONS["sdpa"]

    def attention(module: Any, queries: Any, keys: Any, values: Any, *rest: Any, **named: Any) -> Any:
        return usual(module, queries, store(keys), store(values), *rest, **named)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", attention)  # noqa: SLF001
    return scheme


@pytest.mark.parametrize("stored_attention", SCHEMES, indirect=True)
def test_answers_are_those_of_passes_over_the_whole_text_whose_keys_and_values_are_rounded(
    model: PreTrainedModel, stored_attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network: Any = model
    expected, prompts = {}, [*mixed_prompts()[:20:5], MEASURED]
    with torch.inference_mode():
        for prompt in prompts:
            tokens: list[int] = []
            while len(tokens) < prompt.max_new_tokens and STOP not in tokens:
                text = torch.tensor([[*prompt.token_ids, *tokens]])
                tokens.append(int(network(text, use_cache=False).logits[0, -1].argmax()))
            expected[prompt.digest] = tuple(token for token in tokens if token != STOP)
        asked = torch.tensor([[*MEASURED.token_ids, *MEASURED.asked[0].token_ids]])
        logits = network(asked, use_cache=False).logits[0, len(MEASURED.token_ids) - 1 : -1]
    recalled = logits.log_softmax(-1).gather(1, torch.tensor(MEASURED.asked[0].token_ids)[:, None])[:, 0]
    monkeypatch.undo()
    found = decode(model, prompts, stored_attention)
    assert {digest: decoded.token_ids for digest, decoded in found.items()} == expected
    assert found["measured"].recall[0].log_probabilities == pytest.approx(recalled.tolist(), abs=2e-3)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("schedule", "kv_bytes"),
    [
        (another_schedule(kernels=False), 1 << 30),
        (Schedule(padding=5, chunk=16, max_rows=3, reverse=True), 1 << 19),  # shared beginnings, shortest first
    ],
    ids=str,
)
def test_answers_do_not_depend_on_the_schedule(
    model: PreTrainedModel, scheme: str, schedule: Schedule, kv_bytes: int
) -> None:
    usual, other = decode(model, some_prompts(), scheme), decode(model, some_prompts(), scheme, schedule, kv_bytes)
    assert tokens_of(other) == tokens_of(usual)
    for found, right in zip(other["measured"].recall, usual["measured"].recall, strict=True):
        assert found.ranks == right.ranks
        assert found.log_probabilities == pytest.approx(right.log_probabilities, abs=2e-3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_answers_do_not_depend_on_what_else_is_asked(model: PreTrainedModel, scheme: str) -> None:
    prompts = some_prompts()
    together = tokens_of(decode(model, prompts, scheme))
    assert together == {prompt.digest: tokens_of(decode(model, [prompt], scheme))[prompt.digest] for prompt in prompts}


def test_fewer_bits_move_the_logits_more(model: PreTrainedModel) -> None:
    """Margins are differences of logits: how far they move from those of the unquantized model."""
    prompts = [Prompt(prompt.digest, prompt.token_ids, 1) for prompt in mixed_prompts()]
    exact = decode(model, prompts, None)

    def error(scheme: str) -> float:
        found = decode(model, prompts, scheme)
        return sum(abs(found[name].margins[0] - exact[name].margins[0]) for name in exact if found[name].margins)

    assert 0 < error("int8") < error("fp8") < error("int4") < error("int2")
