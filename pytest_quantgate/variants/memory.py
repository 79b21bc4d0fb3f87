"""Whether a model fits, estimated from file headers before anything is loaded; and giving back what is not used."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.variants.device import DTYPE_BYTES, Placement, members
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.modules import covers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.source import message_of

ALLOWANCE_BYTES = 1 << 30
"""For torch and the tokenizer, and for answering the first requests."""

_GIB = 1 << 30
_FP16_BYTES = 2
_MATRIX = 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_SMALLEST_WEIGHT = 1 << 17
_MOST_LEARNED = 1 << 25  # the most that glibc learns; twice as much it then keeps at the end of its heap
_CGROUP = Path("/sys/fs/cgroup")


def estimate_bytes(tensors: Iterable[TensorHeader], description: Description, placement: Placement) -> int:
    """Most bytes that loading and holding a variant should take, allowance included.

    Matrices that are neither embedding nor output head count as quantized where the variant quantizes;
    experts do not, which transformers joins into parameters that quantizers leave alone. The largest tensor
    counts once more in fp16 and in the compute dtype, for being brought from one to the other.

    Args:
        tensors: All tensors of the checkpoint.
        description: What the variant's backend says of it.
        placement: How it is put to work.
    """
    tensors = tuple(tensors)
    plain = DTYPE_BYTES[placement.compute_dtype]
    spread = description.max_bits is None or placement.kernels == "dense"
    total = sum(
        tensor.count * (plain if spread or not _is_quantized(tensor, description) else description.stored_bits / 8)
        for tensor in tensors
    )
    largest = max((tensor.count for tensor in tensors), default=0)
    return max(int(total), description.loading_bytes) + largest * (plain + _FP16_BYTES) + ALLOWANCE_BYTES


def available_bytes(device: str) -> int:
    """Bytes that can still be taken: on a CPU within the container's limit, on CUDA of the device's memory.

    What torch holds of a CUDA device and nobody uses can be taken again. torch is imported for CUDA devices only.

    Args:
        device: As a placement has it; of several, all that they have together.

    Raises:
        UsageError: A CUDA device does not tell: its driver or torch fails at it, or nothing of its memory is left.
    """
    if members(device)[0] == "cpu":
        return min(int(psutil.virtual_memory().available), _container_bytes())
    return sum(map(_free_bytes, members(device)))


def _free_bytes(device: str) -> int:
    """What one CUDA device tells."""
    from torch import cuda  # only where one is used

    try:
        free = cuda.mem_get_info(device)[0]
    except Exception as error:  # torch has errors of many kinds for a CUDA that does not start
        raise UsageError(
            f"{device} cannot be used: {message_of(error)}",
            where="--quant-device",
            hint="nvidia-smi shows whether it is well, and who holds its memory; or use --quant-device cpu",
        ) from error
    return free + cuda.memory_reserved(device) - cuda.memory_allocated(device)


def check_memory(needed: int, device: str, spec: str, processes: int = 1) -> None:
    """Refuses to load what will not fit.

    Args:
        needed: What ``estimate_bytes`` gave.
        device: Where it is to be loaded.
        spec: The variant, for the message.
        processes: How many processes are about to load it there, each for itself.

    Raises:
        ModelError: More is needed than available.
        UsageError: The device cannot be used, see ``available_bytes``.
    """
    available = available_bytes(device)
    if needed * processes > available:
        each = f" for each of {processes} processes" if processes > 1 else ""
        raise ModelError(
            f"it needs about {needed / _GIB:.1f} GiB on {device}{each}, and {available / _GIB:.1f} GiB are available",
            where=f"variant {spec!r}",
            hint="free some memory, use a smaller model, or another --quant-device",
        )


def release_memory() -> None:
    """Give back what is no longer referred to, CUDA's reserve included; torch is not imported for it."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        with suppress(RuntimeError):  # after some faults a device fails at everything: the first one is what to tell
            torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):  # glibc keeps what was freed piece by piece; others have no such call
        ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of whatever device; torch is not imported for it."""
    # On a CPU, and from CUDA's libraries, torch raises a plain RuntimeError; its text is the only sign.
    signs = ("DefaultCPUAllocator", "bad_alloc", "ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED", "out of memory")
    torch = sys.modules.get("torch")
    kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(sign in str(error) for sign in signs)


@contextmanager
def mapped_weights() -> Iterator[None]:
    """Take pieces of memory of the size of weights from the system one by one, so that each goes back when it is freed.

    Else glibc takes them from its heap, since it has learned how large pieces are that are freed, and holes between
    what stays are never filled again. Answering is not done so: it frees as much at every step, and a new page is slow.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # other C libraries have no such call
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, _SMALLEST_WEIGHT)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, _MOST_LEARNED)
        mallopt(_M_TRIM_THRESHOLD, 2 * _MOST_LEARNED)


def _is_quantized(tensor: TensorHeader, description: Description) -> bool:
    if len(tensor.shape) != _MATRIX or not tensor.name.endswith(".weight"):
        return False
    name = tensor.name.removesuffix(".weight")
    if "embed" in name or ".experts." in name:
        return False
    return not any(covers(skip, name) for skip in (*description.skipped, "lm_head"))


def _container_bytes() -> int:
    """What the container's memory limit leaves; very much where there is none."""
    folder = _CGROUP / "memory"  # of version 1
    for limit, used, reclaimable in (
        (_CGROUP / "memory.max", _CGROUP / "memory.current", "inactive_file"),
        (folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError, KeyError):
            most, taken = int(limit.read_text()), int(used.read_text())  # "max" is no number: no limit
            facts = dict(line.split() for line in used.with_name("memory.stat").read_text().splitlines())
            return max(0, most - taken + int(facts[reclaimable]))  # file pages are given back on demand
    return 1 << 62
