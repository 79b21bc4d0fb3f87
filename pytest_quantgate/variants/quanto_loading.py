"""The part of the quanto backend that needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, QuantoConfig

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, modules_to_skip, quiet
from pytest_quantgate.variants.source import message_of
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.variants.wrapped import inner_bytes

with quiet():
    from optimum.quanto import QLinear
    from optimum.quanto.tensor import WeightQBitsTensor, WeightQBytesTensor
    from optimum.quanto.tensor.packed import PackedTensor
    from optimum.quanto.tensor.weights import qbits, qbytes

_CONFIG: Any = QuantoConfig  # it carries no types


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``QuantoBackend.load``."""
    config = _CONFIG(weights=spec.scheme, modules_to_not_convert=modules_to_skip(spec, folder))
    native = placement.kernels == "native"
    if native and placement.device_type == "cuda" and spec.scheme != "int8":  # laid out for them while they are read
        _compile(placement.device)
    with nullcontext() if native else _without_kernels():
        return load_pretrained(folder, dtype=torch.float16, device=placement.device, quantization=config)


def stored_bytes(module: nn.Module) -> int | None:
    """See ``QuantoBackend.stored_bytes``."""
    return inner_bytes(module.weight) if isinstance(module, QLinear) and module.frozen else None


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``QuantoBackend.finish``."""
    dtype = dtype_of(placement.compute_dtype)
    if placement.kernels == "dense":
        spread(model, partial(_weight_of, dtype=dtype))
    else:
        _make_native(model, placement, dtype)
    cast_parameters(model, dtype)


def _weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor | None:
    """The weight that a layer stands for, computed in float32."""
    if not isinstance(module, QLinear):
        return None
    weight = module.weight
    if type(weight) is WeightQBytesTensor:
        found: torch.Tensor = weight._scale.float() * weight._data.float()  # noqa: SLF001  (the only way to them)
        return found.to(dtype)
    if type(weight) is WeightQBitsTensor and isinstance(weight._data, PackedTensor):  # noqa: SLF001
        found = _levels(weight._data).float() * weight._scale.float()  # noqa: SLF001
        return found.sub_(weight._shift.float()).reshape(weight.shape).to(dtype)  # noqa: SLF001
    dense: torch.Tensor = weight.dequantize().to(dtype)  # laid out for a GPU's kernels
    return dense


def _levels(packed: Any) -> torch.Tensor:
    """Unpacked without quanto's code for the CPU, which is compiled first and takes a minute.

    A byte holds a row's weight in its lowest bits, and above it that of a row as far down as there are rows of bytes.
    """
    data, bits = packed._data, packed._bits  # noqa: SLF001
    rows = torch.cat([(data >> shift) & (2**bits - 1) for shift in range(0, 8, bits)])
    return rows[: packed.shape[0]]


@contextmanager
def as_packed() -> Iterator[None]:
    """Lets quanto's weights be read on a CPU as they are packed.

    It would unpack each, which compiles code first, to lay it out for a GPU's kernels; a CPU has none, and the weight
    would be packed again as it was.
    """
    lay_out = WeightQBitsTensor.optimize
    WeightQBitsTensor.optimize = lambda weight: weight
    try:
        yield
    finally:
        WeightQBitsTensor.optimize = lay_out


@contextmanager
def _without_kernels() -> Iterator[None]:
    """Lets quanto leave weights as it quantized them; for a GPU's kernels, which it would compile, it lays them out."""
    known = qbytes.is_extension_available
    qbits.is_extension_available = qbytes.is_extension_available = lambda _: False
    try:
        yield
    finally:
        qbits.is_extension_available = qbytes.is_extension_available = known


def _make_native(model: PreTrainedModel, placement: Placement, dtype: torch.dtype) -> None:
    """Let quanto's own kernels compute in a dtype: scales tell them which."""
    for module in model.modules():
        if not isinstance(module, QLinear):
            continue
        weight: Any = module.weight
        if placement.device_type == "cpu" and isinstance(weight, WeightQBitsTensor):
            _compile("cpu")
        if weight.dtype != dtype:
            module.weight = nn.Parameter(_with_scales_in(weight, dtype), requires_grad=False)
        module.__class__ = _Inferring
        keep_readable([module], partial(_weight_of, dtype=dtype))


class _Inferring(QLinear):  # type: ignore[misc]  # quanto carries no types
    """quanto's layer, called in torch's inference mode, in which its tensors cannot make views of themselves."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(mode=False), torch.no_grad():
            outputs: torch.Tensor = super().forward(inputs)
        return outputs


def _with_scales_in(weight: Any, dtype: torch.dtype) -> torch.Tensor:
    """The same weight, its scales in another dtype."""
    made: torch.Tensor
    if isinstance(weight, WeightQBytesTensor) and type(weight) is not WeightQBytesTensor:
        weight = weight.weight_qbytes_tensor()  # laid out for a GPU's kernels, which know one dtype only
    shape, scale = (weight.size(), weight.stride()), weight._scale.to(dtype)  # noqa: SLF001
    if isinstance(weight, WeightQBytesTensor):
        made = WeightQBytesTensor.create(weight.qtype, weight.axis, *shape, weight._data, scale)  # noqa: SLF001
        return made
    if type(weight) is not WeightQBitsTensor:
        weight = weight.weight_qbits_tensor()  # as above
    made = WeightQBitsTensor.create(
        weight.qtype,
        weight.axis,
        weight._group_size,  # noqa: SLF001
        *shape,
        weight._data,  # noqa: SLF001
        scale,
        weight._shift.to(dtype),  # noqa: SLF001
    )
    return made


def _compile(device: str) -> None:
    """Have quanto's kernels for a device compiled, which it does once.

    Raises:
        ModelError: It cannot be.
    """
    try:
        with quiet():
            torch.ops.quanto.unpack(torch.zeros(1, dtype=torch.uint8, device=device), 4)
    except Exception as error:  # compilers, linkers and file systems share no base
        name, toolkit = ("the CPU", "") if device == "cpu" else ("CUDA", "the CUDA toolkit, ")
        raise ModelError(
            f"quanto's kernels for {name} cannot be compiled: {message_of(error)}",
            where="--quant-kernels native",
            hint=f"install {toolkit}a C++ compiler and ninja (pip install ninja), or use --quant-kernels dense, which "
            "needs none",
        ) from error
