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

from pytest_quantgate.errors import AuditError, ModelError, QuantgateError, SpecError
from pytest_quantgate.variants import dense, device, stored_loading
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.header_audit import audit_headers
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.stored import plain_tensors
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.compressed_checkpoints import compressed_tensors
from tests.mxfp4_checkpoint import mxfp4
from tests.stored_checkpoints import MAKERS
from tests.stored_numbers import weight_of
from tests.unit.variants.distances import logits, measured
from tests.unit.variants.stored_kinds import (
    ACTIVATIONS,
    BITS,
    BY_DEFINITION,
    MIXED,
    SUMMARIES,
    TABLES,
    WEIGHT_ONLY,
    WITH_KERNELS,
    WITHOUT_KERNELS,
)

LAYER = "model.layers.0.mlp.down_proj"
LAYERS = 14
PLAIN = "plain"

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
    return dense.weight_in(loaded.model.get_submodule(LAYER))


def edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= values
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in MIXED])
def test_each_kind_is_described_and_audited_by_what_its_files_hold(made: Make, loaded: Load, name: str) -> None:
    found, bits = loaded(name), BITS[name]
    assert found.variant.summary == SUMMARIES[name]
    assert found.variant.description.bits == bits
    assert found.audit.modules_replaced == LAYERS
    assert bits < found.audit.bits_per_weight < bits + 1.5 + TABLES.get(name, 0)
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


@pytest.mark.parametrize(("name", "scaled"), list(zip(MIXED, (8.5, 8.25), strict=True)))
def test_mixed_bits_are_audited_by_what_each_layer_takes(loaded: Load, name: str, scaled: float) -> None:
    found = loaded(name)
    assert found.variant.summary == SUMMARIES[name]
    assert found.variant.description.bits is None
    assert found.audit.modules_replaced == LAYERS
    attention, mlp = 64 * (64 + 32 + 32 + 64), 3 * 64 * 128
    assert found.audit.bits_per_weight == pytest.approx(found.variant.description.stored_bits)
    assert found.audit.bits_per_weight == pytest.approx((scaled * attention + 4.5 * mlp) / (attention + mlp), rel=0.01)


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
        [
            "compressed-tensors-W8A16",
            "compressed-tensors-mixed",
            "compressed-tensors-W4A16",
            "compressed-tensors-W3A16",
            "compressed-tensors-W2A16",
        ],
        ["compressed-tensors-MXFP8A16", "compressed-tensors-MXFP6A16", "compressed-tensors-MXFP4A16"],
        ["compressed-tensors-FP8_DYNAMIC", "compressed-tensors-mixed-floats", "compressed-tensors-NVFP4"],
        ["quanto-int8", "quanto-int4", "quanto-int2"],
        ["quanto-float8", "quanto-int4"],
        ["torchao-int8", "torchao-nvfp4"],
        ["torchao-float8", "torchao-nvfp4"],
        ["bitsandbytes-8bit", "bitsandbytes-4bit"],
        ["fp8-matrix", "gptq-act-order"],
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


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_a_loaded_weight_is_what_its_tensors_stand_for(made: Make, loaded: Load, name: str) -> None:
    found = weight_in(loaded(name)).double()
    torch.testing.assert_close(found, weight_of(made(name), LAYER), rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_quantized_activations_are_native_always(loaded: Load, name: str) -> None:
    found = loaded(name, "dense")
    assert found.variant.placement.kernels == "native"
    assert 0 < float((logits(found) - logits(loaded(PLAIN))).abs().max()) < (0.05 if BITS[name] == 8 else 0.5)


@pytest.mark.parametrize(
    ("name", "weights_alone"),
    [
        ("compressed-tensors-MXFP4", "compressed-tensors-MXFP4A16"),
        ("compressed-tensors-NVFP4", "compressed-tensors-NVFP4A16"),
    ],
)
def test_the_same_weights_answer_worse_where_activations_are_quantized_too(
    loaded: Load, name: str, weights_alone: str
) -> None:
    assert torch.equal(weight_in(loaded(name)), weight_in(loaded(weights_alone)))
    bits, _, answers = measured([loaded(each) for each in (PLAIN, weights_alone, name)])
    assert bits[1] == pytest.approx(bits[2], rel=0.01)
    assert answers == sorted(set(answers))


def test_a_scale_of_the_whole_matrix_keeps_float32_in_any_compute_dtype(made: Make) -> None:
    folder = made("compressed-tensors-NVFP4")
    variant = prepare_variant("stored", resolve_model(str(folder)), device="cpu", compute_dtype="bfloat16")
    layer = load_variant(variant).model.get_submodule(LAYER)
    scale = load_file(folder / "model.safetensors")[f"{LAYER}.input_global_scale"]
    assert torch.equal(layer.get_parameter("input_global_scale"), scale)
    assert layer.get_parameter("weight").dtype == torch.bfloat16


def test_zeros_stored_as_they_are_mean_what_zeros_stored_less_one_do(loaded: Load) -> None:
    assert torch.equal(weight_in(loaded("gptq-asymmetric-v2")), weight_in(loaded("gptq-asymmetric")))


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
        ("compressed-tensors-NVFP4A16", f"{LAYER}.weight_global_scale"),
        ("compressed-tensors-NVFP4", f"{LAYER}.input_global_scale"),
        ("compressed-tensors-FP8", f"{LAYER}.input_scale"),
        ("compressed-tensors-W4A16_ASYM", f"{LAYER}.weight_zero_point"),
        ("bitsandbytes-4bit-double", f"{LAYER}.weight.nested_absmax"),
        ("bitsandbytes-4bit-double", f"{LAYER}.weight.nested_quant_map"),
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
        ("fp8", {"weight_block_size": [48, 32]}, "no whole number of blocks of 48 x 32"),
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


def test_four_bits_that_take_eight_are_told_and_refused(pristine: Path, tmp_path: Path) -> None:
    compressed_tensors({"Linear": "W4AFP8"})(pristine, tmp_path)  # which stores each weight in a byte
    variant = prepare(tmp_path)
    assert variant.description.stored_bits == pytest.approx(8.5, abs=0.1)
    with pytest.raises(AuditError, match="the weights take too many bits, 8 or more: 14 of 15"):
        load_variant(variant)


def test_experts_of_mxfp4_are_the_weights_that_their_blocks_stand_for(pristine: Path, tmp_path: Path) -> None:
    expected = mxfp4(pristine, tmp_path)
    variant = prepare(tmp_path)
    assert variant.summary == "MXFP4, 4 bits in groups of 32; as stored"
    assert variant.description.stored_bits == 4.25
    loaded = load_variant(variant)
    assert loaded.audit.modules_replaced == 2
    assert loaded.audit.bits_per_weight == 4.25
    assert len(expected) == 4
    for name, weight in expected.items():
        assert torch.equal(loaded.model.get_parameter(name), weight), name


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
