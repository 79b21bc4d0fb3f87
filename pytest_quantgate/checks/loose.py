"""Loose reading of an answer: the frame that models put around it does not count."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

from pytest_quantgate.checks.finding import Finding, followed, unscored, violated

Judge = Callable[[str], Finding]
"""What grades one reading of an answer."""

LONGEST: Final = 100_000
"""Characters of the longest answer that instructions are judged on: eight readings of it take about a second."""


def with_loose(judge: Callable[..., Finding]) -> Callable[..., Finding]:
    """The check that an instruction's judge becomes.

    It has the further argument ``loose`` (see `loosely`). A blank answer follows no instruction, even one that asks for
    the absence of something. An answer of more than 100,000 characters is not scored.

    Args:
        judge: Takes an answer that is not blank, then keyword-only arguments, which become those of the check.
    """

    @functools.wraps(judge)
    def check(answer: str, *, loose: bool = False, **arguments: Any) -> Finding:
        def read(text: str) -> Finding:
            return judge(text, **arguments) if text.strip() else violated("the answer is empty")

        if len(answer) > LONGEST:
            return unscored(f"the answer has {len(answer):,} characters; at most {LONGEST:,} are judged")
        return loosely(answer, read) if loose else read(answer)

    # the registry reads a check's arguments from its signature
    signature = inspect.signature(judge)
    added = inspect.Parameter("loose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    check.__dict__["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), added])
    check.__annotations__ = {**judge.__annotations__, "loose": bool}
    return check


def strictly(decided: Callable[..., bool | None]) -> Callable[..., bool | None]:
    """What tells early of a check that `with_loose` made; of one that reads loosely nothing is known before the end.

    Args:
        decided: Takes an answer's beginning that is not blank, then the judge's arguments.
    """

    def told(so_far: str, *, loose: bool = False, **arguments: Any) -> bool | None:
        return None if loose or not so_far.strip() else decided(so_far, **arguments)

    return told


def loosely(answer: str, judge: Judge) -> Finding:
    """Judge the answer as it is, then with what models like to put around it taken away.

    The eight readings are the answer, the answer without its first line ("Sure, here it is:"), without its last
    line ("I hope this helps!"), without both, and each of the four without asterisks (Markdown emphasis).
    Lines end in a line feed. A reading that leaves nothing is not judged.

    Args:
        answer: The answer as the model gave it.
        judge: Grades one reading; called at most eight times, never twice with the same text.

    Returns:
        What the judge found in the answer as it is, if that is followed; otherwise the first reading that is
        followed; otherwise the first that could not be scored, since nobody knows whether it would have been;
        otherwise again what was found in the answer as it is.
    """
    strict = judge(answer)
    if strict.followed:
        return strict
    undecided = strict if strict.followed is None else None
    judged = {answer}
    for how, reading in _relaxed(answer):
        if reading in judged or not reading.strip():
            continue
        judged.add(reading)
        found = judge(reading)
        if found.followed:
            return followed(f"{how}: {found.reason}")
        if found.followed is None and undecided is None:
            undecided = found
    return undecided or strict


def _relaxed(answer: str) -> Iterator[tuple[str, str]]:
    """Seven readings, each with a phrase that says what was taken away."""
    first = answer.find("\n")
    last = answer.rfind("\n")
    cuts = [("", answer)]
    if first >= 0:  # otherwise nothing is left
        cuts += [
            ("first line", answer[first + 1 :].strip()),
            ("last line", answer[:last].strip()),
            ("first and last line", answer[first + 1 : last].strip() if first < last else ""),
        ]
    yield from ((f"without its {lines}", text) for lines, text in cuts[1:])
    yield from (
        (f"without {f'its {lines} and ' if lines else ''}asterisks", text.replace("*", "")) for lines, text in cuts
    )
