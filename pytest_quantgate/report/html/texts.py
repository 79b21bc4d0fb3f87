"""Texts from outside in the page: nothing in them may act, hide, or fill a disk."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from markupsafe import Markup

from pytest_quantgate.printable import visible

LONGEST: Final = 20_000
"""Characters of one text that the page shows; the run's JSON has the whole."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_BREAKS: Final = re.compile(r"([\n\t]+)")


def shown(text: str) -> str:
    """Text with what is not printable made visible, but for line breaks and tabs, and cut where it is very long."""
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]}\n[... {len(text) - LONGEST} characters ...]\n{text[-half:]}"
    if text.isprintable():
        return text
    pieces = _BREAKS.split(text)
    pieces[::2] = map(visible, pieces[::2])
    return "".join(pieces)


def printed(value: Any) -> Any:
    """What the templates print, before it is escaped; markup of our own stays as it is."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def embedded(value: object) -> Markup:
    """A value as JSON that can stand in a ``script`` element: no text in it can end the element.

    Args:
        value: Its texts are ``shown``, so that no lone surrogate is among them.
    """
    return Markup(_ENCODER.encode(value).replace("<", "\\u003c"))  # noqa: S704
