"""Checks for cases that come from elsewhere: lm_eval_exact_match, ungradable."""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated
from pytest_quantgate.checks.text import REGEX_SECONDS, regex_problems

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

_FILTERS: Final = ("regex", "remove_whitespace", "lowercase", "uppercase", "take_first")
_MOST_STOPS: Final = 100
_REGEX_KEYS: Final = frozenset({"function", "regex_pattern", "group_select", "fallback"})
_NO_MATCH: Final = "[invalid]"  # lm-evaluation-harness's own word

_WITHOUT_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_WITHOUT_DIGITS: Final = str.maketrans("", "", string.digits)


def lm_eval_exact_match(
    answer: str,
    *,
    targets: Sequence[str],
    until: Sequence[str] = (),
    filters: Sequence[Mapping[str, Any]] = (),
    ignore: Sequence[str] = (),
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> Finding:
    """The answer equals one of the targets, in the way of lm-evaluation-harness's ``exact_match``.

    First the answer is cut where the first text of ``until`` begins. Then the filters run: ``regex`` takes a match
    (the first, or the one at ``group_select``), of it the first group that took part; without a match the answer is
    the ``fallback``. At last what ``ignore`` matches is removed from answer and target alike, and so are, in this
    order, differences of case, ASCII punctuation, ASCII digits. What is left must be equal, white space included. An
    empty answer is right where nothing is left of a target either. Patterns that together need more than half a second
    of processor time, or a ``group_select`` beyond the matches, are not scored.
    """
    import regex as engine

    left_over = _clock()
    found = _cut(answer, until)
    try:
        for step in filters:
            found = _filtered(found, step, left_over)
        patterns = [engine.compile(pattern, cache_pattern=False) for pattern in ignore if left_over()]

        def bare(text: str) -> str:
            for pattern in patterns:
                text = pattern.sub("", text, timeout=left_over())
            text = text.lower() if ignore_case else text
            text = text.translate(_WITHOUT_PUNCTUATION) if ignore_punctuation else text
            return text.translate(_WITHOUT_DIGITS) if ignore_numbers else text

        left = bare(found)
        equal = next((target for target in targets if bare(target) == left), None)
    except TimeoutError:
        return unscored(f"the patterns took too long (over {REGEX_SECONDS} s)")
    except IndexError:
        return unscored("a filter selects a match that the answer does not have")
    if equal is not None:
        return followed(f"{quoted(found)} is {quoted(equal)}")
    wanted = " or ".join(quoted(target) for target in targets[:3])
    return violated(f"{quoted(found)} is not {wanted}" if answer.strip() else "the answer is empty")


def lm_eval_decided(so_far: str, *, until: Sequence[str] = (), **arguments: Any) -> bool | None:
    """Both ways once the answer is cut, and so much stands behind that no other text of ``until`` can move the cut."""
    cut = _cut(so_far, until)
    if not until or len(cut) + sum(map(len, until)) > len(so_far):
        return None
    return lm_eval_exact_match(cut, **arguments).followed


def _cut(answer: str, until: Sequence[str]) -> str:
    for stop in until:
        answer = answer.partition(stop)[0]
    return answer


def lm_eval_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """There is a target, the filters are known, and every pattern compiles."""
    if not arguments["targets"]:
        yield "argument 'targets' is empty: no answer could be right"
    until = arguments.get("until", ())
    if "" in until:
        yield "argument 'until' holds an empty text, at which every answer would end"
    if len(until) > _MOST_STOPS:
        yield f"argument 'until' holds {len(until):,} texts; at most {_MOST_STOPS} are searched for"
    patterns = list(arguments.get("ignore", ()))
    for step in arguments.get("filters", ()):
        name = step.get("function")
        if name not in _FILTERS:
            yield f"unknown filter {quoted(str(name))}; known: {', '.join(_FILTERS)}"
        elif name == "regex":
            pattern, group, fallback = step.get("regex_pattern"), step.get("group_select", 0), step.get("fallback", "")
            if not isinstance(pattern, str) or not isinstance(group, int) or not isinstance(fallback, str):
                yield "filter 'regex' needs a text 'regex_pattern'; 'group_select' is a whole number, 'fallback' text"
            elif odd := set(step) - _REGEX_KEYS:
                yield f"filter 'regex' has no {', '.join(sorted(map(quoted, odd)))}"
            else:
                patterns.append(pattern)
    for pattern in patterns:
        yield from regex_problems({"pattern": pattern})


def _clock() -> Callable[[], float]:
    """What is left of the processor time that all patterns of one grading share; TimeoutError when nothing is."""
    end = time.process_time() + REGEX_SECONDS

    def left() -> float:
        seconds = end - time.process_time()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    return left


def _filtered(text: str, step: Mapping[str, Any], left_over: Callable[[], float]) -> str:
    import regex as engine

    match step["function"]:
        case "remove_whitespace":
            return text.strip()
        case "lowercase":
            return text.lower()
        case "uppercase":
            return text.upper()
        case "take_first":  # of the several answers that the harness may ask for
            return text
    pattern = engine.compile(step["regex_pattern"], cache_pattern=False)
    fallback: str = step.get("fallback", _NO_MATCH)
    matches: list[str | tuple[str, ...]] = pattern.findall(text, timeout=left_over())
    if not matches:
        return fallback
    found = matches[step.get("group_select", 0)]
    return (found if isinstance(found, str) else next((group for group in found if group), fallback)).strip()


def ungradable(_answer: str, *, reason: str) -> Finding:
    """Never scored, with the given reason: for prompts whose answers no check can judge.

    Such a case is answered and compared, and counts for no rate; a case with a second check that is violated fails.
    """
    return unscored(reason)


def ungradable_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The reason says something."""
    if not arguments["reason"].strip():
        yield "argument 'reason' is blank"


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("lm_eval_exact_match", lm_eval_exact_match, validate=lm_eval_problems, decided=lm_eval_decided)
    registry.register("ungradable", ungradable, shorthand="reason", validate=ungradable_problems)
