"""llm-compressor's recipe beside a checkpoint: what it states is told, and what cannot be read is not stated."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_quantgate.variants.checkpoint import storage_in
from pytest_quantgate.variants.stored_recipe import RECIPE

WEIGHTS = {"num_bits": 4, "group_size": 128}
BITS = "compressed-tensors pack-quantized, 4 bits in groups of 128"
GPTQ = """default_stage:
  default_modifiers:
    GPTQModifier:
      targets: [Linear]
      ignore: [lm_head, 're:.*embed.*']
      scheme: W4A16
      dampening_frac: 0.01
"""


def write_config(folder: Path, **config: object) -> None:
    (folder / "config.json").write_text(json.dumps({"quantization_config": config}))


def summary(folder: Path) -> str:
    storage = storage_in(folder)
    assert storage is not None
    return storage.summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configuration of a checkpoint whose activations are plain."""
    write_config(
        tmp_path,
        quant_method="compressed-tensors",
        format="pack-quantized",
        config_groups={"group_0": {"weights": WEIGHTS, "targets": ["Linear"]}},
    )
    return tmp_path


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (GPTQ, "made by llm-compressor: GPTQModifier W4A16; calibration not stated"),
        (
            f"{GPTQ}      dataset: open-platypus\n",
            "made by llm-compressor: GPTQModifier W4A16; calibrated with open-platypus",
        ),
        (
            f"{GPTQ}      dataset: /home/somebody/secret/own.jsonl\n",
            "made by llm-compressor: GPTQModifier W4A16; calibrated with own.jsonl",
        ),
        (
            f'{GPTQ}      dataset: "/a/\\e[2J.txt"\n',
            r"made by llm-compressor: GPTQModifier W4A16; calibrated with \x1b[2J.txt",
        ),
        (
            (
                "quant_stage:\n  quant_modifiers:\n    SmoothQuantModifier: {smoothing_strength: 0.8}\n"
                "    GPTQModifier: {scheme: W8A8}\n  dataset: c4\n"
            ),
            "made by llm-compressor: SmoothQuantModifier, GPTQModifier W8A8; calibrated with c4",
        ),
        (
            "default_stage:\n  default_modifiers:\n    QuantizationModifier: {scheme: NVFP4}\n",
            "made by llm-compressor: QuantizationModifier NVFP4",
        ),
        (
            "s:\n  m:\n    QuantizationModifier: {scheme: X, requires_calibration_data: true}\n",
            "made by llm-compressor: QuantizationModifier X; calibration not stated",
        ),
        (
            "s:\n  m:\n    GPTQModifier: {requires_calibration_data: false}\n    OwnModifier:\n",
            "made by llm-compressor: GPTQModifier, OwnModifier",
        ),
        (
            "s:\n  m:\n" + "".join(f"    M{number}Modifier:\n" for number in range(10)),
            f"made by llm-compressor: {', '.join(f'M{number}Modifier' for number in range(8))}, ...",
        ),
        # aliases and tags are not followed, and what stands beside them is read
        (
            (
                "s:\n  m:\n    AWQModifier:\n      targets: &a [Linear]\n      ignore: *a\n"
                "      device: !!python/object/apply:os.system [exit]\n      scheme: W4A16\n"
            ),
            "made by llm-compressor: AWQModifier W4A16; calibration not stated",
        ),
        (
            's:\n  m:\n    GPTQModifier: {scheme: "W4\\e[2J"}\n',
            r"made by llm-compressor: GPTQModifier W4\x1b[2J; calibration not stated",
        ),
    ],
)
def test_modifiers_their_schemes_and_the_data_are_told(folder: Path, recipe: str, told: str) -> None:
    (folder / RECIPE).write_text(recipe)
    assert summary(folder) == f"{BITS} ({told})"


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"GPTQModifier",
        b"[GPTQModifier, AWQModifier]",
        b"a: [",
        b"\xff\xfe",
        b"a: \x00",
        b"? [a]\n: {b: c}",
        f"{'x' * 70}Modifier: {{scheme: W4A16}}".encode(),
        GPTQ.encode() + b"# " + b"x" * (1 << 16),
        b"[" * 1000,
        b"default_stage: {modifiers: {scheme: W4A16}}",
    ],
    ids=range(12),
)
def test_what_is_broken_huge_or_something_else_is_not_stated(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / RECIPE).write_bytes(content)
    assert summary(folder) == BITS


def test_a_long_scheme_or_one_that_is_no_text_is_left_out(folder: Path) -> None:
    for scheme in ("x" * 10_000, "[W4A16]", "4", "{W4A16: [Linear]}", "null"):
        (folder / RECIPE).write_text(f"s:\n  m:\n    GPTQModifier:\n      scheme: {scheme}\n      dataset: [1]\n")
        assert summary(folder) == f"{BITS} (made by llm-compressor: GPTQModifier; calibration not stated)"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_read(folder: Path, make: object) -> None:
    assert callable(make)
    make(folder / RECIPE)
    assert summary(folder) == BITS


def test_other_checkpoints_have_no_recipe(tmp_path: Path) -> None:
    write_config(tmp_path, quant_method="gptq", bits=4, group_size=128)
    (tmp_path / RECIPE).write_text(GPTQ)
    assert summary(tmp_path) == "GPTQ, 4 bits in groups of 128 (calibration not stated)"
