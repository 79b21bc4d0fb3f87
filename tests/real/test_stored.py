"""The embedded model as its GGUF file stores it."""

from __future__ import annotations

import pytest

from pytest_quantgate.variants.embedded import embedded_file
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

pytestmark = pytest.mark.embedded


def test_the_audit_counts_the_bytes_of_the_file() -> None:
    variant = prepare_variant("stored", resolve_model("smollm2"), device="cpu")
    facts = "5.74 bits per weight (61 F32, 210 Q4_1, 1 Q8_0 tensors), made elsewhere; calibration not stated"
    assert variant.summary == f"GGUF Q4_1: {facts}"
    audit = load_variant(variant).audit
    assert audit.modules_replaced == 30 * 7 + 1  # and the embedding, which is the output head too
    # the file holds a tokenizer as well
    assert audit.memory_bytes == pytest.approx(embedded_file("smollm2").stat().st_size, rel=0.03)
