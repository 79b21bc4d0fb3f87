"""Checkpoints of other quantizers, brought to a GPU: the weights are those that a CPU reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.served import TINY_INSTRUCT
from tests.stored_checkpoints import MAKERS

LAYER = "model.layers.1.mlp.down_proj"
KINDS = ["awq", "gptq", "compressed-tensors-W4A16", "bitsandbytes-4bit", "torchao-int8"]
OF_QUANTO = ["quanto-int8", "quanto-int4", "quanto-int2"]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    MAKERS[request.param](TINY_INSTRUCT, tmp_path)
    return tmp_path


def loaded(folder: Path, device: str, kernels: str) -> LoadedModel:
    source = resolve_model(str(folder))
    return load_variant(prepare_variant("stored", source, device=device, compute_dtype="float32", kernels=kernels))


@pytest.mark.parametrize("folder", [*KINDS, *OF_QUANTO], indirect=True)
def test_dense_weights_are_the_same_on_every_device(device: str, folder: Path) -> None:
    weights = []
    for where in (device, "cpu"):
        found = loaded(folder, where, "dense")
        assert {str(each.device) for each in found.model.parameters()} == {where}
        layer: Any = found.model.get_submodule(LAYER)
        weights.append(layer.weight.detach().cpu())
    there, here = weights
    assert torch.allclose(there, here, atol=1e-3)


@pytest.mark.parametrize("folder", ["bitsandbytes-4bit", "torchao-int8", "quanto-int8"], indirect=True)
def test_native_kernels_compute_with_nearly_the_same_weights(device: str, folder: Path) -> None:
    found = []
    for kernels in ("native", "dense"):
        model: Any = loaded(folder, device, kernels).model
        with torch.inference_mode():
            found.append(model(torch.tensor([[5, 6, 7, 8]], device=model.device)).logits)
    native, dense = found
    assert str(native.device) == device
    assert float((native - dense).abs().max() / dense.abs().max()) < 0.02  # some unpack to half precision
