"""Norms of two checkpoints are compared in their files, whatever precision and files they are stored in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.norms import check_norms

NAME = "model.layers.0.input_layernorm.weight"
VALUES = torch.linspace(0.5, 2.0, 64)


def checkpoint(folder: Path, **tensors: torch.Tensor) -> Path:
    """The weights of one, each under the name of its argument, which has no dots."""
    folder.mkdir()
    save_file({name.replace("__", "."): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def norms(folder: Path, values: torch.Tensor) -> Path:
    before = torch.zeros(3, 5)  # so that the norm does not lie where the file's numbers begin
    return checkpoint(folder, **{"model__a__weight": before, NAME.replace(".", "__"): values})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_they_may_differ_by_rounding_alone(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = norms(tmp_path / "whole", VALUES.half())
    check_norms(norms(tmp_path / "same", VALUES.to(dtype)), whole)
    with pytest.raises(SpecError) as caught:
        check_norms(norms(tmp_path / "scaled", (1.05 * VALUES).to(dtype)), whole)
    assert caught.value.what.startswith(f"its norms are not those of the model of the mix, such as {NAME}: ")
    with pytest.raises(SpecError):
        check_norms(norms(tmp_path / "shorter", VALUES[:32].to(dtype)), whole)


def test_they_may_lie_in_any_of_several_files(tmp_path: Path) -> None:
    whole, parts = norms(tmp_path / "whole", VALUES), tmp_path / "parts"
    parts.mkdir()
    files = {"first.safetensors": "model.norm.weight", "second.safetensors": NAME}
    for file, name in files.items():
        save_file({name: 2 * VALUES}, parts / file)
    index = {"weight_map": {name: file for file, name in files.items()}}
    (parts / "model.safetensors.index.json").write_text(json.dumps(index))
    for own, folder in ((parts, whole), (whole, parts)):
        with pytest.raises(SpecError, match=r"such as model\.layers\.0\.input_layernorm\.weight"):
            check_norms(own, folder)


def test_nothing_else_is_compared(tmp_path: Path) -> None:
    one = checkpoint(
        tmp_path / "one",
        a__weight=torch.ones(4, 4),
        a__bias=torch.ones(4),
        mine__weight=torch.ones(4),
        packed__weight=torch.ones(4, dtype=torch.uint8),
    )
    other = checkpoint(
        tmp_path / "other",
        a__weight=torch.zeros(4, 4),
        a__bias=torch.zeros(4),
        theirs__weight=torch.zeros(4),
        packed__weight=torch.zeros(4, dtype=torch.uint8),
    )
    check_norms(one, other)
