"""Which variants fidelity is measured of, and what is told of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.plugin.nearness import nearness
from pytest_quantgate.variants.address import parse_address
from pytest_quantgate.variants.identity import Identity
from pytest_quantgate.variants.served import ServedVariant
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import Variant, prepare_variant
from tests.served import TINY_INSTRUCT

SERVED = "http://localhost:8000/v1#model"


def served() -> ServedVariant:
    spec = parse_spec(SERVED)
    return ServedVariant(spec, parse_address(SERVED), Identity({"engine": "served"}), kept=False)


def local(spec: str) -> Variant:
    return prepare_variant(spec, resolve_model(str(TINY_INSTRUCT)), device="cpu")


def offline(spec: str) -> Variant:
    variant = local(spec)
    return replace(variant, placement=replace(variant.placement, kernels="vllm"))


@pytest.mark.parametrize("kind", ["golden", "served", "vLLM"])
def test_a_reference_whose_logits_cannot_be_had_is_told(kind: str, tmp_path: Path) -> None:
    reference = {"golden": "golden:fp16", "served": SERVED, "vLLM": "fp16"}[kind]
    variants: dict[str, Variant | ServedVariant] = {"fp32": local("fp32")}
    if kind == "served":
        variants[SERVED] = served()
    elif kind == "vLLM":
        variants["fp16"] = offline("fp16")
    told: list[str] = []
    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        assert nearness(reference, variants, cache, told.append) is None
    assert told == [f"fidelity is not measured: transformers does not run the reference, {reference}, here"]


def test_candidates_that_are_not_measured_are_told_in_one_line(tmp_path: Path) -> None:
    other = local("nf4")
    other = replace(other, identity=Identity({**other.identity.fields, "tokenizer": "another"}))
    variants: dict[str, Variant | ServedVariant] = {
        "fp16": local("fp16"),
        SERVED: served(),
        "nf4": other,
        "fp32": local("fp32"),
    }
    told: list[str] = []
    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        found = nearness("fp16", variants, cache, told.append)
        assert found is not None
        measured = [spec for spec in variants if found.then(spec, [], SilentProgress()) is not None]
    assert measured == ["fp16", "fp32"]
    skipped = f"{SERVED} (transformers does not run it here), nf4 (its tokenizer files are not the reference's)"
    assert told == [f"fidelity is not measured of {skipped}"]
