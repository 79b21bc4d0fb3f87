from __future__ import annotations

import pytest

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.modules import check_skips, columns_of, covers, modules_of

LAYER = "model.layers.1.mlp.down_proj"


def tensors(*names: str) -> list[TensorHeader]:
    return [TensorHeader(name, "F16", (1,)) for name in names]


@pytest.mark.parametrize(
    ("skip", "module", "expected"),
    [
        (LAYER, LAYER, True),
        ("model.layers.1", LAYER, True),
        ("down_proj", LAYER, True),
        ("proj", LAYER, True),
        ("mlp", LAYER, True),
        ("down", LAYER, False),
        ("model.layers.1", "model.layers.11.mlp", False),
        ("model.layers.1.mlp.down_proj.x", LAYER, False),
    ],
)
def test_a_name_covers_what_ends_in_it_and_all_below(skip: str, module: str, expected: bool) -> None:  # noqa: FBT001  (a fact of the table)
    assert covers(skip, module) == expected


def test_modules_are_those_that_hold_tensors_and_all_above_them() -> None:
    assert modules_of(tensors("model.layers.0.mlp.up_proj.weight")) == {
        "lm_head",
        "model",
        "model.layers",
        "model.layers.0",
        "model.layers.0.mlp",
        "model.layers.0.mlp.up_proj",
    }


@pytest.mark.parametrize(
    "name",
    ["h.0.attn.weight", "model.visual.patch.weight", "model.layers.0.mlp.experts.0.w1.weight", "model.layers.0.moe.w"],
)
def test_nothing_is_said_of_models_whose_names_may_change(name: str) -> None:
    assert not modules_of(tensors("model.layers.0.mlp.up_proj.weight", name))


def test_columns_are_those_of_the_layers_that_are_quantized() -> None:
    shapes = {
        "lm_head.weight": (9, 4),
        "model.embed_tokens.weight": (9, 4),
        "model.layers.0.mlp.up_proj.bias": (8,),
        "model.layers.0.mlp.up_proj.weight": (8, 4),
        "model.layers.1.self_attn.k_norm.weight": (2, 2),
        "model.layers.0.self_attn.k_proj.weight": (2, 4),
        "model.layers.1.mlp.down_proj.weight": (4, 8),
        "model.norm.weight": (4,),
    }
    headers = [TensorHeader(name, "F16", shape) for name, shape in shapes.items()]
    up, down = "model.layers.0.mlp.up_proj", "model.layers.1.mlp.down_proj"
    assert columns_of(headers, ["self_attn"]) == {up: 4, down: 8}
    assert columns_of(headers, ["model.layers.0"]) == {down: 8}
    assert columns_of([*headers, TensorHeader("h.0.attn.weight", "F16", (4, 4))], []) == {}


@pytest.mark.parametrize(
    ("skip", "hint"),
    [
        ("model.layer.1.mlp.down_proj", f"did you mean '{LAYER}'?"),
        ("downproj", "did you mean 'down_proj'?"),
        ("zzz", "known: down_proj, layers, lm_head, mlp, model"),
    ],
)
def test_a_name_that_covers_nothing_has_the_nearest_one(skip: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_skips(["mlp", skip], modules_of(tensors(f"{LAYER}.weight")), "nf4")
    assert caught.value.what == f"the model has no module {skip!r}"
    assert caught.value.hint == hint
