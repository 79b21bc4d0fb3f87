"""Parts that an answer must have: IFEval's ``detectable_content`` instructions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.instructions.common import compared, count_told, searchable
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.checks.rules import whole

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry

_PLACEHOLDER = re.compile(r"\[[^\S\n]*+[^\s\[\]][^\[\]\n]*+\]")

# The public data writes these two markers in ways that answers vary: "P. S.", "P.P.S." and "p.p.s" are meant too.
_MARKERS = {"P.S.": r"(?<!p\.)(?<!p\.\s)p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}


def number_placeholders(answer: str, *, num_placeholders: float) -> Finding:
    """The answer has at least so many placeholders: texts in square brackets on one line, such as [address].

    Empty brackets are none. What stands in the brackets is not judged: a footnote's number and a link's text count.
    """
    return compared(_placeholders(answer), "placeholders", "at least", num_placeholders)


def number_placeholders_decided(so_far: str, *, num_placeholders: float) -> bool | None:
    """True as soon as there are so many."""
    return count_told(_placeholders(so_far), "at least", num_placeholders)


def _placeholders(text: str) -> int:
    return sum(1 for _ in _PLACEHOLDER.finditer(text))


def postscript(answer: str, *, postscript_marker: str) -> Finding:
    """The answer has a postscript that starts with the marker, whatever its case.

    Everything behind the marker is the postscript, so where it stands is not judged; it must not be a part of a longer
    word. ``P.S.`` and ``P.P.S`` may be written with spaces inside and ``P.P.S`` with a full stop behind it; the
    ``P.S.`` in a ``P.P.S.`` does not count.
    """
    marker = postscript_marker.strip()
    wanted = _MARKERS.get(marker) or re.escape(marker.lower())
    if re.search(rf"(?<![^\W_]){wanted}(?![^\W_])", answer.lower()):
        return followed(f"has a postscript that starts with {quoted(marker)}")
    return violated(f"has no postscript that starts with {quoted(marker)}")


def postscript_decided(so_far: str, *, postscript_marker: str) -> bool | None:
    """True as soon as the marker is there."""
    found = postscript(settled(so_far), postscript_marker=postscript_marker)
    return once(found.followed is True, means=True)


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register(
        "detectable_content:number_placeholders",
        with_loose(number_placeholders),
        shorthand="num_placeholders",
        validate=whole(0, "num_placeholders"),
        decided=strictly(number_placeholders_decided),
    )
    registry.register(
        "detectable_content:postscript",
        with_loose(postscript),
        shorthand="postscript_marker",
        validate=searchable("postscript_marker"),
        decided=strictly(postscript_decided),
    )
