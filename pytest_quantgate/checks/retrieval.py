"""Checks of what an answer found in a long prompt: needle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, all_quoted, followed, quoted, violated

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

# A number as people write it: 48213, 48,213 or 48213.5, beside no letter.
_NUMBER = re.compile(r"(?<![^\W_])(?<!\d\.)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d++)(?:\.\d++)?+(?![^\W_])")
_WHOLE_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")


def needle(answer: str, *, text: str, distractors: Sequence[str] = ()) -> Finding:
    """The answer names the text that was hidden in the prompt, and none of the distractors.

    A text counts when it stands alone, not inside a longer word or number; case and the width of white
    space are ignored. Digits may be grouped: ``48,213`` names ``48213``, ``1482130`` and ``48213.5`` do not.
    """
    if not _names(answer, text):
        return violated(f"does not name {quoted(text)}")
    wrong = [distractor for distractor in distractors if _names(answer, distractor)]
    if wrong:
        return violated(f"names {quoted(text)}, and also {all_quoted(wrong)}")
    return followed(f"names {quoted(text)}")


def needle_decided(so_far: str, *, text: str, distractors: Sequence[str] = ()) -> bool | None:
    """False as soon as it names a distractor; without distractors, True as soon as it names the text."""
    whole = settled(so_far)
    if distractors:
        return once(any(_names(whole, distractor) for distractor in distractors), means=False)
    return once(_names(whole, text), means=True)


def needle_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The text can be found, and naming it names no distractor."""
    text = arguments["text"]
    if not text.strip():
        yield "argument 'text' is blank"
    for distractor in arguments.get("distractors", ()):
        if not distractor.strip():
            yield "argument 'distractors' holds a blank text"
        elif _names(text, distractor):
            yield f"the distractor {quoted(distractor)} is part of the text itself: no answer could be right"


def _names(answer: str, text: str) -> bool:
    if _WHOLE_NUMBER.fullmatch(text.strip()):
        digits = text.strip().replace(",", "")
        return any(found.group().replace(",", "") == digits for found in _NUMBER.finditer(answer))
    words = r"\s++".join(re.escape(word) for word in text.split())
    return re.search(rf"(?<![^\W_]){words}(?![^\W_])", answer, re.IGNORECASE) is not None


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("needle", needle, shorthand="text", validate=needle_problems, decided=needle_decided)
