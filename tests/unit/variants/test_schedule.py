"""A variant that is run another way: the same weights, an identity of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedModel

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, load_variant, prepare_variant, run_another_way


@pytest.fixture
def variant(pristine: Path) -> Variant:
    return prepare_variant("fp16", resolve_model(str(pristine)), device="cpu")


def test_the_usual_way_is_no_part_of_the_identity(variant: Variant) -> None:
    assert variant.schedule == USUAL
    assert "schedule" not in variant.identity.fields
    assert variant.label == "fp16"


@pytest.mark.parametrize("kernels", [False, True])
def test_another_way_adds_itself_to_the_identity_and_changes_nothing_else(variant: Variant, *, kernels: bool) -> None:
    another = run_another_way(variant, kernels=kernels)
    assert dict(another.identity.fields) == {**variant.identity.fields, "schedule": str(another.schedule)}
    assert another.identity.digest != variant.identity.digest
    assert (another.spec, another.model, another.placement) == (variant.spec, variant.model, variant.placement)
    assert another.label == "fp16 run another way"


def test_other_kernels_are_an_identity_of_their_own(variant: Variant) -> None:
    found = {run_another_way(variant, kernels=kernels).identity.digest for kernels in (False, True)}
    assert len(found) == 2


def test_a_schedule_says_all_that_is_not_usual() -> None:
    assert str(USUAL) == "usual"
    assert str(Schedule(reverse=True)) == "shortest first"
    assert str(another_schedule(kernels=True)) == (
        "at most 7 rows, shortest first, 5 columns of padding, chunks of 512 columns, nothing shared, eager attention"
    )


@pytest.mark.parametrize("spec", ["fp16", "nf4", "int8"])
def test_other_kernels_are_loaded_and_only_where_they_are_asked_for(pristine: Path, spec: str) -> None:
    variant = prepare_variant(spec, resolve_model(str(pristine)), device="cpu")
    found = [
        load_variant(each).model.config._attn_implementation  # noqa: SLF001  (there is no public one)
        for each in (variant, run_another_way(variant, kernels=False), run_another_way(variant, kernels=True))
    ]
    assert found == ["sdpa", "sdpa", "eager"]


def test_a_model_without_a_choice_of_kernels_is_an_error(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreTrainedModel, "_can_set_attn_implementation", classmethod(lambda _: False))
    assert load_variant(run_another_way(variant, kernels=False))
    with pytest.raises(ModelError, match=r"variant 'fp16'.*cannot compute attention the eager way\n.*without other"):
        load_variant(run_another_way(variant, kernels=True))
