"""Checks of the answer's wording: exact, contains, regex, one_of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks import early
from pytest_quantgate.checks.arguments import listed
from pytest_quantgate.checks.finding import Finding, all_quoted, followed, quoted, unscored, violated

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

REGEX_SECONDS = 0.5
"""Processor time that one search may take; a pattern that backtracks without end is stopped there."""

PATTERN_CHARACTERS = 1_000
"""Longest pattern: what is prepared before a search takes time in the third power of a literal's length."""

PATTERN_STEPS = 10_000
"""Largest pattern when its repeats are written out, as compiling does with them."""

# What the size of a pattern depends on: escapes, the counts of repeats, and every other character.
_PATTERN_PART = re.compile(r"\\.|\{(?P<least>[\d\s]*)(?:,[\d\s]*)?\}|.", re.DOTALL)
_HIDDEN_COUNT = re.compile(r"\(\?[a-zA-Z0-9-]*x.*\{[\d\s,]*#", re.DOTALL)  # in verbose patterns: {10#comment

_MOST_TEXTS = 1_000
"""Most texts that are searched for: each is a walk through the answer."""

_WRAPPING = " \t\r\n\"'`*_~\u201c\u201d\u2018\u2019«».,:;!?…()[]{}"
"""What models put around a bare answer: quotes, emphasis, brackets, closing punctuation."""


def exact(answer: str, *, text: str, ignore_case: bool = False) -> Finding:
    """The answer is this text; white space around either is ignored, nothing else is."""
    found, wanted = answer.strip(), text.strip()
    if _folded(found, fold=ignore_case) == _folded(wanted, fold=ignore_case):
        return followed("the answer is the expected text")
    return violated(f"the answer is {quoted(found)}, not {quoted(wanted)}" if found else "the answer is empty")


def exact_decided(so_far: str, *, text: str, ignore_case: bool = False) -> bool | None:
    """False as soon as the answer has parted from the text."""
    begun = _folded(so_far.strip(), fold=ignore_case)
    return early.once(not _folded(text.strip(), fold=ignore_case).startswith(begun), means=False)


def contains(
    answer: str,
    *,
    all_: str | Sequence[str] = (),
    any_: str | Sequence[str] = (),
    none: str | Sequence[str] = (),
    ignore_case: bool = True,
) -> Finding:
    """The answer holds every text of ``all``, at least one of ``any``, and not one of ``none``.

    Texts are searched as they are, inside words too.
    """
    searched = _folded(answer, fold=ignore_case)

    def holds(text: str) -> bool:
        return _folded(text, fold=ignore_case) in searched

    missing = [text for text in listed(all_) if not holds(text)]
    if missing:
        return violated(f"lacks {all_quoted(missing)}")
    if any_ and not any(map(holds, listed(any_))):
        return violated(f"has none of {all_quoted(listed(any_))}")
    unwanted = [text for text in listed(none) if holds(text)]
    if unwanted:
        return violated(f"contains {all_quoted(unwanted)}, which it must not")
    return followed("contains what it must and nothing that it must not")


def contains_decided(
    so_far: str,
    *,
    all_: str | Sequence[str] = (),
    any_: str | Sequence[str] = (),
    none: str | Sequence[str] = (),
    ignore_case: bool = True,
) -> bool | None:
    """False as soon as it holds a text of ``none``; without such texts, True as soon as it holds what it must."""
    found = contains(so_far, all_=all_, any_=any_, ignore_case=ignore_case)
    if not listed(none):
        return early.once(found.followed is True, means=True)
    return early.once(not contains(so_far, none=none, ignore_case=ignore_case).followed, means=False)


def contains_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """At least one text to look for, and no empty one: it would be found in every answer."""
    lists = {name: listed(arguments.get(name, ())) for name in ("all", "any", "none")}
    if not any(lists.values()):
        yield "give at least one text in 'all', 'any' or 'none'"
    for name, texts in lists.items():
        if "" in texts:
            yield f"argument {name!r} holds an empty text, which every answer contains"
        if len(texts) > _MOST_TEXTS:
            yield f"argument {name!r} holds {len(texts):,} texts; at most {_MOST_TEXTS:,} are searched for"


def regex(answer: str, *, pattern: str, full: bool = False, ignore_case: bool = False) -> Finding:
    r"""The pattern is found in the answer; with ``full``, it matches the whole stripped answer.

    Patterns are those of the ``regex`` package: Python's own, and Unicode properties such as ``\p{L}``.
    ``.`` does not match a line break unless the pattern says ``(?s)``. A search that needs more than half a
    second of processor time is given up and not scored.
    """
    import regex as engine

    # not kept: a compiled pattern may take megabytes, and a slice has as many patterns as it likes
    compiled = engine.compile(pattern, engine.IGNORECASE if ignore_case else 0, cache_pattern=False)
    try:
        if full:
            match = compiled.fullmatch(answer.strip(), timeout=REGEX_SECONDS)
        else:
            match = compiled.search(answer, timeout=REGEX_SECONDS)
    except TimeoutError:
        return unscored(f"the pattern took too long (over {REGEX_SECONDS} s): {quoted(pattern)}")
    if match:
        return followed(f"{quoted(match.group())} matches the pattern")
    return violated(f"{'the whole answer does not match' if full else 'no match for'} {quoted(pattern)}")


def regex_decided(so_far: str, *, pattern: str, full: bool = False, ignore_case: bool = False) -> bool | None:
    """True as soon as a plain pattern is found, and more behind it; False as soon as no further text can make it match.

    With ``full`` it is never True: more may always come. A word boundary at the end may be none later.
    """
    import regex as engine

    if not early.is_plain(pattern):
        return None
    flags = engine.IGNORECASE if ignore_case else 0
    loose = engine.compile(early.without_boundaries(pattern), flags, cache_pattern=False)
    if full:
        possible = loose.fullmatch(so_far.strip(), partial=True, timeout=REGEX_SECONDS)
        return early.once(possible is None, means=False)
    match = engine.compile(pattern, flags, cache_pattern=False).search(so_far, timeout=REGEX_SECONDS)
    if match:
        return early.once(match.end() < len(so_far), means=True)
    return early.once(loose.search(so_far, partial=True, timeout=REGEX_SECONDS) is None, means=False)


def regex_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The pattern is of a size that can be compiled, and compiles."""
    import regex as engine

    pattern = arguments["pattern"]
    if len(pattern) > PATTERN_CHARACTERS:
        yield f"argument 'pattern' is longer than {PATTERN_CHARACTERS:,} characters"
        return
    if _steps(pattern) > PATTERN_STEPS:
        yield (
            f"argument 'pattern' is too large with its repeats written out (over {PATTERN_STEPS:,} steps): "
            f"lower the counts in {quoted(pattern)}"
        )
        return
    try:
        engine.compile(pattern, cache_pattern=False)
    except (engine.error, RecursionError, OverflowError) as error:
        yield f"argument 'pattern' does not compile: {error} in {quoted(pattern)}"


def _steps(pattern: str) -> int:
    """At most how large a pattern becomes when its repeats are written out, each as often as it must match.

    That is how it is compiled: ``((a{1000}){1000}){1000}`` would take hundreds of gigabytes. Groups are not
    matched up: a repeat behind one counts for everything before it. So the result may be too large, but no
    bracket in a set or in a comment makes it too small.
    """
    if _HIDDEN_COUNT.search(pattern):
        return PATTERN_STEPS + 1
    steps, before = 0, ""
    for part in _PATTERN_PART.finditer(pattern):
        times = int("".join((part["least"] or "").split()) or 0)
        if times and (before == ")" or before.isspace()):  # white space: a group may end before it
            steps *= times
        else:
            steps += times or 1
        if steps > PATTERN_STEPS:
            break
        before = part.group()
    return steps


def one_of(answer: str, *, options: Sequence[str], ignore_case: bool = True) -> Finding:
    """The answer is one of the options and nothing more.

    Quotes, Markdown emphasis, brackets and punctuation around answer and option are ignored.
    """
    found = _folded(answer.strip(), fold=ignore_case)
    bare = found.strip(_WRAPPING)
    for option in options:
        wanted = _folded(option.strip(), fold=ignore_case)
        # an option of punctuation alone has no bare form, and must be answered as it is
        if found == wanted or (bare and bare == wanted.strip(_WRAPPING)):
            return followed(f"the answer is {quoted(option)}")
    if not found:
        return violated("the answer is empty")
    return violated(f"the answer {quoted(answer.strip())} is none of {all_quoted(options)}")


def one_of_decided(so_far: str, *, options: Sequence[str], ignore_case: bool = True) -> bool | None:
    """False as soon as the answer has parted from every option."""
    begun = _folded(so_far.strip(), fold=ignore_case)
    wanted = [_folded(option.strip(), fold=ignore_case) for option in options]
    bare = begun.strip(_WRAPPING)
    possible = any(option.startswith(begun) or option.strip(_WRAPPING).startswith(bare) for option in wanted)
    return early.once(not possible, means=False)


def one_of_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """There are options, none of them blank, none of them twice."""
    options = arguments["options"]
    if not options:
        yield "argument 'options' is empty: no answer could be right"
    if any(not option.strip() for option in options):
        yield "argument 'options' holds a blank text"
    twice = sorted(option for option, times in Counter(options).items() if times > 1)
    if twice:
        yield f"argument 'options' holds {all_quoted(twice)} more than once"


def _folded(text: str, *, fold: bool) -> str:
    return text.casefold() if fold else text


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("exact", exact, shorthand="text", decided=exact_decided)
    registry.register("contains", contains, shorthand="all", validate=contains_problems, decided=contains_decided)
    registry.register("regex", regex, shorthand="pattern", validate=regex_problems, decided=regex_decided)
    registry.register("one_of", one_of, shorthand="options", validate=one_of_problems, decided=one_of_decided)
