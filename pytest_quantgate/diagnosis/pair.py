"""The two variants of a diagnosis: whether they can be compared, and loading them, together where memory allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_quantgate.errors import UsageError
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES, available_bytes, release_memory
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant

Result = TypeVar("Result")


def refuse_others(reference: Variant, candidate: Variant) -> None:
    """Refuse two variants of which no token of the one is a token of the other.

    Raises:
        UsageError: They have different tokenizers.
    """
    if reference.identity.fields["tokenizer"] != candidate.identity.fields["tokenizer"]:
        raise UsageError(
            "they have different tokenizers, so there is no token at which they part",
            where=f"{reference.label} of {reference.model.name} and {candidate.label} of {candidate.model.name}",
            hint="diagnose a candidate that is made of the reference's model",
        )


def fit_together(reference: Variant, candidate: Variant) -> bool:
    """Whether both can be in memory at once, by what their files say; the allowance is needed once."""
    release_memory()  # a diagnosis that failed leaves its models behind while its error is looked at
    needed = reference.needed_bytes + candidate.needed_bytes - ALLOWANCE_BYTES
    return needed <= available_bytes(candidate.device)


def with_loaded(use: Callable[..., Result], *variants: Variant, note: Callable[[str], None]) -> Result:
    """Load variants, use them, and give their memory back before returning.

    Args:
        use: Given the loaded models in order; must keep none of them.
        variants: What to load.
        note: Told what takes long.

    Raises:
        QuantgateError: One cannot be loaded, see ``load_variant``.
    """
    release_memory()
    try:
        return use(*_loaded(variants, note))
    finally:
        release_memory()


def _loaded(variants: tuple[Variant, ...], note: Callable[[str], None]) -> list[LoadedModel]:
    return [load_variant(each, note) for each in variants]
