"""GGUF files of every type: real ones, converted to exactly the weights that their blocks stand for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file

from pytest_quantgate.errors import AuditError, ModelError
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.variants.gguf import converted_folder, types_in
from pytest_quantgate.variants.gguf_types import GgufTypes, read_types
from pytest_quantgate.variants.made import MANIFEST
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.gguf_files import ALL_TYPES, LAYERS, MATRICES, write_gguf
from tests.unit.variants.distances import measured

MODULES = {
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Those that are stored in the order in which they are used; q and k are turned for their rotation."""

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
MIXTURES = {"Q8_0": 8, "Q6_K": 6, "Q5_K_M": 5, "Q4_K_M": 4, "Q3_K_M": 3, "Q2_K": 2}
"""Those whose types are tested for their order, and the bits of a level."""


def silent(_line: str) -> None:
    """Nobody is told."""


def test_every_type_is_spread_out_to_what_its_blocks_stand_for(tmp_path: Path) -> None:
    file = tmp_path / "all.gguf"
    dense = write_gguf(file, ALL_TYPES, gguf.LlamaFileType.MOSTLY_Q4_K_M, template=TEMPLATE)
    weights = load_file(converted_folder(file, silent) / "model.safetensors")
    assert len(dense) >= len(ALL_TYPES)
    for name, expected in dense.items():
        _, layer, matrix, _ = name.split(".")
        wanted = torch.from_numpy(expected).half()
        if matrix in MODULES:
            assert torch.equal(weights[f"model.layers.{layer}.{MODULES[matrix]}.weight"], wanted), name
        else:
            module = "q_proj" if matrix == "attn_q" else "k_proj"
            found = weights[f"model.layers.{layer}.self_attn.{module}.weight"]
            assert torch.equal(found.flatten().sort()[0], wanted.flatten().sort()[0]), name


def test_fewer_bits_are_farther_from_the_plain_weights(tmp_path: Path) -> None:
    family = []
    for mixture in ("F16", *MIXTURES):
        file = tmp_path / f"{mixture}.gguf"
        kinds = [Kind[mixture.removesuffix("_M")]]
        write_gguf(file, kinds, gguf.LlamaFileType[f"MOSTLY_{mixture}"], template=TEMPLATE)
        family.append(load_variant(prepare_variant("stored", resolve_model(str(file), note=silent), device="cpu")))
    bits, weights, answers = measured(family)
    assert bits == sorted(set(bits), reverse=True)
    assert weights == sorted(set(weights))
    assert answers == sorted(set(answers))
    # what is laid out wrongly is farther away than what is rounded
    assert all(lost < 2 ** (1 - level) for lost, level in zip(weights[1:], MIXTURES.values(), strict=True)), weights


def test_what_the_file_stores_is_described_and_audited(tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    write_gguf(file, [Kind.Q4_K] * 6 + [Kind.Q6_K], gguf.LlamaFileType.MOSTLY_Q4_K_M, template=TEMPLATE)
    variant = prepare_variant("stored", resolve_model(str(file), note=silent), device="cpu")
    bits = (6 * 4.5 + 6.5625) / 7
    assert variant.summary.startswith("GGUF Q4_K_M: ")
    assert "18 Q4_K, 3 Q6_K tensors" in variant.summary
    assert variant.summary.endswith(" tensors), made elsewhere; calibration not stated")
    assert variant.description.bits == 4
    assert variant.description.stored_bits == pytest.approx(bits)
    audit = load_variant(variant).audit
    # the embedding and the output head, stored in 32 bits, count too
    assert audit.modules_replaced == LAYERS * len(MATRICES) + 2
    matrices, others = LAYERS * len(MATRICES) * 256 * 256, 2 * 258 * 256
    assert audit.bits_per_weight == pytest.approx((matrices * bits + others * 32) / (matrices + others), rel=1e-4)
    assert audit.memory_bytes == pytest.approx((matrices * bits + others * 32) / 8, rel=0.02)


@pytest.mark.parametrize(
    ("imatrix", "told"),
    [
        (
            {
                "file": "/models_out/Small-GGUF/Small.imatrix",
                "dataset": "/training_dir/calibration_datav3.txt",
                "entries_count": 224,
                "chunks_count": 1250,
            },
            "calibrated with calibration_datav3.txt (importance matrix: Small.imatrix, 224 entries, 1,250 chunks)",
        ),
        ({"dataset": "/home/somebody/texts/"}, "calibrated with texts"),
        ({"dataset": "wiki.train.raw"}, "calibrated with wiki.train.raw"),
        ({"file": r"C:\out\m.dat"}, "calibrated with an importance matrix (m.dat)"),
        ({"entries_count": 510}, "calibrated with an importance matrix (510 entries)"),
        ({"dataset": "a\x1b[2J\u202eb"}, r"calibrated with a\x1b[2J\u202eb"),
        ({"dataset": f"{'x' * 10_000}.txt"}, f"calibrated with {'x' * 196}.txt"),
        ({"dataset": "", "file": "/", "entries_count": -1, "chunks_count": "9"}, "calibration not stated"),
        ({"dataset": 3, "file": 4}, "calibration not stated"),
        ({}, "calibration not stated"),
    ],
)
def test_what_an_importance_matrix_was_made_of_is_told_and_kept(
    tmp_path: Path, imatrix: dict[str, str | int], told: str
) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q4_0], gguf.LlamaFileType.MOSTLY_Q4_0, imatrix=imatrix)
    found = types_in(converted_folder(file, silent, Plain()))
    assert found is not None
    assert found.summary == f"GGUF Q4_0: 6.94 bits per weight (9 F32, 21 Q4_0 tensors), made elsewhere; {told}"


@pytest.mark.parametrize(
    ("kind", "stated"),
    [(Kind.Q8_0, False), (Kind.F16, False), (Kind.Q4_1, True), (Kind.Q6_K, True), (Kind.IQ4_XS, True)],
)
def test_what_no_importance_matrix_changes_has_no_calibration_to_state(
    tmp_path: Path, kind: Kind, *, stated: bool
) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [kind], gguf.LlamaFileType.GUESSED)
    assert ("calibration not stated" in read_types(file).summary) == stated


def test_a_file_of_plain_weights_is_no_quantized_one(tmp_path: Path) -> None:
    file = tmp_path / "plain.gguf"
    write_gguf(file, [Kind.Q8_0], gguf.LlamaFileType.MOSTLY_Q8_0, template=TEMPLATE)
    types = read_types(file)
    assert types.quantized
    assert types.main_bits == 8
    plain = GgufTypes("F16", {"F16": 3, "F32": 1}, types.layers, types.embedding, types.head, types.whole)
    assert not plain.quantized
    assert plain.main_bits is None
    assert GgufTypes.from_json(json.loads(json.dumps(types.to_json()))) == types


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("Q8_0", 8),
        ("Q2_K", 2),
        ("IQ3_XXS", 3),
        ("IQ4_XS", 4),
        ("TQ1_0", 1),
        ("MXFP4_MOE", 4),
        ("", None),
        ("F16", None),
    ],
)
def test_bits_are_told_by_the_name_of_the_mixture(tmp_path: Path, name: str, bits: int | None) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q8_0], gguf.LlamaFileType.MOSTLY_Q8_0)
    types = read_types(file)
    assert GgufTypes(name, types.types, types.layers, types.embedding, types.head, types.whole).main_bits == bits


class Plain:
    """A conversion that copies."""

    count = 0

    def __call__(self, source: Path, folder: Path) -> None:
        self.count += 1
        (folder / "weights").write_bytes(source.read_bytes())


@pytest.mark.parametrize("missing", ["types", "calibration"])
def test_a_conversion_of_an_earlier_release_gets_the_types_and_is_not_made_again(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q5_0], gguf.LlamaFileType.MOSTLY_Q5_0, imatrix={"dataset": "c4"})
    convert = Plain()
    folder = converted_folder(file, silent, convert)
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    expected = types_in(folder)
    assert expected is not None
    del (manifest if missing == "types" else manifest["types"])[missing]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    if missing == "types":
        with pytest.raises(ModelError, match="does not say how its tensors were stored"):
            types_in(folder)
    else:
        assert types_in(folder) == replace(expected, calibration="")
    assert converted_folder(file, silent, convert) == folder
    assert convert.count == 1
    assert types_in(folder) == expected


@pytest.mark.parametrize("cut", [8, 100, 5_000])
def test_a_file_that_was_cut_is_an_error(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q8_0], gguf.LlamaFileType.MOSTLY_Q8_0)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"x\.gguf: its headers cannot be read"):
        read_types(file)


WHOLE = {part: [32, 34] for part in ("layers", "embedding", "head", "whole")}


@pytest.mark.parametrize(
    "types",
    [
        None,
        [],
        {"name": 1},
        {"name": "x", "types": {"a": "b"}, "layers": [1]},
        {"name": "x", "types": {"F32": 1}, **WHOLE, "layers": [float("inf"), 1], "calibration": ""},
        {"name": "x", "types": {"F32": 1}, **WHOLE, "layers": [1, 10**400], "calibration": ""},
        {"name": "x", "types": {"F32": -1}, **WHOLE, "calibration": ""},
    ],
)
def test_a_damaged_manifest_is_an_error_and_read_anew_where_the_file_is_named(tmp_path: Path, types: object) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q5_0], gguf.LlamaFileType.MOSTLY_Q5_0)
    convert = Plain()
    folder = converted_folder(file, silent, convert)
    expected = types_in(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "types": types}))
    with pytest.raises(ModelError, match="does not say how its tensors were stored"):
        types_in(folder)
    assert types_in(folder.with_name("elsewhere")) is None
    assert converted_folder(file, silent, convert) == folder
    assert types_in(folder) == expected
    assert convert.count == 1


def test_a_manifest_nested_too_deep_is_an_error() -> None:
    folder = cache_folder() / "models-2" / "x"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("[" * 200_000)
    with pytest.raises(ModelError, match="does not say how its tensors were stored"):
        types_in(folder)


def test_plain_weights_cannot_pass_for_a_quantized_gguf_file(tmp_path: Path, pristine: Path) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.Q4_0], gguf.LlamaFileType.MOSTLY_Q4_0)
    folder = Path(shutil.copytree(pristine, tmp_path / "checkpoint"))
    (folder / MANIFEST).write_text(json.dumps({"types": read_types(file).to_json()}))
    assert types_in(folder) is None
    variant = prepare_variant("stored", resolve_model(str(folder)), device="cpu")
    assert (variant.summary, variant.description.max_bits) == (
        "plain weights as the checkpoint stores them (float16), nothing quantized",
        None,
    )


def test_a_file_of_which_little_is_quantized_cannot_pass_for_what_its_name_says(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    write_gguf(file, [Kind.F16] * 3 + [Kind.Q8_0] * 2, gguf.LlamaFileType.MOSTLY_Q8_0, template=TEMPLATE)
    with pytest.raises(AuditError, match=r"calls itself Q8_0, and its layers take 13\.\d+ bits per weight"):
        prepare_variant("stored", resolve_model(str(file), note=silent), device="cpu")
