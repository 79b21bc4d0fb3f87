"""Checkpoints made elsewhere, each of them real: described, audited, and loaded to the weights that they stand for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_quantgate.errors import ModelError, QuantgateError, SpecError
from pytest_quantgate.variants import device
from pytest_quantgate.variants.header_audit import audit_headers
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.stored_checkpoints import MAKERS, mxfp4

LAYER = "model.layers.0.mlp.down_proj"
LAYERS = 14
SUMMARIES = {
    "awq": "AWQ, 4 bits in groups of 32 (calibration not stated); as stored",
    "bitsandbytes-4bit": "bitsandbytes nf4, 4 bits in groups of 64; as stored",
    "bitsandbytes-8bit": "bitsandbytes LLM.int8(), 8 bits, activations too; as stored",
    "compressed-tensors-W4A16": "compressed-tensors pack-quantized, 4 bits in groups of 32; as stored",
    "compressed-tensors-W8A8": "compressed-tensors int-quantized, 8 bits, activations too; as stored",
    "fp8": "FP8, blocks of 32x32, activation scales dynamic, 8 bits; as stored",
    "gptq": "GPTQ, 4 bits in groups of 32 (made by gptqmodel:2.2.0; calibrated with c4); as stored",
    "quanto-int4": "quanto qint4, 4 bits; as stored",
    "torchao-int8": "torchao Int8WeightOnly, 8 bits; as stored",
}
WEIGHT_ONLY = [name for name in MAKERS if name not in ("bitsandbytes-8bit", "compressed-tensors-W8A8")]
WITH_KERNELS = ["bitsandbytes-4bit", "torchao-int8"]
WITHOUT_KERNELS = ["awq", "compressed-tensors-W4A16", "gptq", "gptq-asymmetric"]

Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def made(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The checkpoint of each kind, made once."""
    above = tmp_path_factory.mktemp("stored")

    def make(name: str) -> Path:
        folder = above / name
        if not folder.exists():
            folder.mkdir()
            MAKERS[name](pristine, folder)
        return folder

    return make


@pytest.fixture
def copied(made: Make, tmp_path: Path) -> Make:
    """A checkpoint that the test may break."""
    return lambda name: Path(shutil.copytree(made(name), tmp_path / name))


def prepare(folder: Path, spec: str = "stored", kernels: str = "auto") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", kernels=kernels)


def load(folder: Path, kernels: str = "auto") -> LoadedModel:
    return load_variant(prepare(folder, kernels=kernels))


def weight_in(loaded: LoadedModel) -> torch.Tensor:
    layer: Any = loaded.model.get_submodule(LAYER)
    weight: torch.Tensor = layer.weight
    return weight


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = loaded.model(torch.arange(5, 30)[None]).logits
    return found


def edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= values
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", MAKERS)
def test_each_kind_is_described_and_audited_by_what_its_files_hold(made: Make, name: str) -> None:
    loaded = load(made(name))
    assert loaded.variant.summary == SUMMARIES.get(name, SUMMARIES["gptq"])
    bits = 8 if "8" in name else 4
    assert loaded.variant.description.bits == bits
    assert loaded.audit.modules_replaced == LAYERS
    assert bits < loaded.audit.bits_per_weight < 1.4 * bits
    assert loaded.audit.bits_per_weight == pytest.approx(loaded.variant.description.stored_bits)
    assert loaded.audit.memory_bytes < loaded.audit.reference_bytes
    by_headers = audit_headers(made(name), loaded.variant.description, "stored")
    assert by_headers is not None
    if name != "quanto-int4":  # its files hold the embedding a second time, as the output head
        assert by_headers.to_json() == pytest.approx(loaded.audit.to_json(), rel=1e-3)


@pytest.mark.parametrize("name", WEIGHT_ONLY)
def test_on_a_cpu_weight_only_layers_are_spread_out_near_the_plain_weights(
    made: Make, pristine: Path, name: str
) -> None:
    loaded = load(made(name))
    assert loaded.variant.placement.kernels == "dense"
    assert type(loaded.model.get_submodule(LAYER)) is torch.nn.Linear
    plain = load_file(pristine / "model.safetensors")[f"{LAYER}.weight"].float()
    lost = (weight_in(loaded) - plain).norm() / plain.norm()
    assert 0 < lost < (0.03 if "8" in name else 0.2)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", WITH_KERNELS)
def test_native_kernels_say_nearly_the_same(made: Make, name: str) -> None:
    folder = made(name)
    native, dense = load(folder, "native"), load(folder)
    assert native.variant.placement.kernels == "native"
    assert native.variant.identity != dense.variant.identity
    assert torch.allclose(logits(native), logits(dense), atol=1e-2)  # bitsandbytes unpacks to half precision


@pytest.mark.parametrize("name", WITHOUT_KERNELS)
def test_what_only_servers_have_kernels_for_is_spread_out_whatever_is_asked(made: Make, name: str) -> None:
    native, dense = load(made(name), "native"), load(made(name))
    assert native.variant.placement.kernels == "dense"
    assert native.variant.identity == dense.variant.identity
    assert type(native.model.get_submodule(LAYER)) is torch.nn.Linear
    assert torch.equal(weight_in(native), weight_in(dense))


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        *((name, "dense") for name in WITHOUT_KERNELS),
        *((name, "native") for name in (*WITH_KERNELS, "quanto-int4", "fp8", "compressed-tensors-W8A8")),
    ],
)
def test_on_cuda_only_those_with_kernels_of_their_own_are_native(
    made: Make, monkeypatch: pytest.MonkeyPatch, name: str, kernels: str
) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(device, "_gpu_name", lambda _: "a GPU")
    variant = prepare_variant("stored", resolve_model(str(made(name))), device="cuda")
    assert (variant.placement.kernels, variant.identity.fields["kernels"]) == (kernels, kernels)


@pytest.mark.parametrize("name", ["bitsandbytes-8bit", "compressed-tensors-W8A8"])
def test_quantized_activations_are_native_always(made: Make, pristine: Path, name: str) -> None:
    loaded = load(made(name), "dense")
    assert loaded.variant.placement.kernels == "native"
    plain = load_variant(prepare_variant("fp16", resolve_model(str(pristine)), device="cpu"))
    assert 0 < float((logits(loaded) - logits(plain)).abs().max()) < 0.05


def test_the_layout_of_symmetric_zeros_is_told_from_them_and_not_from_the_name(made: Make) -> None:
    assert torch.equal(weight_in(load(made("gptq"))), weight_in(load(made("gptq-named-v2"))))


def test_fp8_has_no_kernels_of_its_own_on_a_cpu(made: Make) -> None:
    with pytest.raises(SpecError, match="leave out --quant-kernels native"):
        load(made("fp8"), "native")


@pytest.mark.parametrize("spec", ["fp16", "nf4", "ruin:2bit"])
def test_another_spec_on_a_quantized_checkpoint_is_refused(made: Make, spec: str) -> None:
    folder = made("gptq")
    with pytest.raises(SpecError) as caught:
        prepare(folder, spec)
    assert f"variant '{spec}': its model is already quantized with GPTQ, 4 bits in groups of 32" in str(caught.value)
    assert f"write stored@{folder}" in str(caught.value)


def test_memory_is_estimated_for_the_weights_that_are_spread_out(made: Make, pristine: Path) -> None:
    plain = prepare_variant("fp16", resolve_model(str(pristine)), device="cpu").needed_bytes
    assert prepare(made("gptq")).needed_bytes == pytest.approx(plain, rel=0.01)


def test_a_plain_checkpoint_keeps_its_own_precision(pristine: Path) -> None:
    variant = prepare(pristine)
    assert variant.summary == "plain weights as the checkpoint stores them (float16), nothing quantized"
    assert variant.description.max_bits is None
    loaded = load_variant(variant)
    assert loaded.audit.modules_replaced == 0
    assert torch.equal(weight_in(loaded), load_file(pristine / "model.safetensors")[f"{LAYER}.weight"].float())


def test_several_precisions_are_kept_exactly(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"].float() + 1e-6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded = load(folder)
    assert "several precisions" in loaded.variant.summary
    assert torch.equal(loaded.model.get_parameter("model.norm.weight"), weights["model.norm.weight"])


def test_each_file_of_a_checkpoint_is_identified(copied: Make) -> None:
    folder = copied("quanto-int4")
    before = prepare(folder).identity
    known = json.loads((folder / "quanto_qmap.json").read_text())
    (folder / "quanto_qmap.json").write_text(json.dumps(known, indent=3))
    assert prepare(folder).identity != before


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("gptq", f"{LAYER}.scales"),
        ("awq", f"{LAYER}.qzeros"),
        ("quanto-int4", f"{LAYER}.weight._scale"),
        ("quanto-int4", f"{LAYER}.weight._shift"),
        ("compressed-tensors-W4A16", f"{LAYER}.weight_scale"),
        ("fp8", f"{LAYER}.weight_scale_inv"),
        ("quanto-int4", "model.norm.weight"),
        ("bitsandbytes-4bit", f"{LAYER}.weight.absmax"),
        ("torchao-int8", f"{LAYER}._weight_scale"),
    ],
)
def test_a_missing_tensor_is_an_error_and_never_a_guess(copied: Make, name: str, tensor: str) -> None:
    from safetensors import safe_open

    folder = copied(name)
    file = folder / "model.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    weights = load_file(file)
    del weights[tensor]
    save_file(weights, file, metadata)
    with pytest.raises(QuantgateError, match=r"(?s)model|missing|checkpoint"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "values", "named"),
    [
        ("gptq", {"bits": 8}, "not those of symmetric GPTQ"),
        ("gptq-asymmetric", {"bits": 8}, "shape"),
        ("gptq-asymmetric", {"bits": 2}, "shape"),
        ("awq", {"bits": 8}, "bits is 8, and not one of 4"),
        ("bitsandbytes-4bit", {"load_in_4bit": False, "load_in_8bit": True}, "model|quantized"),
        ("compressed-tensors-W4A16", {"config_groups": {}}, "objects"),
        ("fp8", {"weight_block_size": [0, 32]}, "weight_block_size"),
    ],
)
def test_a_configuration_of_other_weights_is_an_error(
    copied: Make, name: str, values: dict[str, Any], named: str
) -> None:
    folder = copied(name)
    edit(folder, **values)
    with pytest.raises(QuantgateError, match=named):
        load(folder)


def test_code_of_a_checkpoint_is_never_run(copied: Make) -> None:
    folder = copied("gptq")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    with pytest.raises(ModelError):
        load(folder)
    assert not (folder / "ran").exists()


def test_experts_of_mxfp4_are_spread_out_to_its_sixteen_numbers(pristine: Path, tmp_path: Path) -> None:
    mxfp4(pristine, tmp_path)
    variant = prepare(tmp_path)
    assert variant.summary == "MXFP4, 4 bits in groups of 32; as stored"
    assert variant.description.stored_bits == 4.25
    loaded = load_variant(variant)
    assert loaded.audit.modules_replaced == 2
    assert loaded.audit.bits_per_weight == 4.25
    weights = loaded.model.get_parameter("model.layers.0.mlp.experts.down_proj")
    assert set((weights.abs() * 2**6).flatten().tolist()) == {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0}


def test_describing_and_identifying_import_no_torch(made: Make) -> None:
    folders = [str(made(name)) for name in ("gptq", "quanto-int4", "compressed-tensors-W8A8")]
    program = (
        "import sys\n"
        "from pytest_quantgate.variants.source import resolve_model\n"
        "from pytest_quantgate.variants.variant import prepare_variant\n"
        "for folder in sys.argv[1:]:\n"
        "    prepare_variant('stored', resolve_model(folder), device='cpu')\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program, *folders], check=False).returncode == 0
