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

_CONFIG: Any = QuantoConfig  # it carries no types


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``QuantoBackend.load``."""
    config = _CONFIG(weights=spec.scheme, modules_to_not_convert=modules_to_skip(spec, folder))
    native = placement.kernels == "native"
    if native and placement.device_type == "cuda" and spec.scheme != "int8":  # laid out for them while they are read
        _compile(placement.device)
    with nullcontext() if native else as_packed():
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
    """Lets quanto leave weights as they are packed, on whatever device they are quantized, read, or moved to.

    It would lay them out for the kernels of that device, which unpacks them and compiles code first: those of a
    checkpoint on a CPU too, before it moves them to a GPU. Some of these layouts round shifts once more.
    """
    kinds: tuple[Any, Any] = (WeightQBitsTensor, WeightQBytesTensor)
    own = [(kind, name, vars(kind)[name]) for kind in kinds for name in ("create", "optimize")]
    for kind in kinds:
        kind.create = kind  # which takes the same
        kind.optimize = lambda weight: weight
    try:
        yield
    finally:
        for kind, name, before in own:
            setattr(kind, name, before)


def _make_native(model: PreTrainedModel, placement: Placement, dtype: torch.dtype) -> None:
    """Let quanto's own kernels compute in a dtype: scales tell them which, and weights are laid out for them."""
    for module in model.modules():
        if not isinstance(module, QLinear):
            continue
        weight: Any = module.weight
        floats = placement.device_type == "cuda" and weight.qtype.is_floating_point
        if floats or isinstance(weight, WeightQBitsTensor):
            _compile(placement.device)
        packed = type(weight) in (WeightQBitsTensor, WeightQBytesTensor)  # such as those of a checkpoint
        if packed or weight.dtype != dtype:
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
