"""A new candidate beside a reference whose answers are cached: only the candidate is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.generation import run
from pytest_quantgate.variants.variant import load_variant
from tests.integration.conftest import Lab


@pytest.mark.parametrize("options", [(), ("--quant-fidelity",)], ids=["answers", "fidelity"])
def test_a_new_candidate_does_not_load_the_reference(
    lab: Lab, empty_cache: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    loaded: list[str] = []

    def noted(variant: Any, *more: Any) -> Any:
        loaded.append(str(variant.spec))
        return load_variant(variant, *more)

    monkeypatch.setattr(run, "load_variant", noted)
    lab.write("words", lab.many(3), max_pass_to_fail=1, min_robustness=0)
    lab.run(*options, candidates=("nf4",))
    assert (sorted(set(loaded)), empty_cache.exists()) == (["fp16", "nf4"], True)
    loaded.clear()
    result = lab.run(*options, candidates=("fp4",))
    assert loaded == ["fp4"]
    result.stdout.fnmatch_lines(["fp4: 3 answers to generate, 0 cached", "words *PASS"])
