"""The form of an answer: IFEval's ``detectable_format`` instructions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pytest_quantgate.cases.strict_json import no_constant
from pytest_quantgate.checks.early import complete_lines, once
from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated
from pytest_quantgate.checks.instructions.common import compared, count_told, exactly, searchable
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.checks.rules import both, whole

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_BULLET = re.compile(r"^[^\S\n]*+[*+-][^\S\n]++(?P<text>\S[^\n]*+)", re.MULTILINE)
_RULE = re.compile(r"[*\s]++|[-\s]++")

_BULLET_MARK = re.compile(r"^[^\S\n]*+[*+-](?=[^\S\n])", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<!\*)(?P<stars>\*{1,3}+)(?=[^\s*])[^*\n]*+(?<!\s)(?P=stars)(?!\*)")

_NESTED = 3
"""Levels of emphasis inside emphasis."""

_FENCE = "```"
_BEGINNINGS = '`jJ{["-0123456789tfn'
"""Characters that JSON, a fence or the mark of a fence begins with."""


def number_bullet_lists(answer: str, *, num_bullets: float) -> Finding:
    """The answer has exactly so many bullet points in Markdown: lines of ``*``, ``-`` or ``+``, a space and a text.

    Indented ones count. Horizontal rules (``---``, ``* * *``), emphasis at the start of a line and negative numbers
    are none.
    """
    return exactly(_bullets(answer), "bullet points", num_bullets)


def number_bullet_lists_decided(so_far: str, *, num_bullets: float) -> bool | None:
    """False beyond so many, in complete lines: one that goes on may turn out to be a rule."""
    return once(_bullets(complete_lines(so_far)) > num_bullets, means=False)


def _bullets(text: str) -> int:
    return sum(1 for match in _BULLET.finditer(text) if not _RULE.fullmatch(match["text"]))


def constrained_response(answer: str) -> Finding:
    """The answer holds exactly one of "My answer is yes.", "My answer is no.", "My answer is maybe.".

    As it is written here; text around it and repeating it are no violation.
    """
    given = [option for option in _OPTIONS if option in answer]
    if len(given) == 1:
        return followed(f"answers {quoted(given[0])}")
    return violated(f"gives {len(given)} of the three answers, not one")


def constrained_response_decided(so_far: str) -> bool | None:
    """False at the second of the three."""
    return once(sum(option in so_far for option in _OPTIONS) > 1, means=False)


def number_highlighted_sections(answer: str, *, num_highlights: float) -> Finding:
    """The answer has at least so many texts highlighted with asterisks, as in ``*so*``, ``**so**`` or ``***so***``.

    By Markdown's rule: on one line, no space inside the asterisks at either end. Each counts once, and the asterisk
    of a bullet point belongs to none.
    """
    return compared(_highlights(answer), "highlighted texts", "at least", num_highlights)


def number_highlighted_sections_decided(so_far: str, *, num_highlights: float) -> bool | None:
    """True as soon as complete lines have so many."""
    return count_told(_highlights(complete_lines(so_far)), "at least", num_highlights)


def _highlights(answer: str) -> int:
    text, count = _BULLET_MARK.sub("", answer), 0
    for _ in range(_NESTED):
        text, found = _HIGHLIGHT.subn("x", text)  # what is inside first, then what is around it
        count += found
        if not found:
            break
    return count


def multiple_sections(answer: str, *, section_spliter: str, num_sections: float) -> Finding:
    """The answer has at least so many sections, each begun by a line that starts with the word and a number.

    "Section 1", or with Markdown marks or other punctuation before it: "## Section 1", "**Section 1**". The word's case
    matters. A mention inside a line begins no section.
    """
    return compared(_sections(answer, section_spliter), "sections", "at least", num_sections)


def multiple_sections_decided(so_far: str, *, section_spliter: str, num_sections: float) -> bool | None:
    """True as soon as so many have begun."""
    return count_told(_sections(so_far, section_spliter), "at least", num_sections)


def _sections(text: str, word: str) -> int:
    begin = rf"^[^\w\n]*+_{{0,3}}+{re.escape(word.strip())}[^\S\n]*+\d"
    return len(re.findall(begin, text, re.MULTILINE))


def json_format(answer: str) -> Finding:
    """The whole answer is JSON of any type, bare or between Markdown's three backticks.

    NaN and Infinity are not JSON. Not scored: nesting too deep to be read.
    """
    text = answer.strip().removeprefix(_FENCE).removesuffix(_FENCE)
    if text != answer.strip():
        text = re.sub(r"\Ajson\b", "", text, flags=re.IGNORECASE)
    try:
        json.loads(text.strip(), parse_int=str, parse_constant=no_constant)
    except ValueError as error:
        return violated(f"not JSON: {error}")
    except RecursionError:
        return unscored("the JSON is nested too deep to be read")
    return followed("the answer is JSON")


def json_format_decided(so_far: str) -> bool | None:
    """False once it begins as no JSON does."""
    return once(so_far.strip()[:1] not in _BEGINNINGS, means=False)


def title(answer: str) -> Finding:
    """The answer has a title in double angular brackets, such as <<poem of joy>>, on one line and not blank."""
    for line in answer.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<").strip("> \t\r\f\v\u00a0"):
            return followed(f"has the title {quoted(line[start + 2 : end])}")
    return violated("has no title in double angular brackets")


def title_decided(so_far: str) -> bool | None:
    """True as soon as it is there."""
    return once(title(so_far).followed is True, means=True)


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register(
        "detectable_format:number_bullet_lists",
        with_loose(number_bullet_lists),
        shorthand="num_bullets",
        validate=whole(0, "num_bullets"),
        decided=strictly(number_bullet_lists_decided),
    )
    registry.register(
        "detectable_format:constrained_response",
        with_loose(constrained_response),
        decided=strictly(constrained_response_decided),
    )
    registry.register(
        "detectable_format:number_highlighted_sections",
        with_loose(number_highlighted_sections),
        shorthand="num_highlights",
        validate=whole(0, "num_highlights"),
        decided=strictly(number_highlighted_sections_decided),
    )
    registry.register(
        "detectable_format:multiple_sections",
        with_loose(multiple_sections),
        validate=both(searchable("section_spliter"), whole(0, "num_sections")),
        decided=strictly(multiple_sections_decided),
    )
    registry.register("detectable_format:json_format", with_loose(json_format), decided=strictly(json_format_decided))
    registry.register("detectable_format:title", with_loose(title), decided=strictly(title_decided))
