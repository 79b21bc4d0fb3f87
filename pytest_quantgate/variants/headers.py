"""What a safetensors file says it holds, checked against what it can hold, without reading its weights."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from pytest_quantgate.errors import ModelError

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_LENGTH_BYTES = 8
_MAX_NAME = 1_000  # characters; who looks for modules in a name takes it apart dot by dot
_MAX_COUNT = 1 << 63  # elements of a tensor: no file has more, and products do not grow without bound
_ITEM_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}
PLAIN_DTYPES = frozenset({"F16", "BF16", "F32", "F64"})
PACKED_DTYPES = frozenset({"F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "U8", "I8"})
"""What quantized weights are stored in; no plain checkpoint has tensors of these."""


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor of a safetensors file.

    Attributes:
        name: Its name in the checkpoint.
        dtype: Its dtype as safetensors writes it, such as ``F16``.
        shape: Its shape.
        begin: Where its data begin in the file, in bytes; 0 where there is no file. It is no part of what is compared.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int = field(default=0, compare=False)

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that they take; 0 for a dtype that is not known."""
        return self.count * _ITEM_BITS.get(self.dtype, 0) // 8


def read_headers(path: Path) -> tuple[TensorHeader, ...]:
    """Reads and checks the header of a safetensors file.

    Args:
        path: The file.

    Returns:
        Its tensors, in the file's order.

    Raises:
        ModelError: The file is truncated, damaged or not safetensors.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if size < _LENGTH_BYTES or length > min(size, _MAX_HEADER_BYTES):
                raise _damaged(path, f"it has {size:,} bytes and its header claims {length:,}")
            text = file.read(length)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    try:
        first = _LENGTH_BYTES + length
        tensors, ends = zip(*(_tensor(name, entry, first) for name, entry in header.items()), strict=True)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its header does not describe tensors") from error
    expected, found = max(ends), size - first
    if expected != found:
        raise _damaged(path, f"its tensors need {expected:,} bytes and {found:,} are there")
    return tensors


def _tensor(name: str, entry: Any, first: int) -> tuple[TensorHeader, int]:
    """The tensor and where its data ends; KeyError, TypeError or ValueError when the entry is wrong.

    Args:
        name: Of the tensor.
        entry: What the header says of it.
        first: Where the file's data begin, which both places are counted from.
    """
    start, end = entry["data_offsets"]
    tensor = TensorHeader(name, str(entry["dtype"]), tuple(entry["shape"]), first + start)
    numbers = (start, end, *tensor.shape)
    if len(name) > _MAX_NAME or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(name)
    count = 1
    for number in tensor.shape:
        count *= number
        if count > _MAX_COUNT:
            raise ValueError(name)
    bits = _ITEM_BITS.get(tensor.dtype)
    if bits is not None and (end - start) * 8 != count * bits:
        raise ValueError(name)
    return tensor, end


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(
        f"the file is truncated or damaged: {what}",
        where=str(path),
        hint="download or copy it again",
    )
