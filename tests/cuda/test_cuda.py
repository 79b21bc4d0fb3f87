"""The shipped tiny model on a GPU: the same answers, quantizers on their own kernels, memory as the device has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.generation import run
from pytest_quantgate.generation.budget import CPU_SHARE, CUDA_SHARE, key_value_budget
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.fidelity import Known
from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.generation.run import answer, stops_of
from pytest_quantgate.generation.slots import SlotPool
from pytest_quantgate.variants.memory import available_bytes, check_memory, release_memory
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, on_device, prepare_variant
from tests.along import logits_along
from tests.served import TINY_INSTRUCT

SUMS = [
    Request((Message("user", f"What is {first} + {second}?"),), 24)
    for first in (2, 13, 40, 57)
    for second in (5, 17, 38, 90)
]
BUDGET = 8 << 20
RECALL = replace(SUMS[0], recall=("The answer is 7.", "seven"))


def prepared(spec: str, device: str, kernels: str = "auto", dtype: str = "auto") -> Variant:
    source = resolve_model(str(TINY_INSTRUCT))
    return prepare_variant(spec, source, device=device, compute_dtype=dtype, kernels=kernels)


def answers_of(
    variant: Variant, folder: Path, asked: Sequence[Request] = SUMS, elsewhere: Sequence[Variant] = ()
) -> list[Completion]:
    folder.mkdir(exist_ok=True)
    with CompletionCache(folder / "answers.sqlite3") as cache:
        found = answer(variant, asked, cache, SilentProgress(), elsewhere=elsewhere).completions
    return [found[each.digest] for each in asked]


def alone(loaded: LoadedModel, request: Request) -> list[int]:
    """What ``generate`` of transformers answers to one prompt."""
    (prompt,), _ = tokenize(loaded.tokenizer, [request], 1024)
    model: Any = loaded.model
    ids = torch.tensor([prompt.token_ids], device=model.device)
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=0)
    stops = stops_of(loaded)
    return [token for token in made[0, ids.shape[1] :].tolist() if token not in stops]


def test_in_float32_the_answers_are_those_of_one_prompt_at_a_time(device: str, tmp_path: Path) -> None:
    variant = prepared("fp16", device, dtype="float32")
    found = answers_of(variant, tmp_path)
    loaded = load_variant(variant)
    assert str(loaded.model.device) == device
    assert [list(each.token_ids) for each in found] == [alone(loaded, request) for request in SUMS]


def test_a_gpu_answers_as_a_cpu_does_in_float32(device: str, tmp_path: Path) -> None:
    there = answers_of(prepared("fp16", device, dtype="float32"), tmp_path, [*SUMS, RECALL])
    here = answers_of(prepared("fp16", "cpu", dtype="float32"), tmp_path / "other", [*SUMS, RECALL])
    assert [each.token_ids for each in there] == [each.token_ids for each in here]
    for one, other in zip(there, here, strict=True):
        assert one.margins == pytest.approx(other.margins, abs=1e-2)
    for text, other_text in zip(there[-1].recall, here[-1].recall, strict=True):
        assert text.ranks == pytest.approx(other_text.ranks, abs=1)  # of hundreds of tokens, two may nearly tie
        assert text.log_probabilities == pytest.approx(other_text.log_probabilities, abs=1e-2)


@pytest.mark.parametrize("spec", ["fp16", "bf16", "fp16+kv:int8"])
def test_half_precision_says_nearly_the_same_along_an_answer(device: str, tmp_path: Path, spec: str) -> None:
    exact, half = prepared("fp16", device, dtype="float32"), prepared(spec, device)
    assert all(each.problem is None and each.token_ids for each in answers_of(half, tmp_path))
    known = [Known(each, answer.token_ids) for each, answer in zip(SUMS, answers_of(exact, tmp_path), strict=True)]
    chosen = [
        torch.cat([each.argmax(-1).cpu() for each in logits_along(load_variant(variant), known).values()])
        for variant in (exact, half)
    ]
    assert len(chosen[0]) > 5 * len(SUMS)
    assert float((chosen[0] == chosen[1]).float().mean()) > 0.9  # one by one: behind a near tie answers go other ways


@pytest.mark.parametrize("spec", ["nf4", "int8", "quanto:int8", "torchao:int8"])
def test_quantizers_run_and_are_audited_on_their_own_kernels(device: str, tmp_path: Path, spec: str) -> None:
    native = prepared(spec, device, "native")
    assert native.placement.kernels == "native"
    with CompletionCache(tmp_path / "answers.sqlite3") as cache:
        found = answer(native, SUMS, cache, SilentProgress())
    assert found.audit is not None
    assert found.audit.modules_replaced == 28
    assert all(each.problem is None and each.token_ids for each in found.completions.values())


@pytest.mark.parametrize("spec", ["nf4", "quanto:int8", "torchao:int8"])
def test_dense_weights_are_those_that_the_native_kernels_compute_with(device: str, spec: str) -> None:
    known = [Known(request, tuple(range(20, 40))) for request in SUMS]
    found = []
    for kernels in ("native", "dense"):
        loaded = load_variant(prepared(spec, device, kernels, "float32"))
        found.append(torch.cat(list(logits_along(loaded, known).values())).cpu())
    scale = found[1].abs().max()
    assert float((found[0] - found[1]).abs().max() / scale) < 0.02


@pytest.mark.parametrize("spec", ["nf4", "quanto:float8", "quanto:int4", "quanto:int2", "torchao:int8", "rtn:3bit"])
def test_dense_weights_are_the_same_on_every_device(device: str, spec: str) -> None:
    weights = []
    for where in (device, "cpu"):
        loaded: Any = load_variant(prepared(spec, where, "dense", "float32"))
        weights.append(loaded.model.model.layers[1].mlp.down_proj.weight.detach().cpu())
    there, here = weights
    # where a quotient lies between two levels, a device that multiplies by the inverse may round to the other one
    assert float(((there - here).abs() > 1e-3).float().mean()) < 0.01


def test_rows_that_are_one_in_memory_are_read_on_every_device(device: str) -> None:
    loaded = load_variant(prepared("fp16", device, dtype="float32"))
    found = logits_of(loaded.model, input_ids=torch.tensor([[5, 6, 7]]).expand(2, -1))
    assert str(found.device) == device
    assert torch.allclose(found[0], found[1], atol=1e-4)  # a product may split them anywhere


def test_memory_is_counted_by_the_device(device: str) -> None:
    free = available_bytes(device)
    check_memory(free // 2, device, "fp16")
    with pytest.raises(ModelError, match=f"on {device}"):
        check_memory(free + free // 4, device, "fp16")  # which may be less than the machine has elsewhere
    share = CPU_SHARE if device == "cpu" else CUDA_SHARE
    assert key_value_budget(device) == pytest.approx(free * share, rel=0.1)


def test_a_device_that_is_not_there_is_an_error_that_says_which_are(device: str) -> None:
    if not device.startswith("cuda"):
        pytest.skip("a CPU is always there")
    found = f"found {torch.cuda.device_count()} CUDA device"
    with pytest.raises(UsageError, match=rf"{found}s?\n  use --quant-device cuda:0"):
        prepared("fp16", "cuda:99")
    with pytest.raises(UsageError, match="cuda:99 cannot be used: "):
        available_bytes("cuda:99")


def test_memory_that_runs_out_on_the_device_halves_the_batch(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not device.startswith("cuda"):
        pytest.skip("only CUDA can be told how much there is")
    variant = prepared("fp16", device)
    asked = [Request((Message("user", f"{number}. " + "What is 2 + 3? " * 60),), 4) for number in range(64)]
    wanted = answers_of(variant, tmp_path, asked)  # libraries keep what they work in
    release_memory()
    monkeypatch.setattr(run, "key_value_budget", lambda *_: 1 << 30)
    room = torch.cuda.memory_reserved(device) + (48 << 20)
    notes: list[str] = []
    progress = SilentProgress()
    monkeypatch.setattr(progress, "note", notes.append)
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info(device)[1], device)
    try:
        with CompletionCache(tmp_path / "other.sqlite3") as cache:
            found = answer(variant, asked, cache, progress).completions
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert any(each.startswith("memory ran out with ") for each in notes)
    assert all(found[each.digest].problem is None for each in asked)
    assert all(each.problem is None for each in wanted)


def test_keys_and_values_keep_to_their_budget_on_the_device(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Request((Message("user", f"{number}. " + "What is 2 + 3? " * 30),), 4) for number in range(48)]
    held: list[int] = []
    devices: set[str] = set()
    advance = SlotPool.advance

    def noted(pool: SlotPool) -> None:
        states = [each for layer in pool.memory() for each in layer]
        held.append(sum(each.nbytes for each in states))
        devices.update(str(each.device) for each in states)
        advance(pool)

    monkeypatch.setattr(SlotPool, "advance", noted)
    monkeypatch.setattr(run, "key_value_budget", lambda *_: BUDGET)
    answers_of(prepared("fp16", device), tmp_path, asked)
    assert devices == {device}
    assert BUDGET // 2 < max(held) <= BUDGET  # all of them at a time would take several times as much


def test_a_model_is_freed_when_it_has_answered(device: str, tmp_path: Path) -> None:
    if not device.startswith("cuda"):
        pytest.skip("only CUDA tells what is allocated")
    variant = prepared("fp16", device)
    answers_of(variant, tmp_path)  # libraries keep what they work in
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    answers_of(variant, tmp_path / "other")
    weights = (TINY_INSTRUCT / "model.safetensors").stat().st_size
    assert torch.cuda.max_memory_allocated(device) - before > weights // 2
    assert torch.cuda.memory_allocated(device) - before < weights // 4


def test_two_devices_answer_as_one_does(device: str, tmp_path: Path) -> None:
    another = "cuda:1" if device.startswith("cuda") else device
    if device.startswith("cuda") and torch.cuda.device_count() < 2:
        pytest.skip("torch finds one CUDA device")
    variant = prepared("fp16", device, dtype="float32")
    one = answers_of(variant, tmp_path)
    two = answers_of(variant, tmp_path / "other", elsewhere=[on_device(variant, another)])
    assert [each.token_ids for each in two] == [each.token_ids for each in one]
