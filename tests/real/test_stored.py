"""The embedded model as files of others store it: its own GGUF file, and checkpoints that are made of its weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache

import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import LlamaFileType as Mixture

from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.embedded import embedded_file
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.gguf_files import write_checkpoint
from tests.real.next_tokens import distributions, divergence, load, tokens_of
from tests.stored_checkpoints import MAKERS

pytestmark = pytest.mark.embedded

LAYERS = 30 * 7
GGUF = ("Q8_0", "Q4_0")
BITS = {
    "awq": 4.62,
    "bitsandbytes-4bit": 4.5,
    "compressed-tensors-W4A16": 4.5,
    "compressed-tensors-W8A8": 8.02,
    "fp8": 8.03,
    "gptq": 4.67,
    "gptq-8bit": 8.8,
    "quanto-int4": 4.31,
    "quanto-int8": 8.02,
    "torchao-int8": 8.06,
    # layers of 8.5 and 4.5 bits, and the embedding, which tests store in 32
    "Q8_0": 13.45,
    "Q4_0": 10.29,
}
"""Of a weight, with the scales, zeros and indexes beside it."""

Measured = Callable[[str], tuple[float, Audit]]


def test_the_audit_counts_the_bytes_of_the_file() -> None:
    variant = prepare_variant("stored", resolve_model("smollm2"), device="cpu")
    facts = "5.74 bits per weight (61 F32, 210 Q4_1, 1 Q8_0 tensors), made elsewhere; calibration not stated"
    assert variant.summary == f"GGUF Q4_1: {facts}"
    audit = load_variant(variant).audit
    assert audit.modules_replaced == LAYERS + 1  # and the embedding, which is the output head too
    # the file holds a tokenizer as well
    assert audit.memory_bytes == pytest.approx(embedded_file("smollm2").stat().st_size, rel=0.03)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """How far a checkpoint of a kind is from fp16 along one text, and its audit; each is made and loaded once."""
    plain, reference = resolve_model("smollm2").folder, load("fp16")
    tokens = tokens_of(reference.tokenizer)  # a GGUF file of the tests has a tokenizer of its own
    expected = distributions(reference, tokens)

    @cache
    def measured(kind: str) -> tuple[float, Audit]:
        folder = tmp_path_factory.mktemp(kind)
        model = folder / (f"{kind}.gguf" if kind in GGUF else kind)
        if kind in GGUF:
            write_checkpoint(model, plain, Kind[kind], Mixture[f"MOSTLY_{kind}"])
        else:
            MAKERS[kind](plain, model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(CACHE_VARIABLE, str(folder / "cache"))  # the user's own is not for files of one test
            loaded = load("stored", str(model))
        shutil.rmtree(folder)  # all of them together are gigabytes
        return divergence(distributions(loaded, tokens), expected), loaded.audit

    return measured


@pytest.mark.parametrize(
    ("eight", "most", "four"),
    [
        ("gptq-8bit", 0.01, "gptq"),
        ("fp8", 0.05, "awq"),
        ("compressed-tensors-W8A8", 0.1, "compressed-tensors-W4A16"),
        ("quanto-int8", 0.01, "quanto-int4"),
        ("torchao-int8", 0.01, "bitsandbytes-4bit"),
        ("Q8_0", 0.01, "Q4_0"),
    ],
)
def test_four_bits_are_farther_from_the_model_than_eight(
    measured: Measured, eight: str, most: float, four: str
) -> None:
    """``most`` is the divergence, in nats a token, that 8 bits may cost; 8-bit floats and activations cost more."""
    for kind in (eight, four):
        audit = measured(kind)[1]
        assert audit.modules_replaced == LAYERS + (kind in GGUF)
        assert audit.bits_per_weight == pytest.approx(BITS[kind], abs=0.01), kind
    (near, _), (far, _) = measured(eight), measured(four)
    assert 0 < near < most
    assert 4 * near < far
    assert 0.1 < far < 1  # farther than chance would have it, and not ruined
