"""The part of the bitsandbytes backend that needs torch."""

from __future__ import annotations

import logging
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, modules_to_skip, quiet
from pytest_quantgate.variants.spec import VariantSpec

with quiet():  # it warns about optional kernels when it is imported
    from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

_CONFIG: Any = BitsAndBytesConfig  # it carries no types

# one line of the log per layer and step, about what int8 always does
_INT8_CAST_LOGGER = "bitsandbytes.autograd._functions"
_INT8_CAST_MESSAGE = "MatMul8bitLt: inputs will be cast"


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``BitsAndBytesBackend.load``."""
    skips = modules_to_skip(spec, folder)
    if spec.name == "int8":
        config = _CONFIG(load_in_8bit=True, llm_int8_skip_modules=skips)
        drop_cast_messages()
    else:
        config = _CONFIG(
            load_in_4bit=True,
            bnb_4bit_quant_type=spec.name,
            bnb_4bit_use_double_quant=spec.has("double"),
            bnb_4bit_compute_dtype=dtype_of(placement.compute_dtype),
            llm_int8_skip_modules=skips,  # its name notwithstanding, 4-bit layers obey it too
        )
    return load_pretrained(folder, dtype=torch.float16, device=placement.device, quantization=config)


def drop_cast_messages() -> None:
    """Keeps what int8 says of every layer and step out of the log."""
    logging.getLogger(_INT8_CAST_LOGGER).addFilter(_drop_cast_message)


def stored_bytes(module: nn.Module) -> int | None:
    """See ``BitsAndBytesBackend.stored_bytes``.

    The lookup table of a 4-bit type is the same for all layers and not counted.
    """
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, Linear4bit) and weight.quant_state is not None:
        state = weight.quant_state
        nested = (state.state2.absmax, state.offset) if state.nested else ()
        return sum(int(tensor.nbytes) for tensor in (weight, state.absmax, *nested))
    if isinstance(module, Linear8bitLt) and weight.dtype == torch.int8:
        return int(weight.nbytes + weight.SCB.nbytes)
    return None


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``BitsAndBytesBackend.finish``."""
    dtype = dtype_of(placement.compute_dtype)
    if placement.kernels == "dense":
        for module in model.modules():  # weights that refer to their layers would stay until garbage is collected
            if isinstance(module, Linear4bit):
                setattr(module.weight, "module", None)  # noqa: B010  (its type is unknown)
        spread(model, lambda module: _weight_of(module, dtype) if isinstance(module, Linear4bit) else None)
    for module in model.modules():
        if stored_bytes(module) is not None:
            keep_readable([module], partial(_weight_of, dtype=dtype), activations=isinstance(module, Linear8bitLt))
    cast_parameters(model, dtype)


def _weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor:
    """The weight that a quantized layer stands for, which stays as it is."""
    weight: torch.Tensor
    held: Any = module.weight
    if held.dtype == torch.int8:
        scales = module.state.SCB if held.SCB is None else held.SCB  # they move there with the first prompt
        weight = int8_vectorwise_dequant(held.data, scales).to(dtype)
        return weight
    packed, state = held.data, copy(held.quant_state)
    if getattr(state, "packing_format_for_cpu", False):  # since the first prompt, on CPUs whose kernels want it so
        from bitsandbytes.functional import _convert_weight_packed_for_cpu_inverse

        scales, state.original_nested = state.absmax, False  # which it leaves as they are laid out
        packed, state = _convert_weight_packed_for_cpu_inverse(packed, state)
        state.absmax = scales.T.reshape(-1).float()
    state.dtype = dtype
    weight = dequantize_4bit(packed, state)
    return weight


def _drop_cast_message(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_INT8_CAST_MESSAGE)
