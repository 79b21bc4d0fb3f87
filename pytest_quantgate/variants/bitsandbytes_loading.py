"""The part of the bitsandbytes backend that needs torch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, load_skeleton, quiet
from pytest_quantgate.variants.modules import check_skips
from pytest_quantgate.variants.spec import VariantSpec

with quiet():  # it warns about optional kernels when it is imported
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

_CONFIG: Any = BitsAndBytesConfig  # it carries no types

# one line of the log per layer and step, about what int8 always does
_INT8_CAST_LOGGER = "bitsandbytes.autograd._functions"
_INT8_CAST_MESSAGE = "MatMul8bitLt: inputs will be cast"


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``BitsAndBytesBackend.load``."""
    skips = _modules_to_skip(spec, folder)
    if spec.name == "int8":
        config = _CONFIG(load_in_8bit=True, llm_int8_skip_modules=skips)
        logging.getLogger(_INT8_CAST_LOGGER).addFilter(_drop_cast_message)
    else:
        config = _CONFIG(
            load_in_4bit=True,
            bnb_4bit_quant_type=spec.name,
            bnb_4bit_use_double_quant=spec.has("double"),
            bnb_4bit_compute_dtype=dtype_of(placement.compute_dtype),
            llm_int8_skip_modules=skips,  # its name notwithstanding, 4-bit layers obey it too
        )
    return load_pretrained(folder, dtype=torch.float16, device=placement.device, quantization=config)


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
        _spread_out(model, dtype)
    cast_parameters(model, dtype)


def _spread_out(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Replaces 4-bit layers, one at a time, by ordinary ones that hold exactly the weights they stand for."""
    for name, module in list(model.named_modules()):
        if not isinstance(module, Linear4bit):
            continue
        quantized: Any = module.weight
        quantized.quant_state.dtype = dtype
        weight = dequantize_4bit(quantized.data, quantized.quant_state)
        layer = nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = module.bias
        model.set_submodule(name, layer.eval())
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None:  # an ordinary model from here on
        quantizer.remove_quantization_config(model)


def _modules_to_skip(spec: VariantSpec, folder: Path) -> list[str] | None:
    """Modules to leave alone; None asks transformers for its default, the output head and what is tied to it."""
    skips = spec.names("skip")
    if not skips:
        return None
    skeleton = load_skeleton(folder)
    modules = {name: module for name, module in skeleton.named_modules() if name}
    check_skips(skips, modules, str(spec))
    head = cast("Any", skeleton).get_output_embeddings()
    # transformers looks for a bare name at the end of a layer's name only, not at the end of a block's above it
    blocks = [name for name, module in modules.items() if name.endswith(skips) and any(module.children())]
    return [*skips, *blocks, *(name for name, module in modules.items() if module is head)]


def _drop_cast_message(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_INT8_CAST_MESSAGE)
