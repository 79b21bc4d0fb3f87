"""GPTQ on the tiny model, calibrated on few sequences: what is made, kept and loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants import gptq, gptq_calibration, gptq_making, packed_loading
from pytest_quantgate.variants.checkpoint import WEIGHTS, read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.loading import load_pretrained
from pytest_quantgate.variants.packed_loading import PackedLinear, Packing, finish, load_packed
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

LINEAR_LAYERS = 14
SEQUENCES = 8  # two batches
SPECS = {bits: f"gptq:{bits}bit-g64" for bits in (8, 4, 3, 2)}
TOKENS = torch.tensor([[2, 4, 0, 0, 7, 0, 3, 4, 40, 0, 60]])
UP = "model.layers.0.mlp.up_proj"


def loaded(folder: Path, spec: str, notes: list[str] | None = None, kernels: str = "auto") -> LoadedModel:
    variant = prepare_variant(spec, resolve_model(str(folder)), device="cpu", kernels=kernels)
    return load_variant(variant, None if notes is None else notes.append)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(TOKENS).logits
    return found


def weight(model: LoadedModel, name: str) -> torch.Tensor:
    return model.model.get_submodule(name).get_parameter("weight")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gptq")


@pytest.fixture(autouse=True)
def few_sequences(own_cache: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  (after it)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.setattr(gptq_making, "sequences_for", lambda *_: SEQUENCES)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Path:
    """A cache folder without any checkpoint."""
    monkeypatch.setenv(CACHE_VARIABLE, str(own_cache))
    return own_cache


@pytest.fixture
def made(pristine: Path, cache: Path, tmp_path: Path) -> Path:
    """A copy of the 4-bit checkpoint."""
    loaded(pristine, SPECS[4])
    for folder in (cache / "gptq").iterdir():
        config = folder / "config.json"
        if config.is_file() and json.loads(config.read_text())["quantization_config"]["bits"] == 4:
            return Path(shutil.copytree(folder, tmp_path / "made"))
    raise AssertionError


def test_it_is_made_once_and_told_how_far_it_has_come(pristine: Path, fresh: Path) -> None:
    notes: list[str] = []
    first = loaded(pristine, SPECS[4], notes)
    assert notes == [
        "gptq:4bit-g64: quantizing the model; this happens once and takes minutes or longer",
        "gptq:4bit-g64: 1 of 2 layers are quantized",
        "gptq:4bit-g64: 2 of 2 layers are quantized",
    ]
    again = loaded(pristine, SPECS[4], notes)
    assert len(notes) == 3
    assert torch.equal(logits(again.model), logits(first.model))
    assert len([path for path in (fresh / "gptq").iterdir() if path.is_dir()]) == 1


def test_where_it_will_be_kept_is_known_until_it_is_made(pristine: Path, fresh: Path) -> None:
    variant = prepare_variant(SPECS[4], resolve_model(str(pristine)), device="cpu")
    waiting = gptq.BACKEND.unmade(variant.spec, pristine, variant.placement)
    load_variant(variant)
    (folder,) = (path for path in (fresh / "gptq").iterdir() if path.is_dir())
    assert waiting == {SPECS[4]: folder}
    assert gptq.BACKEND.unmade(variant.spec, pristine, variant.placement) == {}


def test_weights_that_were_exchanged_are_made_anew(pristine: Path, fresh: Path) -> None:
    expected = logits(loaded(pristine, SPECS[4]).model)
    (weights,) = (fresh / "gptq").glob(f"*/{WEIGHTS}")
    others = load_file(weights)
    others[f"{UP}.scales"] *= 2
    save_file(others, weights, metadata={"format": "pt"})
    notes: list[str] = []
    assert torch.equal(logits(loaded(pristine, SPECS[4], notes).model), expected)
    assert "was damaged: moved to " in notes[0]


def test_a_checkpoint_that_changes_while_it_is_loaded_is_an_error(
    pristine: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(folder: Path, *given: Any) -> Any:
        model = load_packed(folder, *given)
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b" ")
        return model

    loaded(pristine, SPECS[4])
    monkeypatch.setattr(packed_loading, "load_packed", load)
    with pytest.raises(ModelError, match=r"the GPTQ checkpoint changed while it was loaded\n  run again"):
        loaded(pristine, SPECS[4])
    assert len([*(fresh / "gptq").glob(f"*/{WEIGHTS}")]) == 1


def test_fewer_bits_take_less_and_lose_more(pristine: Path) -> None:
    reference = logits(loaded(pristine, "fp16").model)
    found = {bits: loaded(pristine, spec) for bits, spec in SPECS.items()}
    errors = [float((logits(each.model) - reference).norm()) for each in found.values()]
    assert errors == sorted(errors)
    # 16 bits of scale and some of zero for 64 weights, and the index of each input's group
    stored = {bits: each.audit.bits_per_weight - bits for bits, each in found.items()}
    assert all(0.25 < over < 1 for over in stored.values()), stored
    assert {each.audit.modules_replaced for each in found.values()} == {LINEAR_LAYERS}


@pytest.mark.parametrize("bits", [4, 3])
def test_on_what_it_was_calibrated_with_it_loses_less_than_rounding_to_nearest(pristine: Path, bits: int) -> None:
    reference, nearest = loaded(pristine, "fp16").model, loaded(pristine, f"rtn:{bits}bit-g64").model
    ours = loaded(pristine, SPECS[bits])
    tokens = gptq_making._batches(ours.model, pristine, "cpu")[0]  # noqa: SLF001  (what it read)
    with torch.no_grad():
        true, rounded, solved = (model.model(tokens).last_hidden_state for model in (reference, nearest, ours.model))
    assert (solved - true).norm() < 0.7 * (rounded - true).norm()


def test_packed_layers_compute_what_they_are_spread_out_to(pristine: Path, made: Path) -> None:
    packed = load_packed(made, Packing("gptq", 4), "cpu")
    finish(packed, Placement("cpu", "float32", "native"))
    assert isinstance(packed.get_submodule(UP), PackedLinear)
    assert torch.allclose(logits(packed), logits(loaded(pristine, SPECS[4]).model), atol=1e-5)


def test_scales_of_packed_layers_stay_as_they_are_stored(made: Path) -> None:
    packed: Any = load_packed(made, Packing("gptq", 4), "cpu")
    stored = packed.get_submodule(UP).scales.clone()
    finish(packed, Placement("cpu", "bfloat16", "native"))
    assert packed.get_submodule("model.norm").weight.dtype == torch.bfloat16
    assert torch.equal(packed.get_submodule(UP).scales, stored)  # dtype and all


def test_the_checkpoint_is_one_that_is_gated_as_stored_elsewhere(pristine: Path, made: Path) -> None:
    config = json.loads((made / "config.json").read_text())["quantization_config"]
    assert config["quant_method"] == "gptq"
    assert (config["bits"], config["group_size"], config["sym"], config["desc_act"]) == (4, 64, True, False)
    stored = loaded(made, "stored")
    assert "made by pytest-quantgate; calibrated with the Python reference manual" in stored.variant.summary
    assert torch.equal(logits(stored.model), logits(loaded(pristine, SPECS[4]).model))
    assert stored.audit.bits_per_weight == loaded(pristine, SPECS[4]).audit.bits_per_weight


def test_skipped_modules_stay_and_other_tools_are_told(pristine: Path, fresh: Path) -> None:
    model = loaded(pristine, "gptq:4bit-g64,skip=layers.0.mlp+down_proj")
    assert model.audit.modules_replaced == LINEAR_LAYERS - 4
    (config,) = (fresh / "gptq").glob("*/config.json")
    assert list(json.loads(config.read_text())["quantization_config"]["dynamic"]) == [
        rf"-:^model\.layers\.{layer}\.mlp\.{name}_proj$"
        for layer, name in ((0, "down"), (0, "gate"), (0, "up"), (1, "down"))
    ]


def test_a_layer_is_the_same_whatever_is_skipped_behind_it_and_another_where_what_it_reads_is(pristine: Path) -> None:
    whole, first, second = (loaded(pristine, f"{SPECS[4]}{skip}") for skip in ("", ",skip=layers.1", ",skip=layers.0"))
    plain, down = loaded(pristine, "fp16"), "model.layers.1.mlp.down_proj"
    assert torch.equal(weight(first, UP), weight(whole, UP))
    assert torch.equal(weight(first, down), weight(plain, down))
    assert torch.equal(weight(second, UP), weight(plain, UP))
    assert not torch.equal(weight(second, down), weight(whole, down))
    assert {first.audit.modules_replaced, second.audit.modules_replaced} == {LINEAR_LAYERS // 2}


def test_groups_that_rows_cannot_be_cut_into_end_short(pristine: Path, fresh: Path) -> None:
    loaded(pristine, "gptq:4bit-g48")
    (weights,) = (fresh / "gptq").glob(f"*/{WEIGHTS}")
    assert load_file(weights)[f"{UP}.g_idx"].tolist() == [0] * 48 + [1] * 16


def test_another_model_another_text_and_another_spec_are_made_anew(
    pristine: Path, edit_weights: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(where: Path, spec: str = SPECS[4]) -> tuple[str, str]:
        variant = prepare_variant(spec, resolve_model(str(where)), device="cpu")
        return gptq._ingredients(variant.spec, where, variant.placement), variant.identity.digest  # noqa: SLF001

    before = named(pristine)
    assert named(folder) == before
    others = [named(pristine, "gptq:4bit-g32"), named(pristine, f"{SPECS[4]},skip=down_proj")]
    edit_weights(lambda weights: weights[f"{UP}.weight"].mul_(1.5))
    others.append(named(folder))
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "default.jinja").write_text("{{ messages[0]['content'] }}")
    others.append(named(folder))
    monkeypatch.setattr(gptq_calibration, "digest", lambda: "another text")
    others.append(named(pristine))
    assert len({before, *others}) == 6
    assert len({identity for _, identity in (before, *others)}) == 6
    assert len({made for made, _ in (before, *others)}) == 6


@pytest.mark.parametrize("spec", [SPECS[4], f"mix:down_proj={SPECS[4]};*=rtn:8bit-g64"])
def test_native_kernels_are_gptqmodel_s_which_is_missed_before_anything_is_made(
    pristine: Path, fresh: Path, spec: str
) -> None:
    source = resolve_model(str(pristine))
    with pytest.raises(SpecError, match=r"gptqmodel, which is not installed[\s\S]*--quant-kernels dense"):
        prepare_variant(spec, source, device="cpu", kernels="native")
    assert prepare_variant(spec, source, device="cpu", kernels="dense").placement.kernels == "dense"
    assert not (fresh / "gptq").exists()


def test_layers_that_read_the_tokens_themselves_cannot_be_calibrated(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, fresh: Path
) -> None:
    whole = load_pretrained

    def reading(*args: Any, **kwargs: Any) -> Any:
        model: Any = whole(*args, **kwargs)
        for layer in model.model.layers:
            layer.register_forward_pre_hook(
                lambda _, args, kwargs: (args, {**kwargs, "tokens": torch.rand(1)}), with_kwargs=True
            )
        return model

    monkeypatch.setattr(gptq_making, "load_pretrained", reading)
    with pytest.raises(ModelError, match=r"cannot be calibrated one by one[\s\S]*rtn:"):
        loaded(pristine, SPECS[4])
    assert not list((fresh / "gptq").glob("*/"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tensors: tensors[f"{UP}.g_idx"].add_(9), "g_idx names groups that are not among its 1"),
        (lambda tensors: tensors.update({f"{UP}.scales": torch.ones(1, 3).half()}), r"scales has the shape \(1, 3\)"),
        (lambda tensors: tensors.pop(f"{UP}.qzeros"), "qzeros has the shape None"),
        (
            lambda tensors: [
                tensors.pop(f"{UP}.g_idx"),
                *(tensors.update({f"{UP}.{key}": tensors[f"{UP}.{key}"].repeat(3, 1)}) for key in ("qzeros", "scales")),
            ],
            "in 3 groups is not one that 4-bit gptq can hold",
        ),
        (
            lambda tensors: tensors.update({"model.norm.qweight": torch.zeros(1, 1, dtype=torch.int32)}),
            "model.norm is packed, and is no linear layer",
        ),
    ],
)
def test_a_checkpoint_that_is_not_what_it_says_is_one_clear_error(
    made: Path, damage: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    tensors = dict(load_file(made / WEIGHTS))
    damage(tensors)
    save_file(tensors, made / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=message):
        load_packed(made, Packing("gptq", 4), "cpu")


def test_a_scalar_among_the_embedding_s_tensors_is_no_width(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, tensors = parse_spec(SPECS[4]), read_tensors(pristine)
    expected = gptq.BACKEND.inspect(spec, pristine)
    scalar = TensorHeader("model.embed_scale", "F32", ())
    monkeypatch.setattr("pytest_quantgate.variants.checkpoint.read_tensors", lambda _: (*tensors, scalar))
    assert gptq.BACKEND.inspect(spec, pristine).loading_bytes == expected.loading_bytes + 2


def test_a_chat_template_that_fails_is_one_clear_error(pristine: Path, fresh: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pristine, tmp_path / "strict"))
    (folder / "chat_template.jinja").write_text("{{ raise_exception('a system message is needed') }}")
    with pytest.raises(ModelError, match=r"chat template fails .* a system message is needed[\s\S]*rtn:"):
        loaded(folder, SPECS[4])
    assert not list((fresh / "gptq").glob("*/"))
