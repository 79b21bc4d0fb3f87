"""Checkpoints made elsewhere, each of them real: described, audited, and loaded to the weights that they stand for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from optimum.quanto.tensor import WeightQBitsTensor, WeightQBytesTensor
from optimum.quanto.tensor.packed import PackedTensor
from safetensors.torch import load_file, save_file

from pytest_quantgate.errors import ModelError, QuantgateError, SpecError
from pytest_quantgate.variants import device, stored_loading
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.header_audit import audit_headers
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.stored import plain_tensors
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.stored_checkpoints import MAKERS, mxfp4
from tests.unit.variants.distances import logits, measured

LAYER = "model.layers.0.mlp.down_proj"
LAYERS = 14
_GPTQ = "GPTQ, {} bits in groups of 32 (made by gptqmodel:2.2.0; calibrated with c4); as stored"
SUMMARIES = {
    "awq": "AWQ, 4 bits in groups of 32 (calibration not stated); as stored",
    "bitsandbytes-4bit": "bitsandbytes nf4, 4 bits in groups of 64; as stored",
    "bitsandbytes-8bit": "bitsandbytes LLM.int8(), 8 bits, activations too; as stored",
    "compressed-tensors-W4A16": "compressed-tensors pack-quantized, 4 bits in groups of 32; as stored",
    "compressed-tensors-W8A16": "compressed-tensors pack-quantized, 8 bits in groups of 32; as stored",
    "compressed-tensors-W8A8": "compressed-tensors int-quantized, 8 bits, activations too; as stored",
    "compressed-tensors-mixed": "compressed-tensors pack-quantized, mixed bits (4, 8) in groups of 32; as stored",
    "fp8": "FP8, blocks of 32x32, activation scales dynamic, 8 bits; as stored",
    **dict.fromkeys(("gptq", "gptq-asymmetric", "gptq-named-v2"), _GPTQ.format(4)),
    **{f"gptq-{bits}bit": _GPTQ.format(bits) for bits in (2, 3, 8)},
    **{f"quanto-int{bits}": f"quanto qint{bits}, {bits} bits; as stored" for bits in (2, 4, 8)},
    "torchao-int8": "torchao Int8WeightOnly, 8 bits; as stored",
    "torchao-nvfp4": "torchao NVFP4WeightOnly, 4 bits; as stored",
}
BITS = {name: 8 if "8" in name else 4 for name in MAKERS} | {"gptq-2bit": 2, "gptq-3bit": 3, "quanto-int2": 2}
"""Of a weight; of the checkpoint of mixed bits those of its MLPs."""

MIXED = "compressed-tensors-mixed"
PLAIN = "plain"
WEIGHT_ONLY = [name for name in MAKERS if name not in ("bitsandbytes-8bit", "compressed-tensors-W8A8")]
WITH_KERNELS = ["bitsandbytes-4bit", "torchao-int8"]
WITHOUT_KERNELS = ["awq", "compressed-tensors-W4A16", "fp8", "gptq", "gptq-asymmetric"]

Make = Callable[[str], Path]
Load = Callable[..., LoadedModel]


@pytest.fixture(scope="module")
def loaded(made: Make, pristine: Path) -> Load:
    """The checkpoint of a kind, or the plain one that all are made of, loaded once: tests must leave it as it is."""

    @cache
    def loaded(name: str, kernels: str = "auto") -> LoadedModel:
        return load(pristine if name == PLAIN else made(name), kernels)

    return loaded


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


def edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= values
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", [name for name in MAKERS if name != MIXED])
def test_each_kind_is_described_and_audited_by_what_its_files_hold(made: Make, loaded: Load, name: str) -> None:
    found, bits = loaded(name), BITS[name]
    assert found.variant.summary == SUMMARIES[name]
    assert found.variant.description.bits == bits
    assert found.audit.modules_replaced == LAYERS
    assert bits < found.audit.bits_per_weight < bits + 1.5
    assert found.audit.bits_per_weight == pytest.approx(found.variant.description.stored_bits)
    assert found.audit.memory_bytes < found.audit.reference_bytes
    by_headers = audit_headers(made(name), found.variant.description, "stored")
    assert by_headers is not None
    if not name.startswith("quanto"):  # its files hold the embedding a second time, as the output head
        assert by_headers.to_json() == pytest.approx(found.audit.to_json(), rel=1e-3)


@pytest.mark.parametrize(("name", "bytes_each"), [("quanto-int4", 2), ("torchao-int8", 0)])
def test_the_estimate_counts_the_room_that_loading_makes_for_plain_weights(
    made: Make, name: str, bytes_each: int
) -> None:
    folder = made(name)
    found = prepare(folder, kernels="native")
    weights = sum(tensor.count for tensor in plain_tensors(read_tensors(folder), folder))
    assert found.description.loading_bytes == bytes_each * weights
    assert found.needed_bytes > ALLOWANCE_BYTES + bytes_each * weights


def test_mixed_bits_are_audited_by_what_each_layer_takes(loaded: Load) -> None:
    found = loaded(MIXED)
    assert found.variant.summary == SUMMARIES[MIXED]
    assert found.variant.description.bits is None
    assert found.audit.modules_replaced == LAYERS
    attention, mlp = 64 * (64 + 32 + 32 + 64), 3 * 64 * 128
    assert found.audit.bits_per_weight == pytest.approx(found.variant.description.stored_bits)
    assert found.audit.bits_per_weight == pytest.approx((8.5 * attention + 4.5 * mlp) / (attention + mlp), rel=0.01)


@pytest.mark.parametrize("name", WEIGHT_ONLY)
def test_on_a_cpu_weight_only_layers_are_spread_out_near_the_plain_weights(
    loaded: Load, pristine: Path, name: str
) -> None:
    found = loaded(name)
    assert found.variant.placement.kernels == "dense"
    assert type(found.model.get_submodule(LAYER)) is torch.nn.Linear
    plain = load_file(pristine / "model.safetensors")[f"{LAYER}.weight"].float()
    lost = (weight_in(found) - plain).norm() / plain.norm()
    assert 0 < lost < max(0.03, 3.2 * 2 ** -BITS[name])
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "family",
    [
        ["gptq-8bit", "gptq", "gptq-3bit", "gptq-2bit"],
        ["compressed-tensors-W8A16", MIXED, "compressed-tensors-W4A16"],
        ["quanto-int8", "quanto-int4", "quanto-int2"],
        ["torchao-int8", "torchao-nvfp4"],
        ["bitsandbytes-8bit", "bitsandbytes-4bit"],
        ["gptq-8bit", "fp8", "awq"],
    ],
    ids=" ".join,
)
def test_fewer_bits_are_farther_from_the_plain_weights(loaded: Load, family: list[str]) -> None:
    bits, weights, answers = measured([loaded(name) for name in (PLAIN, *family)])
    assert bits == sorted(set(bits), reverse=True)
    assert weights == sorted(set(weights))
    assert answers == sorted(set(answers))


@pytest.mark.parametrize("name", WITH_KERNELS)
def test_native_kernels_say_nearly_the_same(loaded: Load, name: str) -> None:
    native, dense = loaded(name, "native"), loaded(name)
    assert native.variant.placement.kernels == "native"
    assert native.variant.identity != dense.variant.identity
    assert torch.allclose(logits(native), logits(dense), atol=1e-2)  # bitsandbytes unpacks to half precision


@pytest.mark.parametrize("name", WITHOUT_KERNELS)
def test_what_only_servers_have_kernels_for_is_spread_out_whatever_is_asked(loaded: Load, name: str) -> None:
    native, dense = loaded(name, "native"), loaded(name)
    assert native.variant.placement.kernels == "dense"
    assert native.variant.identity == dense.variant.identity
    assert type(native.model.get_submodule(LAYER)) is torch.nn.Linear
    assert torch.equal(weight_in(native), weight_in(dense))


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        *((name, "dense") for name in WITHOUT_KERNELS),
        *((name, "native") for name in (*WITH_KERNELS, "quanto-int4", "compressed-tensors-W8A8")),
    ],
)
def test_on_cuda_only_those_with_kernels_of_their_own_are_native(
    made: Make, monkeypatch: pytest.MonkeyPatch, name: str, kernels: str
) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(device, "_gpu_name", lambda _: "a GPU")
    variant = prepare_variant("stored", resolve_model(str(made(name))), device="cuda")
    assert (variant.placement.kernels, variant.identity.fields["kernels"]) == (kernels, kernels)


@pytest.mark.parametrize("name", ["quanto-int2", "quanto-int4", "quanto-int8"])
def test_quantos_weights_come_to_a_device_as_they_are_packed(
    made: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def unpack(_: object) -> None:
        pytest.fail("on the way to a GPU weights were unpacked, by what is compiled for the CPU")

    monkeypatch.setattr(PackedTensor, "unpack", unpack)
    # a device that is not the CPU: there is no other here
    found: Any = stored_loading.load(made(name), Placement("meta", "float16", "dense"))
    assert {parameter.device.type for parameter in found.parameters()} == {"meta"}
    assert type(found.get_submodule(LAYER).weight) in (WeightQBitsTensor, WeightQBytesTensor)


def test_memory_that_runs_out_while_quantos_weights_are_read_is_told_as_that(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("optimum.quanto.requantize", read)
    with pytest.raises(ModelError, match="memory of cpu ran out while it was loaded"):
        load(made("quanto-int8"))


@pytest.mark.parametrize("name", ["bitsandbytes-8bit", "compressed-tensors-W8A8"])
def test_quantized_activations_are_native_always(loaded: Load, name: str) -> None:
    found = loaded(name, "dense")
    assert found.variant.placement.kernels == "native"
    assert 0 < float((logits(found) - logits(loaded(PLAIN))).abs().max()) < 0.05


def test_the_layout_of_symmetric_zeros_is_told_from_them_and_not_from_the_name(loaded: Load) -> None:
    assert torch.equal(weight_in(loaded("gptq")), weight_in(loaded("gptq-named-v2")))


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


def test_a_plain_checkpoint_keeps_its_own_precision(loaded: Load, pristine: Path) -> None:
    found = loaded(PLAIN)
    assert found.variant.summary == "plain weights as the checkpoint stores them (float16), nothing quantized"
    assert found.variant.description.max_bits is None
    assert found.audit.modules_replaced == 0
    assert torch.equal(weight_in(found), load_file(pristine / "model.safetensors")[f"{LAYER}.weight"].float())


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
