"""The audit by headers, of checkpoints that vLLM loads; test_stored.py compares it with that of loaded models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pytest_quantgate.errors import AuditError
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.gguf_types import GgufTypes, Stored
from pytest_quantgate.variants.header_audit import audit_headers
from pytest_quantgate.variants.made import MANIFEST
from pytest_quantgate.variants.registry import Description

WIDTH, WORDS = 64, 100
PACKED = WIDTH * WIDTH // 2 + 2 * WIDTH * 2 + 2 * WIDTH // 2  # bytes: levels, scales of 2 groups, and their zeros
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32}
FOUR_BIT = Description(summary="", stored_bits=4.6, max_bits=8, cuda_dtype="float16")


def write(folder: Path, packed: int, plain: int, *, head: str = "", quantized: object = GPTQ) -> Path:
    """A checkpoint of so many packed layers and then so many plain ones."""
    tensors = {
        "model.embed_tokens.weight": torch.zeros(WORDS, WIDTH, dtype=torch.float16),
        "model.norm.weight": torch.zeros(WIDTH, dtype=torch.float16),
    }
    names = [f"model.layers.{number}.mlp.up_proj" for number in range(packed + plain)]
    for name in [*names[:packed], *(["lm_head"] if head == "packed" else [])]:
        tensors[f"{name}.qweight"] = torch.zeros(WIDTH // 8, WIDTH, dtype=torch.int32)
        tensors[f"{name}.qzeros"] = torch.zeros(2, WIDTH // 8, dtype=torch.int32)
        tensors[f"{name}.scales"] = torch.zeros(2, WIDTH, dtype=torch.float16)
    for name in [*names[packed:], *(["lm_head"] if head == "plain" else [])]:
        tensors[f"{name}.weight"] = torch.zeros(WIDTH, WIDTH, dtype=torch.float16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": quantized}))
    return folder


@pytest.mark.parametrize(
    ("head", "modules", "head_bytes", "head_weights"),
    [("", (5, 3), 0, 0), ("plain", (5, 3), 2 * WIDTH**2, WIDTH**2), ("packed", (5, 4), PACKED, WIDTH**2)],
)
def test_layers_bits_and_bytes_are_counted(
    tmp_path: Path, head: str, modules: tuple[int, int], head_bytes: int, head_weights: int
) -> None:
    rest = WORDS * WIDTH + WIDTH
    assert audit_headers(write(tmp_path, 3, 1, head=head), FOUR_BIT, "stored") == Audit(
        *modules,
        bits_per_weight=8 * PACKED / WIDTH**2,
        memory_bytes=3 * PACKED + 2 * WIDTH**2 + 2 * rest + head_bytes,
        reference_bytes=2 * (4 * WIDTH**2 + rest + head_weights),
    )


def test_weights_that_take_too_many_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError) as caught:
        audit_headers(write(tmp_path, 3, 1), replace(FOUR_BIT, max_bits=4.5), "stored@model")
    assert str(caught.value).startswith(
        "variant 'stored@model': the weights take too many bits, 4.5 or more: 3 of 5 linear modules replaced, "
    )


def test_a_checkpoint_of_which_little_is_quantized_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"only 4,096 of 12,\d+ .*\n.*such as model.layers.[12].mlp.up_proj"):
        audit_headers(write(tmp_path, 1, 2), FOUR_BIT, "stored")
    skipped = replace(FOUR_BIT, skipped=("layers.1", "layers.2"))
    assert audit_headers(write(tmp_path, 1, 2), skipped, "gptq:4bit-g64,skip=layers.1+layers.2") is not None


def test_one_of_which_nothing_is_quantized_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"nothing was quantized: 0 of 4 linear modules replaced, 16\.00 bits"):
        audit_headers(write(tmp_path, 0, 3, quantized=None), FOUR_BIT, "gptq:4bit-g64")


def test_plain_weights_are_not_held_to_anything(tmp_path: Path) -> None:
    folder = write(tmp_path, 0, 3, quantized=None)
    assert audit_headers(folder, replace(FOUR_BIT, max_bits=None), "fp16") is None
    spread = write(cache_folder() / "models-2" / "x", 0, 3, quantized=None)
    part = Stored(1, 1)
    types = GgufTypes("Q4_0", {"Q4_0": 3}, part, part, part, part)
    (spread / MANIFEST).write_text(json.dumps({"types": types.to_json()}))
    assert audit_headers(spread, FOUR_BIT, "stored@model-Q4_0.gguf") is None
