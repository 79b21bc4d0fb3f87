"""GGUF to a plain fp16 checkpoint, through transformers. Imports torch: call it through ``gguf``."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.loading import quiet
from pytest_quantgate.variants.source import message_of


def convert_gguf(source: Path, folder: Path) -> None:
    """Writes weights (fp16), configuration, tokenizer and chat template of a GGUF file into a folder.

    Args:
        source: The GGUF file.
        folder: An existing, empty folder.

    Raises:
        ModelError: The file is damaged, or of an architecture that transformers does not read.
        OSError: The folder cannot be written.
    """
    # one progress bar there obeys no setting
    with quiet(), redirect_stderr(io.StringIO()), TemporaryDirectory(prefix="quantgate-gguf-") as above:
        alone = _alone(source, Path(above))
        try:
            tokenizer, model = _read(alone)
        except Exception as error:  # a damaged file fails in many ways
            raise _not_converted(source, error) from error
        try:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except OSError:
            raise
        except Exception as error:
            raise _not_converted(source, error) from error


def _alone(source: Path, folder: Path) -> Path:
    """The file in a folder of its own: transformers would take a tokenizer or an adapter that lies beside it."""
    alone = folder / "model.gguf"
    try:
        alone.symlink_to(source.resolve())
    except OSError:  # of a file system without links
        shutil.copyfile(source, alone)
    return alone


def _read(source: Path) -> tuple[Any, Any]:
    """The tokenizer, and the model as one that was never quantized."""
    auto_tokenizer: Any = AutoTokenizer  # their methods carry no or wrong types
    auto_model: Any = AutoModelForCausalLM
    options = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = auto_tokenizer.from_pretrained(str(source.parent), **options)
    model = auto_model.from_pretrained(
        str(source.parent), quantization_config=GgufConfig(dequantize=True), dtype=torch.float16, **options
    )
    # what was loaded with a quantization config does not save as a plain checkpoint; its weights do
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = auto_model.from_config(config, dtype=torch.float16)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    return tokenizer, plain


def _not_converted(source: Path, error: Exception) -> ModelError:
    return ModelError(
        f"the GGUF file cannot be converted: {message_of(error)}",
        where=str(source),
        hint="download it again; where transformers does not know the architecture, name a safetensors model",
    )
