"""Models that several files ask."""

from __future__ import annotations

import pytest

from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.tiny_model import build_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    source = resolve_model(str(build_tiny_model(tmp_path_factory.mktemp("tiny"))))
    specs = ("fp16", "rtn:3bit-g64", "fp16+kv:int2")
    return {spec: load_variant(prepare_variant(spec, source, device="cpu")) for spec in specs}
