"""Loads checkpoints whose layers are packed (``packed``), by torch alone. Imports torch: import it only to load.

transformers loads GPTQ and AWQ checkpoints by gptqmodel's kernels, which need a compiler and versions of torch of their
own. Here their layers are held as they are stored, so that they can be audited, and spread out from there. Packed ones
unpack their weights each time they compute: that serves to calibrate the layers behind them, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, quiet
from pytest_quantgate.variants.packed import unpack_awq, unpack_gptq

_METHOD = "quantgate-packed"  # what transformers calls this way of loading
_WORD = 32
_TENSORS = ("qweight", "qzeros", "scales", "g_idx")
_BASE: Any = QuantizationConfigMixin  # these two carry no types
_QUANTIZER: Any = HfQuantizer


@dataclass(frozen=True, slots=True)
class Packing:
    """How the layers of a checkpoint are packed.

    Attributes:
        method: Whose layout it is.
        bits: Of a weight.
        zero_offset: 1 where GPTQ's zeros are stored less one (``format`` ``gptq``), 0 where they are not (``gptq_v2``).
    """

    method: Literal["gptq", "awq"]
    bits: int
    zero_offset: int = 1


class PackedLinear(nn.Module):
    """A linear layer that holds its weight packed, and unpacks it whenever it is used.

    Args:
        linear: The layer that it stands for; its weight is not read.
        packing: How the weight is packed.
        groups: How many scales an output has.
        ordered: Whether there is a ``g_idx`` that names the group of each input.
    """

    def __init__(self, linear: nn.Linear, packing: Packing, groups: int, *, ordered: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.packing = packing
        rows, columns, bits = self.in_features, self.out_features, packing.bits
        packed = (rows * bits // _WORD, columns) if packing.method == "gptq" else (rows, columns * bits // _WORD)
        empty = partial(torch.empty, device=linear.weight.device)
        self.register_buffer("qweight", empty(packed, dtype=torch.int32))
        self.register_buffer("qzeros", empty((groups, columns * bits // _WORD), dtype=torch.int32))
        self.register_buffer("scales", empty((groups, columns), dtype=torch.float16))
        self.register_buffer("g_idx", empty((rows,), dtype=torch.int32) if ordered else None)
        self.bias = linear.bias

    def weight_in(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight, ``(outputs, inputs)``, spread out in float32 and then brought to a dtype.

        Raises:
            ValueError: What was loaded does not belong together.
        """
        held: Any = self
        if self.packing.method == "awq":
            weight = unpack_awq(held.qweight, held.qzeros, held.scales, self.packing.bits)
        else:
            tensors = (held.qweight, held.qzeros, held.scales, held.g_idx)
            weight = unpack_gptq(*tensors, self.packing.bits, zero_offset=self.packing.zero_offset)
        return weight.to(dtype)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Multiplies by the weight that it stands for."""
        return nn.functional.linear(inputs, self.weight_in(inputs.dtype), self.bias)


def load_packed(folder: Path, packing: Packing, device: str) -> PreTrainedModel:
    """Loads a checkpoint whose layers are packed.

    Args:
        folder: Its folder, with safetensors weights.
        packing: How.
        device: ``cpu`` or ``cuda:N``.

    Returns:
        The model in half precision, its packed layers as ``PackedLinear``.

    Raises:
        ModelError: It does not load, or its tensors are not packed like that.
    """
    with quiet():
        try:
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise ModelError(f"its configuration does not load: {error}", where=str(folder)) from error
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # by which transformers would look for gptqmodel
    shapes = {tensor.name: tensor.shape for tensor in read_tensors(folder)}
    plan = _PackedConfig(packing, shapes, folder)
    model = load_pretrained(folder, dtype=torch.float16, device=device, quantization=plan, config=config)
    for name, module in model.named_modules():
        if isinstance(module, PackedLinear):
            _check(name, module, folder)
    return model


def stored_bytes(module: nn.Module) -> int | None:
    """Bytes of a packed layer's weight, zeros, scales and groups; None for another module.

    Layers that gptqmodel's kernels hold are known by the same names.
    """
    held = [getattr(module, name, None) for name in _TENSORS]
    if not isinstance(held[0], torch.Tensor) or not isinstance(held[2], torch.Tensor):
        return None
    return sum(int(tensor.nbytes) for tensor in held if isinstance(tensor, torch.Tensor))


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """Spreads packed layers out where kernels are dense, and brings the rest to the compute dtype."""
    dtype = dtype_of(placement.compute_dtype)
    read = partial(_weight_of, dtype=dtype)
    if placement.kernels == "dense":
        spread(model, read)
    keep_readable((each for each in model.modules() if isinstance(each, PackedLinear)), read)
    scales: dict[Any, torch.Tensor] = {
        module: getattr(module, "scales").data  # noqa: B009  (a buffer has no type)
        for module in model.modules()
        if stored_bytes(module) is not None
    }
    cast_parameters(model, dtype)
    for module, kept in scales.items():  # they stay as they are stored
        module.scales = kept


def _weight_of(module: nn.Module, dtype: torch.dtype) -> torch.Tensor | None:
    return module.weight_in(dtype) if isinstance(module, PackedLinear) else None


def _check(name: str, module: PackedLinear, folder: Path) -> None:
    g_idx: Any = module.g_idx
    groups = int(getattr(module, "scales").shape[0])  # noqa: B009  (a buffer has no type)
    if g_idx is not None and g_idx.numel() and not 0 <= int(g_idx.min()) <= int(g_idx.max()) < groups:
        raise ModelError(f"{name}.g_idx names groups that are not among its {groups}", where=str(folder), hint=_DAMAGED)


_DAMAGED = "the checkpoint is damaged: copy, download or make it again"


class _PackedConfig(_BASE):  # type: ignore[misc]
    """Tells transformers to load by ``_PackedQuantizer``."""

    def __init__(self, packing: Packing, shapes: dict[str, tuple[int, ...]], folder: Path) -> None:
        self.quant_method = _METHOD
        self.packing, self.shapes, self.folder = packing, shapes, folder


class _PackedQuantizer(_QUANTIZER):  # type: ignore[misc]
    """Puts a ``PackedLinear`` wherever the checkpoint has a packed layer, before its tensors are read."""

    def _process_model_before_weight_loading(self, model: nn.Module, **_kwargs: object) -> None:
        plan = self.quantization_config
        for name in _packed_layers(plan.shapes):
            try:
                linear = model.get_submodule(name)
            except AttributeError:
                linear = None
            scales = plan.shapes.get(f"{name}.scales")
            if not isinstance(linear, nn.Linear) or not scales:
                raise ModelError(
                    f"{name} is packed, and is no linear layer of the model", where=str(plan.folder), hint=_DAMAGED
                )
            ordered = f"{name}.g_idx" in plan.shapes
            layer = PackedLinear(linear, plan.packing, scales[0], ordered=ordered)
            _compare(name, layer, plan)
            model.set_submodule(name, layer)

    def is_serializable(self) -> bool:
        return False

    @property
    def is_trainable(self) -> bool:
        return False


def _packed_layers(names: Iterable[str]) -> list[str]:
    return [name.removesuffix(".qweight") for name in names if name.endswith(".qweight")]


def _compare(name: str, layer: PackedLinear, plan: _PackedConfig) -> None:
    """Refuses tensors of other shapes than the layer has them, and layers that they cannot stand for."""
    groups, bits = plan.shapes[f"{name}.scales"][0], plan.packing.bits
    packed = (layer.out_features, *([layer.in_features] if plan.packing.method == "gptq" else []))
    ordered = f"{name}.g_idx" in plan.shapes
    if any(each * bits % _WORD for each in packed) or not (ordered or (groups and not layer.in_features % groups)):
        raise ModelError(
            f"{name} of {layer.in_features} x {layer.out_features} in {groups} groups is not one that {bits}-bit "
            f"{plan.packing.method} can hold",
            where=str(plan.folder),
            hint=_DAMAGED,
        )
    for key, tensor in layer.named_buffers():
        found = plan.shapes.get(f"{name}.{key}")
        if found != tuple(tensor.shape):
            raise ModelError(
                f"{name}.{key} has the shape {found}, and {tuple(tensor.shape)} is that of {plan.packing.bits}-bit "
                f"{plan.packing.method}",
                where=str(plan.folder),
                hint=_DAMAGED,
            )


_CONFIGS: Any = AUTO_QUANTIZATION_CONFIG_MAPPING
_QUANTIZERS: Any = AUTO_QUANTIZER_MAPPING
_CONFIGS[_METHOD] = _PackedConfig
_QUANTIZERS[_METHOD] = _PackedQuantizer
