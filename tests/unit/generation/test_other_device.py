"""On a device that is not the CPU, pretended here, answers and measures are the same, and no tensor is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import decode as decoding
from pytest_quantgate.generation import forward
from pytest_quantgate.generation.budget import CUDA_SHARE
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.decoded import Decoded
from pytest_quantgate.generation.expected import Expected, Fidelity
from pytest_quantgate.generation.fidelity import Comparing, Expecting, Known, Meter, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import Prompt
from pytest_quantgate.generation.run import generate
from pytest_quantgate.generation.slots import SlotPool
from pytest_quantgate.variants.kv import SCHEMES
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule
from pytest_quantgate.variants.variant import LoadedModel
from tests.along import known
from tests.pretended import DEVICE, pretended
from tests.tiny_model import WORDS
from tests.unit.generation.test_decode import SHAPE, STOP, evaluating, mixed_prompts
from tests.unit.generation.test_kv_decode import some_prompts
from tests.unit.generation.test_recall import prompts as asking_prompts


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(11)
    return evaluating(LlamaForCausalLM(LlamaConfig(**SHAPE)))


@pytest.fixture(autouse=True)
def one_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU no other kernels and no shorter way than elsewhere: what differs then is where tensors are."""
    monkeypatch.setattr(forward, "Linear", nullcontext)
    monkeypatch.setattr(decoding, "short_step", lambda _: None)


def decode(
    model: PreTrainedModel,
    prompts: list[Prompt],
    kv_bytes: int = 1 << 30,
    *,
    kv: str | None = None,
    schedule: Schedule = USUAL,
    ends: int | None = None,
) -> dict[str, Decoded]:
    """All answers; with ``ends`` each may end after so many tokens."""

    def decided(_: str, token_ids: Sequence[int]) -> bool:
        return ends is not None and len(token_ids) >= ends

    stops = frozenset({STOP})
    decoder = Decoder(model, stops, kv_bytes, schedule=schedule, kv=kv, decided=decided if ends else None)
    return {each.prompt.digest: each for step in decoder.run(prompts) for each in step.finished}


def assert_same(found: dict[str, Decoded], wanted: dict[str, Decoded]) -> None:
    assert found.keys() == wanted.keys()
    for name, each in found.items():
        other = wanted[name]
        assert (each.token_ids, each.reason) == (other.token_ids, other.reason), name
        assert each.margins == pytest.approx(other.margins, abs=1e-3)
        for text, right in zip(each.recall, other.recall, strict=True):
            assert (text.ranks, text.ties, text.problem) == (right.ranks, right.ties, right.problem)
            assert text.log_probabilities == pytest.approx(right.log_probabilities, abs=1e-3)


@pytest.mark.parametrize(
    ("kv_bytes", "schedule"),
    [(1 << 30, USUAL), (1 << 21, USUAL), (1 << 19, USUAL), (1 << 21, another_schedule(kernels=False))],
    ids=["all at once", "rows come and go", "few rows", "another way"],
)
def test_answers_are_the_same(model: PreTrainedModel, kv_bytes: int, schedule: Schedule) -> None:
    wanted = decode(model, mixed_prompts(), kv_bytes, schedule=schedule)
    with pretended(model) as device:
        found = decode(model, mixed_prompts(), kv_bytes, schedule=schedule)
    assert_same(found, wanted)
    assert device.transfers["pinned"] > 0
    assert device.transfers["pageable"] == 0  # a copy from there would wait for everything that still runs


def test_recall_is_the_same(model: PreTrainedModel) -> None:
    wanted = decode(model, asking_prompts(), 1 << 21)
    with pretended(model):
        found = decode(model, asking_prompts(), 1 << 21)
    assert_same(found, wanted)
    assert sum(len(each.recall) for each in found.values()) > 20


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantized_keys_and_values_are_the_same(model: PreTrainedModel, scheme: str) -> None:
    wanted = decode(model, some_prompts(), 1 << 21, kv=scheme)
    with pretended(model):
        found = decode(model, some_prompts(), 1 << 21, kv=scheme)
    assert_same(found, wanted)


def test_answers_end_early_at_the_same_token(model: PreTrainedModel) -> None:
    wanted = decode(model, mixed_prompts(), ends=3)
    with pretended(model):
        found = decode(model, mixed_prompts(), ends=3)
    assert_same(found, wanted)
    assert "decided" in {each.reason for each in found.values()}


def test_memory_that_runs_out_there_halves_the_batch(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = decode(model, mixed_prompts())
    make_room = SlotPool.make_room

    def crowded(pool: SlotPool) -> None:
        if pool.active > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        make_room(pool)

    monkeypatch.setattr(SlotPool, "make_room", crowded)
    with pretended(model):
        found = decode(model, mixed_prompts())
    assert_same(found, wanted)


def measured(loaded: LoadedModel, asked: list[Known], expected: dict[str, Expected] | None = None) -> dict[str, Any]:
    """What a model expects along the answers; how near it is to what another expects, where that is given."""

    def meters(digests: Sequence[str]) -> dict[str, Meter[Any]]:
        return {each: Expecting() if expected is None else Comparing(expected[each]) for each in digests}

    return dict(along(loaded, asked, meters, SilentProgress()))


@pytest.mark.parametrize("spec", ["rtn:3bit-g64", "fp16+kv:int2"])
def test_fidelity_is_the_same(models: dict[str, LoadedModel], spec: str) -> None:
    asked = known(models)
    before, after = models["fp16"], models[spec]
    wanted = measured(after, asked, measured(before, asked))
    with pretended(before.model, after.model):
        expected = measured(before, asked)
        found = measured(after, asked, expected)
    assert all(isinstance(each, Expected) for each in expected.values())
    assert found.keys() == wanted.keys() == {each.request.digest for each in asked}
    for digest, each in found.items():
        right = wanted[digest]
        assert isinstance(each, Fidelity)
        assert (each.tokens, each.agreeing) == (right.tokens, right.agreeing)
        assert each.divergence == pytest.approx(right.divergence, abs=1e-4)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where keys and values are at each step, and how many bytes they have."""
    found: list[tuple[str, int]] = []
    advance = SlotPool.advance

    def noted(pool: SlotPool) -> None:
        states = [each for layer in pool.memory() for each in layer]
        found.append((str(states[0].device), sum(each.nbytes for each in states)))
        advance(pool)

    monkeypatch.setattr(SlotPool, "advance", noted)
    return found


def test_keys_and_values_take_their_share_of_what_the_device_says_is_free(
    models: dict[str, LoadedModel], steps: list[tuple[str, int]]
) -> None:
    loaded = models["fp16"]
    requests = [Request((Message("user", " ".join(WORDS[n : n + 4])),), 12) for n in range(24)]

    def answers() -> dict[str, Completion]:
        found: dict[str, Completion] = {}
        generate(loaded, requests, found.update, SilentProgress())
        return found

    wanted = answers()
    assert {where for where, _ in steps} == {"cpu"}
    steps.clear()
    free = 1 << 19
    with pretended(loaded.model, free=free):
        found = answers()
    assert {where for where, _ in steps} == {DEVICE}
    assert free * CUDA_SHARE / 4 < max(size for _, size in steps) <= free * CUDA_SHARE
    assert {digest: replace(each, margins=()) for digest, each in found.items()} == {
        digest: replace(each, margins=()) for digest, each in wanted.items()
    }
