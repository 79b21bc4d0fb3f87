"""What all makers of stored checkpoints share: a plain checkpoint is read, and another one is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

GROUP = 32
Store = Callable[[str, torch.Tensor], dict[str, torch.Tensor]]

_AUTO: Any = AutoModelForCausalLM
_NOT_TOKENIZER = ("config.json", "generation_config.json", "model.safetensors")


def load_plain(plain: Path, dtype: torch.dtype = torch.float16, **options: Any) -> Any:
    """The model of a plain checkpoint."""
    return _AUTO.from_pretrained(str(plain), dtype=dtype, **options)


def copy_tokenizer(plain: Path, folder: Path) -> None:
    """Copies everything but configuration and weights."""
    for file in plain.iterdir():
        if file.name not in _NOT_TOKENIZER:
            shutil.copy(file, folder)


def rewrite(plain: Path, folder: Path, store: Store, told: dict[str, Any]) -> None:
    """A checkpoint whose layers are stored otherwise, and whose configuration tells so."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for key, weight in load_file(plain / "model.safetensors").items():
        name = key.removesuffix(".weight")
        tensors |= store(name, weight.float()) if name.endswith("_proj") else {key: weight}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": told}))
    copy_tokenizer(plain, folder)
