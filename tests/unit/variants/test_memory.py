from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.variants import memory
from pytest_quantgate.variants.device import Kernels, Placement
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.memory import (
    ALLOWANCE_BYTES,
    available_bytes,
    check_memory,
    estimate_bytes,
    is_out_of_memory,
    release_memory,
)
from pytest_quantgate.variants.registry import backend_of
from pytest_quantgate.variants.spec import parse_spec

SIDE = 1000
LAYER = TensorHeader("model.layers.0.mlp.up_proj.weight", "F16", (SIDE, SIDE))
EMBEDDING = TensorHeader("model.embed_tokens.weight", "F16", (SIDE, SIDE))
HEAD = TensorHeader("lm_head.weight", "F16", (SIDE, SIDE))


def estimate(text: str, *tensors: TensorHeader, kernels: Kernels = "native") -> int:
    """Bytes per weight of one matrix, what every variant needs left out."""
    spec = parse_spec(text)
    placement = Placement("cpu", "float32", kernels)
    total = estimate_bytes(tensors, backend_of(spec.name).describe(spec), placement)
    return round((total - ALLOWANCE_BYTES) / SIDE**2 - 6)


def test_a_plain_variant_takes_what_its_arithmetic_takes() -> None:
    assert estimate("fp16", LAYER, EMBEDDING) == 8


def test_native_quantized_layers_take_their_bits() -> None:
    assert estimate("int8", LAYER) == 1
    assert estimate("int8", LAYER, LAYER, LAYER, EMBEDDING, HEAD) == 3 + 4 + 4


def test_dense_kernels_take_full_weights() -> None:
    assert estimate("nf4", LAYER, kernels="dense") == 4


@pytest.mark.parametrize("skip", ["model.layers.0", "up_proj"])
def test_skipped_modules_take_full_weights(skip: str) -> None:
    assert estimate(f"int8:skip={skip}", LAYER) == 4


def test_experts_take_full_weights() -> None:
    expert = TensorHeader("model.layers.0.mlp.experts.3.up_proj.weight", "F16", (SIDE, SIDE))
    assert estimate("int8", expert) == 4


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (OSError("no space left on device"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_faults(error: Exception, *, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 3 << 30)
    check_memory(3 << 30, "cpu", "fp16")
    check_memory(3 << 29, "cpu", "fp16", 2)
    with pytest.raises(ModelError, match=r"needs about 2\.0 GiB on cpu for each of 2 processes, and 3\.0 GiB are av"):
        check_memory(2 << 30, "cpu", "fp16", 2)
    with pytest.raises(ModelError, match=r"needs about 7\.5 GiB on cpu, and 3\.0 GiB are available"):
        check_memory(15 << 29, "cpu", "fp16")


@pytest.mark.parametrize(
    ("limit", "expected"), [("1000", 1000 - 600 + 100), ("500", 0), ("max", None), (str(2**63 - 4096), None)]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None, version: int
) -> None:
    folder = tmp_path if version == 2 else tmp_path / "memory"
    folder.mkdir(exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, content in zip(names, (limit, "600"), strict=True):
        (folder / name).write_text(content)
    # version 1 tells of the group alone, too, without those below it
    stat = "inactive_file 100" if version == 2 else "inactive_file 7\ntotal_inactive_file 100"
    (folder / "memory.stat").write_text(f"anon 500\n{stat}\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if expected is None:
        assert available_bytes("cpu") > 1000
    else:
        assert available_bytes("cpu") == expected


def test_a_gpu_has_what_it_says_and_what_torch_holds_of_it_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    free, held, used = ({"cuda:0": a, "cuda:1": b} for a, b in ((500, 7000), (90, 80), (60, 80)))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (free[name], 10_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", held.__getitem__)
    monkeypatch.setattr(torch.cuda, "memory_allocated", used.__getitem__)
    assert available_bytes("cuda:0") == 500 + 90 - 60
    assert available_bytes("cuda:1") == 7000
    assert available_bytes("cuda:0+cuda:1") == 530 + 7000


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA enabled"),
        (RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`"), "CUDA error: out of memory"),
        (RuntimeError("No CUDA GPUs are available"), "No CUDA GPUs are available"),
        (torch.cuda.DeferredCudaCallError("CUDA call failed lazily"), "CUDA call failed lazily"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_gpu_that_fails_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(_: str) -> tuple[int, int]:
        raise error

    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    for ask in (available_bytes, lambda name: check_memory(1, name, "fp16")):
        with pytest.raises(UsageError) as caught:
            ask("cuda:3")
        assert str(caught.value) == (
            f"--quant-device: cuda:3 cannot be used: {told}\n"
            "  nvidia-smi shows whether it is well, and who holds its memory; or use --quant-device cpu"
        )


def test_a_gpu_that_failed_gives_nothing_back_and_hides_no_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fail() -> None:
        asked.append("empty")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", fail)
    release_memory()
    assert asked == ["empty"]


HOLES = """
import sys
from contextlib import nullcontext
import psutil
from pytest_quantgate.variants.memory import mapped_weights

def held():
    found = psutil.Process().memory_full_info()
    return found.rss + found.swap  # what a full machine swaps out is not given back

bytearray(1 << 24)  # glibc learns that pieces of this size come and go
with mapped_weights() if sys.argv[1] == "mapped" else nullcontext():
    pieces = [bytearray(200_000) for _ in range(1_000)]
    most = held()
    del pieces[::2]
    print(most - held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="memory is given back so with glibc only")
def test_weights_that_are_freed_between_others_go_back_to_the_system() -> None:
    freed = {
        way: int(subprocess.run([sys.executable, "-c", HOLES, way], check=True, capture_output=True, text=True).stdout)
        for way in ("mapped", "plain")
    }
    assert freed["mapped"] >= 95_000_000
    assert freed["plain"] < 20_000_000
