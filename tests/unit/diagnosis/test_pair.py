"""Two variants fit together or come one after the other, and nothing of them is left behind."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.diagnosis import pair
from pytest_quantgate.diagnosis.pair import fit_together, refuse_others, with_loaded
from pytest_quantgate.errors import UsageError
from pytest_quantgate.variants.identity import Identity
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, prepare_variant
from tests.tiny_model import build_tiny_model


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Variant, Variant]:
    source = resolve_model(str(build_tiny_model(tmp_path_factory.mktemp("tiny"))))
    return prepare_variant("fp16", source, device="cpu"), prepare_variant("rtn:3bit", source, device="cpu")


def silent(_: str) -> None:
    """Tells nobody."""


def test_the_allowance_is_counted_once(both: tuple[Variant, Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    needed = sum(each.needed_bytes for each in both) - ALLOWANCE_BYTES
    for available, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(pair, "available_bytes", lambda _, available=available: available)
        assert fit_together(*both) is fits


def test_what_a_failed_diagnosis_left_is_given_back_before_memory_is_counted(
    both: tuple[Variant, Variant], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Left:
        """A model that only itself refers to."""

    left: Any = Left()
    left.itself, alive = left, weakref.ref(left)
    del left
    monkeypatch.setattr(pair, "available_bytes", lambda _: 0 if alive() else 1 << 62)
    assert fit_together(*both)


def test_both_are_given_in_order_and_let_go(both: tuple[Variant, Variant]) -> None:
    alive: list[Any] = []

    def use(*loaded: Any) -> list[str]:
        alive.extend(weakref.ref(each.model) for each in loaded)
        return [str(each.variant.spec) for each in loaded]

    assert with_loaded(use, *both, note=silent) == ["fp16", "rtn:3bit-g64"]
    assert [each() for each in alive] == [None, None]


def test_they_are_let_go_when_their_use_fails(both: tuple[Variant, Variant]) -> None:
    def use(*_: Any) -> None:
        raise UsageError("no use")

    with pytest.raises(UsageError, match="no use"):
        with_loaded(use, both[0], note=silent)


def test_another_tokenizer_has_other_tokens(both: tuple[Variant, Variant], tmp_path: Path) -> None:
    refuse_others(*both)
    reference, candidate = both
    fields = {**candidate.identity.fields, "tokenizer": "another"}
    other = replace(candidate, identity=Identity(fields), model=replace(candidate.model, name="other", folder=tmp_path))
    with pytest.raises(UsageError, match=r"rtn:3bit-g64 of other: they have different tokenizers"):
        refuse_others(reference, other)
