"""GGUF to a plain fp16 checkpoint, through transformers. Imports torch: call it through ``gguf``."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
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
    auto_model: Any = AutoModelForCausalLM  # its methods carry no or wrong types
    with quiet(), redirect_stderr(io.StringIO()):  # one progress bar there obeys no setting
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
            model = auto_model.from_pretrained(
                str(source.parent),
                gguf_file=source.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float16,
            )
        except Exception as error:  # a damaged file fails in many ways
            raise ModelError(
                f"the GGUF file cannot be converted: {message_of(error)}",
                where=str(source),
                hint="download it again; where transformers does not know the architecture, name a safetensors model",
            ) from error
        # what was loaded with a quantization config does not save as a plain checkpoint; its weights do
        config = model.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        with torch.device("meta"):
            plain = auto_model.from_config(config, dtype=torch.float16)
        plain.load_state_dict(model.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = model.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
