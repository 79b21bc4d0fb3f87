"""The part of the hqq backend that needs torch.

transformers 5.23 has the classes for HQQ but not the step that quantizes weights as they are read, so that all behind
the refusal here is written from hqq's interface and has not run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from torch import nn
from transformers import HqqConfig, PreTrainedModel
from transformers.quantizers.quantizer_hqq import HqqHfQuantizer
from transformers.utils.import_utils import is_hqq_available

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.hqq import unable
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, modules_to_skip
from pytest_quantgate.variants.spec import VariantSpec

_CONFIG: Any = HqqConfig  # it carries no types
_QUANTIZER: Any = HqqHfQuantizer
_HEAD = ["lm_head"]  # what transformers skips for it


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``HqqBackend.load``."""
    try:
        _QUANTIZER.get_quantize_ops(SimpleNamespace(quantization_config=SimpleNamespace(quant_method="hqq")))
    except NotImplementedError as error:
        raise unable(spec, f"transformers {transformers.__version__} does not quantize with HQQ: {error}") from error
    if not is_hqq_available():
        raise SpecError("hqq is too old", where=f"variant {str(spec)!r}", hint="pip install --upgrade hqq")
    bits, group = spec.bits_and_group
    config = _CONFIG(nbits=bits, group_size=group, axis=1, skip_modules=modules_to_skip(spec, folder) or _HEAD)
    return load_pretrained(folder, dtype=torch.float16, device=placement.device, quantization=config)


def stored_bytes(module: nn.Module) -> int | None:
    """See ``HqqBackend.stored_bytes``."""
    packed, meta = getattr(module, "W_q", None), getattr(module, "meta", None)
    if packed is None or meta is None:
        return None
    return sum(int(part.nbytes) for part in (packed, *meta.values()) if isinstance(part, torch.Tensor))


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``HqqBackend.finish``."""
    dtype = dtype_of(placement.compute_dtype)
    if placement.kernels == "dense":
        spread(model, partial(_weight_of, dtype=dtype))
    quantized = [module for module in model.modules() if stored_bytes(module) is not None]
    keep_readable(quantized, partial(_weight_of, dtype=dtype))
    cast_parameters(model, dtype)


def _weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor | None:
    if stored_bytes(module) is None:
        return None
    weight: torch.Tensor = module.dequantize().to(dtype)
    return weight
