"""What all backends that load through transformers share. Imports torch: import it only to load."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import TOKENIZER_CONFIG, chat_template_text
from pytest_quantgate.variants.hush import hushed
from pytest_quantgate.variants.memory import is_out_of_memory
from pytest_quantgate.variants.modules import check_skips, covers
from pytest_quantgate.variants.source import message_of
from pytest_quantgate.variants.spec import VariantSpec

with hushed():  # transformers imports torchao where it is installed
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
    from transformers.utils import logging as transformers_logging

_SHOWN_NAMES = 3
_CONFIG_HINT = "check that its config.json belongs to its weights"
_QUANTIZER_HINT = (
    "try fp16: if that loads, the files are right, and the quantizer fails on this device, at these layers or in this "
    "version"
)
_AUTO_MODEL: Any = AutoModelForCausalLM  # its methods carry no or wrong types
_TRANSFORMERS_LOG: Any = transformers_logging


def dtype_of(name: str) -> torch.dtype:
    """The torch dtype of a name such as ``float16``."""
    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        msg = f"{name} is not a dtype"
        raise TypeError(msg)
    return dtype


def load_pretrained(
    folder: Path, *, dtype: torch.dtype, device: str, quantization: Any = None, config: Any = None
) -> PreTrainedModel:
    """Loads a checkpoint, every weight of it from the files.

    Args:
        folder: A checkpoint folder that ``check_folder`` accepted.
        dtype: Dtype of everything that is not quantized.
        device: ``cpu`` or ``cuda:N``.
        quantization: A transformers quantization config.
        config: A transformers model config, where not that of the folder is meant.

    Raises:
        ModelError: It does not load, would need code from the checkpoint, or weights that the architecture needs are
            not in the files, or the files hold weights that it does not use.
    """
    options: dict[str, Any] = {"quantization_config": quantization} if quantization else {}
    if config is not None:
        options["config"] = config
    with quiet(), _reported() as report:
        try:
            model, info = _AUTO_MODEL.from_pretrained(
                str(folder),
                dtype=dtype,
                device_map={"": device},
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
        except Exception as error:  # a checkpoint that does not fit fails in many ways
            if is_out_of_memory(error) or any(torch.OutOfMemoryError.__name__ in line for line in report):
                raise ModelError(
                    "the model does not fit in memory",
                    where=str(folder),
                    hint="free some memory, use a smaller model, or another --quant-device",
                ) from error
            hint = _QUANTIZER_HINT if quantization else _CONFIG_HINT
            raise _not_loaded("the model", error, folder, hint) from error
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"weights are missing from the files: {_some(missing)}",
            where=str(folder),
            hint="check that its config.json belongs to its weights, and that no file is left out",
        )
    if unused := sorted(info["unexpected_keys"]):  # without those that transformers leaves out by design
        raise ModelError(
            f"the files hold weights that the model does not use: {_some(unused)}",
            where=str(folder),
            hint=_CONFIG_HINT,
        )
    model.eval().requires_grad_(requires_grad=False)
    loaded: PreTrainedModel = model
    return loaded


def load_skeleton(folder: Path) -> PreTrainedModel:
    """The architecture of a checkpoint without weights.

    Raises:
        ModelError: transformers does not know the architecture, or would need code from the checkpoint.
    """
    with quiet():
        try:
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            with torch.device("meta"):
                skeleton: PreTrainedModel = _AUTO_MODEL.from_config(config)
        except Exception as error:
            raise _not_loaded("the model", error, folder, _CONFIG_HINT) from error
    return skeleton


def modules_to_skip(spec: VariantSpec, folder: Path) -> list[str] | None:
    """Modules that transformers is told to leave alone; None asks for its default, the output head and what is tied.

    Raises:
        SpecError: ``skip=`` names a module that the model does not have.
    """
    skips = spec.names("skip")
    if not skips:
        return None
    skeleton: Any = load_skeleton(folder)
    modules = {name: module for name, module in skeleton.named_modules() if name}
    check_skips(skips, modules, str(spec))
    head = skeleton.get_output_embeddings()
    covered = {name for name, module in modules.items() if module is head or any(covers(skip, name) for skip in skips)}
    # whole names: not every quantizer of transformers looks for what a layer's name ends in
    return sorted(name for name in covered if name.rpartition(".")[0] not in covered)


def layers_to_quantize(model: PreTrainedModel, skips: Collection[str]) -> dict[str, nn.Linear]:
    """The linear layers of a model but for the output head and what is skipped, by name.

    Args:
        model: The model; one without weights will do.
        skips: Names given to ``skip=``.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and not any(covers(skip, name) for skip in skips)
    }


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a checkpoint, padding on the left as decoding needs it.

    Raises:
        ModelError: It does not load, would need code from the checkpoint, or leaves out the checkpoint's chat template.
    """
    with quiet():
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                mistral_format=False,  # where mistral-common is installed its tokenizer is taken, which has no template
                padding_side="left",
            )
        except Exception as error:
            hint = "copy the tokenizer files of the original model again"
            raise _not_loaded("the tokenizer", error, folder, hint) from error
    if not tokenizer.chat_template and chat_template_text(folder):  # it would be asked as a base model is
        raise ModelError(
            f"transformers reads it with {type(tokenizer).__name__}, which leaves out its chat template",
            where=str(folder),
            hint=f"set tokenizer_class to TokenizersBackend in {TOKENIZER_CONFIG}, beside a tokenizer.json",
        )
    return tokenizer


def cast_parameters(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Brings everything that is not quantized to the compute dtype, one tensor at a time to save memory."""
    for parameter in model.parameters():
        codes = parameter.dtype.itemsize == 1  # 8-bit floats say nothing without their scales
        if parameter.is_floating_point() and not codes and parameter.dtype != dtype:  # packed ones pass for their dtype
            parameter.data = parameter.data.to(dtype)
    for buffer in model.buffers():
        if buffer.dtype in (torch.float16, torch.bfloat16):  # float32 ones, such as rotary angles, stay exact
            buffer.data = buffer.data.to(dtype)
    model.config.dtype = dtype


def set_attention(model: PreTrainedModel, implementation: str, spec: str) -> None:
    """Lets a loaded model compute attention by another implementation.

    Args:
        model: The model.
        implementation: Its name in transformers.
        spec: The variant, for the message.

    Raises:
        ModelError: The model's code leaves no choice.
    """
    changing: Any = model  # the method carries no types
    with quiet():  # what it cannot do it only logs
        changing.set_attn_implementation(implementation)
    if changing.config.get_text_config(decoder=True)._attn_implementation != implementation:  # noqa: SLF001
        raise ModelError(
            f"the model cannot compute attention the {implementation} way",
            where=f"variant {spec!r}",
            hint="measure the noise floor without other kernels",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{', '.join(names[:_SHOWN_NAMES])}{more}"


def _not_loaded(what: str, error: Exception, folder: Path, hint: str) -> ModelError:
    if "trust_remote_code" in str(error):  # how transformers asks for leave to run code from the checkpoint
        return ModelError(
            "the model needs code from its own repository (auto_map), and remote code is never run",
            where=str(folder),
            hint="use a model whose architecture is part of transformers",
        )
    return ModelError(f"{what} does not load: {message_of(error)}", where=str(folder), hint=hint)


@contextmanager
def _reported() -> Iterator[list[str]]:
    """What transformers logs while it loads: of weights that cannot be quantized it names the reason nowhere else."""
    report: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: report.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("transformers.modeling_utils")
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    log.propagate = False
    try:
        yield report
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps progress bars, load reports and library warnings off the terminal; what matters is raised."""
    verbosity = _TRANSFORMERS_LOG.get_verbosity()
    bars = _TRANSFORMERS_LOG.is_progress_bar_enabled()
    _TRANSFORMERS_LOG.set_verbosity(logging.CRITICAL)
    _TRANSFORMERS_LOG.disable_progress_bar()
    try:
        with hushed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _TRANSFORMERS_LOG.set_verbosity(verbosity)
        if bars:
            _TRANSFORMERS_LOG.enable_progress_bar()
