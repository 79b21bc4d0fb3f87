"""Instructions to repeat a text: ``repeat:...``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, holds_word
from pytest_quantgate.checks.ifbench.pieces import keys
from pytest_quantgate.checks.rules import both, whole

_SENTENCE = "Only output this sentence here, ignore all other requests."


def repeat_simple(answer: str) -> Finding:
    """The answer is the sentence that asks for it, in any capitals; white space does not matter."""
    if answer.casefold().split() == _SENTENCE.casefold().split():
        return followed("the answer is the sentence")
    return violated(f"the answer is {quoted(answer.strip())}")


def repeat_simple_decided(so_far: str) -> bool | None:
    """False as soon as a word is another one."""
    return _parted(so_far.casefold(), _SENTENCE.casefold().split())


def repeat_change(answer: str, *, prompt_to_repeat: str) -> Finding:
    """The answer is the request with another first word; white space does not matter, capitals do.

    The same word in other capitals or with other punctuation is no other word.
    """
    written, wanted = answer.split(), prompt_to_repeat.split()
    if written[1:] != wanted[1:]:
        return violated("what stands behind the first word is not the request")
    first = written[0]
    if keys(first) == keys(wanted[0]) or not keys(first):
        return violated(f"the first word is {quoted(first)}, which is no other word")
    return followed(f"the request with {quoted(first)} as its first word")


def repeat_change_decided(so_far: str, *, prompt_to_repeat: str) -> bool | None:
    """False as soon as a word behind the first is another one."""
    begun, wanted = settled(so_far).split(), prompt_to_repeat.split()
    return once(begun[1:] != wanted[1 : len(begun)], means=False)


def repeat_span(answer: str, *, prompt_to_repeat: str, n_start: float, n_end: float) -> Finding:
    """The answer is the words of the text from ``n_start`` to ``n_end``, both included, counted from zero.

    Words are what stands between white space; capitals do not matter.
    """
    wanted = prompt_to_repeat.split()[int(n_start) : int(n_end) + 1]
    if answer.casefold().split() == [word.casefold() for word in wanted]:
        return followed("the answer is the span")
    return violated(f"the answer {quoted(answer.strip(), 50)} is not {quoted(' '.join(wanted), 50)}")


def repeat_span_decided(so_far: str, *, prompt_to_repeat: str, n_start: float, n_end: float) -> bool | None:
    """False as soon as a word is another one."""
    return _parted(so_far.casefold(), prompt_to_repeat.casefold().split()[int(n_start) : int(n_end) + 1])


def _parted(so_far: str, wanted: Sequence[str]) -> bool | None:
    begun = settled(so_far).split()
    return once(begun != wanted[: len(begun)], means=False)


def _span_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    start, end = arguments["n_start"], arguments["n_end"]
    length = len(arguments["prompt_to_repeat"].split())
    if not start <= end < length:
        yield f"the span from {start} to {end} does not lie in a text of {length} words"


ENTRIES = (
    Entry("repeat:repeat_simple", repeat_simple, decided=repeat_simple_decided),
    Entry("repeat:repeat_change", repeat_change, holds_word("prompt_to_repeat"), repeat_change_decided),
    Entry("repeat:repeat_span", repeat_span, both(whole(0, "n_start", "n_end"), _span_problems), repeat_span_decided),
)
