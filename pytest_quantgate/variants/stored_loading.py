"""Loads checkpoints that were quantized elsewhere. Imports torch: import it only to load.

transformers loads them by their makers' libraries, where these run here; GPTQ and AWQ are unpacked by
``packed_loading``, which needs no other library. What is not quantized keeps the dtype that it is stored in until the
audit is over.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import read_json, read_tensors, storage_in, weight_files
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.gguf import types_in
from pytest_quantgate.variants.gguf_types import GgufTypes
from pytest_quantgate.variants.headers import PLAIN_DTYPES, TensorHeader
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, load_pretrained, quiet
from pytest_quantgate.variants.memory import is_out_of_memory
from pytest_quantgate.variants.source import message_of
from pytest_quantgate.variants.stored import STORED, plain_dtype
from pytest_quantgate.variants.stored_config import QUANTO_MAP, Storage
from pytest_quantgate.variants.stored_fields import KEY
from pytest_quantgate.variants.stored_layout import check_blocks, layers_of

_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_BY_TRANSFORMERS = ("fp8", "mxfp4")  # which it spreads out itself, while it reads them
_MATRIX = 2
_METHOD = "quantgate_method"
_FINISHED_BY = {
    "awq": "packed_loading",
    "bitsandbytes": "bitsandbytes_loading",
    "compressed-tensors": "compressed_loading",
    "gptq": "packed_loading",
    "quanto": "quanto_loading",
    "torchao": "torchao_loading",
}


def load(folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``StoredBackend.load``."""
    tensors = read_tensors(folder)
    types = types_in(folder)
    if types is not None:
        model = load_pretrained(folder, dtype=torch.float16, device=placement.device)
        if types.quantized:
            _mark_types(model, types)
        return model
    storage = storage_in(folder)
    if storage is None:
        return load_pretrained(folder, dtype=dtype_of(plain_dtype(tensors) or "float32"), device=placement.device)
    check_blocks(storage, tensors, str(folder))
    model = _loader_of(storage, placement)(folder)
    setattr(model, _METHOD, storage.method)
    _mark_layers(model, storage, tensors, folder)
    _restore_dtypes(model, tensors)
    return model


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``StoredBackend.finish``."""
    method = getattr(model, _METHOD, None)
    if method in _FINISHED_BY:
        import_module(f"pytest_quantgate.variants.{_FINISHED_BY[method]}").finish(model, placement)
    else:
        cast_parameters(model, dtype_of(placement.compute_dtype))


def _loader_of(storage: Storage, placement: Placement) -> Callable[[Path], PreTrainedModel]:
    """What loads a checkpoint of that kind in that place."""
    dtype, device = dtype_of(placement.compute_dtype), placement.device
    if storage.method in ("gptq", "awq"):
        return partial(_load_packed, storage=storage, device=device)
    if storage.method == "quanto":
        return partial(_load_quanto, dtype=dtype, device=device)
    if storage.method == "compressed-tensors":
        return partial(_load_compressed, dtype=dtype, device=device)
    return partial(_load_by_library, dtype=dtype, device=device)


def _load_packed(folder: Path, *, storage: Storage, device: str) -> PreTrainedModel:
    from pytest_quantgate.variants.packed_loading import Packing, load_packed

    method = cast("Literal['gptq', 'awq']", storage.method)
    bits = int(storage.bits or 0)
    offset = int(storage.details.get("zero_offset", 0))
    if storage.details.get("symmetric"):
        offset = _offset_of(folder, bits)
    return load_packed(folder, Packing(method, bits, zero_offset=offset), device)


def _offset_of(folder: Path, bits: int) -> int:
    """What is taken off the zeros of a symmetric GPTQ checkpoint, whose true zero is the middle level.

    Makers write one layout and name the other: the tensors are right.

    Raises:
        ModelError: They are of neither layout.
    """
    from safetensors import safe_open

    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (it is no mapping)
                if name.endswith(".qzeros") and (words := file.get_tensor(name)).numel():
                    offset = (1 << bits - 1) - (int(words.flatten()[0]) & ((1 << bits) - 1))
                    if offset in (0, 1):
                        return offset
                    break
    raise ModelError("its zeros are not those of symmetric GPTQ", where=str(folder), hint=_BELONGS)


def _load_by_library(folder: Path, *, dtype: torch.dtype, device: str) -> PreTrainedModel:
    config = _config(folder)
    stored = config.quantization_config
    if stored.get("quant_method") in _BY_TRANSFORMERS:
        config.quantization_config = {**stored, "dequantize": True}
    model = load_pretrained(folder, dtype=dtype, device=device, config=config)
    for module in model.modules():
        if hasattr(module, "compute_dtype"):  # of bitsandbytes: its maker's, and not what is computed in here
            setattr(module, "compute_dtype", dtype)  # noqa: B010  (its type is unknown)
    if stored.get("load_in_8bit"):
        from pytest_quantgate.variants.bitsandbytes_loading import drop_cast_messages

        drop_cast_messages()
    return model


def _load_compressed(folder: Path, *, dtype: torch.dtype, device: str) -> PreTrainedModel:
    from pytest_quantgate.variants.compressed_loading import with_room_for_zeros

    with with_room_for_zeros(), redirect_stderr(io.StringIO()):  # it shows bars that obey no setting
        return _load_by_library(folder, dtype=dtype, device=device)


def _load_quanto(folder: Path, *, dtype: torch.dtype, device: str) -> PreTrainedModel:
    """What optimum-quanto saved, by its own map of modules.

    Raises:
        ModelError: Map, architecture and weights do not belong together.
    """
    from accelerate import init_empty_weights
    from optimum.quanto import requantize
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from pytest_quantgate.variants.quanto_loading import as_packed

    known = read_json(folder / QUANTO_MAP)
    auto_model: Any = AutoModelForCausalLM  # its methods carry no or wrong types
    with quiet():
        try:
            with init_empty_weights():
                model: PreTrainedModel = auto_model.from_config(_config(folder), dtype=dtype)
            weights = {name: each for path in weight_files(folder) for name, each in load_file(path).items()}
            missing = sorted(set(model.state_dict()) - {*weights, *(f"{name}.weight" for name in known)})
            tied: dict[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
            missing = [name for name in missing if name not in tied]
            if not missing:
                with as_packed():
                    requantize(model, weights, known, torch.device("cpu"))  # elsewhere it takes room for dense weights
                    nn.Module.to(model, device)
                model.tie_weights()
                missing = [
                    f"parts of {name}" for name in known if not getattr(model.get_submodule(name), "frozen", False)
                ]
        except Exception as error:  # a checkpoint that does not fit fails in many ways
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"the model does not load: {message_of(error)}", where=str(folder), hint=_BELONGS
            ) from error
    if missing:
        raise ModelError(f"weights are missing from the files: {missing[0]}", where=str(folder), hint=_BELONGS)
    module: nn.Module = model
    module.eval().requires_grad_(requires_grad=False)
    return model


_BELONGS = "check that its configuration belongs to its weights, and that no file is left out"


def _config(folder: Path) -> Any:
    """The configuration, checked by transformers too.

    Raises:
        ModelError: transformers does not know the architecture, or would need code from the checkpoint.
    """
    with quiet():
        try:
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise ModelError(
                f"the model does not load: {message_of(error)}", where=str(folder), hint=_BELONGS
            ) from error
    if getattr(config, KEY, 0) is None:  # what is said to be nothing is taken for something
        delattr(config, KEY)
    return config


def _mark_layers(model: nn.Module, storage: Storage, tensors: tuple[TensorHeader, ...], folder: Path) -> None:
    """Notes with each module what its checkpoint stores for it; experts that were joined have one note.

    Raises:
        ModelError: Layers of the checkpoint are not those of the model.
    """
    modules = dict(model.named_modules())
    for layer in layers_of(storage, tensors, str(folder)):
        name = layer.name
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if not name:
            raise ModelError(
                f"{layer.name} is quantized, and the model has no such module",
                where=str(folder),
                hint="its architecture is renamed while it is loaded, and cannot be audited: gate it as a served model",
            )
        module: Any = modules[name]
        setattr(module, STORED, getattr(module, STORED, 0) + layer.stored_bytes)


def _mark_types(model: Any, types: GgufTypes) -> None:
    """Notes what a GGUF file stored; types differ from layer to layer, and their mean is noted with each."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    for module in model.modules():
        own = [each for each in module.parameters(recurse=False) if each.dim() >= _MATRIX]
        if not own or (module is head and embedding is not None and own[0] is embedding.weight):
            continue  # tied: counted with the embedding
        stored = types.embedding if module is embedding else types.head if module is head else types.layers
        if stored.weights:
            setattr(module, STORED, round(sum(each.numel() for each in own) * stored.bits / 8))


def _restore_dtypes(model: nn.Module, tensors: tuple[TensorHeader, ...]) -> None:
    """Brings what is not quantized back to the dtype in which it is stored; exact, for it came from there."""
    stored = {tensor.name: tensor.dtype for tensor in tensors if tensor.dtype in PLAIN_DTYPES}
    for name, module in model.named_modules():
        for key, parameter in module.named_parameters(recurse=False):
            dtype = _DTYPES.get(stored.get(f"{name}.{key}", ""))
            quantized = hasattr(module, STORED) and key != "bias"
            if dtype is not None and parameter.is_floating_point() and not quantized:
                parameter.data = parameter.data.to(dtype)
