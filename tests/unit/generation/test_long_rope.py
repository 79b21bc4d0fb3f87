"""Models that turn positions by other factors once a prompt is long: an answer must not depend on its neighbours."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedModel

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import Asked, Prompt
from pytest_quantgate.generation.run import Answers, answer, context_length
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant
from tests.tiny_model import SPECIAL, WORDS, build_tiny_model
from tests.unit.generation.test_decode import SHAPE, STOP, VOCABULARY, decode, evaluating, generate
from tests.unit.generation.test_recall import assert_same, expected

SWITCH = 64
MARKS = 2  # that the tiny model's template puts around one message


def config(**other: Any) -> Phi3Config:
    factors = {"short_factor": [1.0] * 8, "long_factor": [1.0 + each for each in range(8)]}
    rope = {"rope_type": "longrope", **factors}
    original = {"original_max_position_embeddings": SWITCH, "pad_token_id": 0, "eos_token_id": STOP}
    return Phi3Config(**{**SHAPE, **original, "rope_parameters": rope, **other})


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(11)
    return evaluating(Phi3ForCausalLM(config()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = build_tiny_model(tmp_path / "tiny")
    torch.manual_seed(12)
    network: Any = Phi3ForCausalLM(config(vocab_size=len(SPECIAL) + len(WORDS), eos_token_id=2))
    network.save_pretrained(made)
    return made


def tokens(chance: random.Random, count: int) -> tuple[int, ...]:
    return tuple(chance.randrange(4, VOCABULARY) for _ in range(count))


def test_the_context_ends_where_the_factors_change(model: PreTrainedModel) -> None:
    assert context_length(model.config) == SWITCH
    assert context_length(Phi3Config(**SHAPE, pad_token_id=0)) == SHAPE["max_position_embeddings"]


def test_answers_up_to_there_equal_those_of_transformers_generate(model: PreTrainedModel) -> None:
    chance = random.Random(4)
    lengths = [*(chance.randrange(2, SWITCH - 1) for _ in range(12)), SWITCH - 1, SWITCH - 2]
    prompts = [
        Prompt(f"{number}", tokens(chance, length), min(20, SWITCH - length)) for number, length in enumerate(lengths)
    ]
    for found in decode(model, prompts).values():
        assert list(found.token_ids) == [token for token in generate(model, found.prompt) if token != STOP]


def test_what_is_measured_up_to_there_does_not_depend_on_longer_neighbours(model: PreTrainedModel) -> None:
    chance = random.Random(6)
    prompts = [
        Prompt("first", tokens(chance, SWITCH - 1), 1),  # which is read alone
        Prompt("long", tokens(chance, SWITCH - 2), 1, (Asked("short", tokens(chance, 2)),)),
        Prompt("short", tokens(chance, SWITCH - 6), 1, (Asked("long", tokens(chance, 6)),)),
    ]
    answers = decode(model, prompts)
    for found in (answers["long"], answers["short"]):
        assert_same(found.recall[0], expected(model, found.prompt, found.prompt.asked[0]))


def asked(folder: Path, requests: list[Request], cache: Path) -> Answers:
    variant = prepare_variant("fp32", resolve_model(str(folder)), device="cpu")
    with CompletionCache(cache) as kept:
        return answer(variant, requests, kept, SilentProgress())


def test_longer_prompts_are_told_and_change_no_answer(folder: Path, tmp_path: Path) -> None:
    def request(words: int) -> Request:
        return Request((Message("user", " ".join(WORDS[:words])),), 30)

    fitting, longer = [request(words) for words in (3, 20, 50, 60)], request(SWITCH)
    alone = asked(folder, fitting, tmp_path / "alone.sqlite3")
    together = asked(folder, [*fitting, longer], tmp_path / "together.sqlite3")
    told = together.completions[longer.digest]
    assert told.finish_reason == "context"
    assert told.problem == f"the prompt of {SWITCH + MARKS} tokens does not fit the model's context of {SWITCH}"
    for each in fitting:
        found = together.completions[each.digest]
        assert found == alone.completions[each.digest]
        assert 0 < found.prompt_tokens + len(found.token_ids) <= SWITCH
