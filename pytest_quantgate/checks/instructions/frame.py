"""How an answer begins, ends and falls apart: IFEval's ``combination``, ``startend`` and ``punctuation``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.instructions.common import searchable
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry

_SEPARATOR = "******"
_OPENING, _CLOSING = '"\u201c\u201e\u201f\uff02', '"\u201c\u201d\uff02'

# Every character that Unicode names a comma and that writing uses as one: Latin, Arabic, ideographic, Ethiopic, ...
_COMMAS = (
    ",\u055d\u060c\u07f8\u1363\u1802\u1808\u2e32\u2e34\u2e41\u2e49\u2e4c\u3001\ua4fe\ua60d\ua6f5"
    "\ufe10\ufe11\ufe50\ufe51\uff0c\uff64\U0001144d\U00016e97"
)


def two_responses(answer: str) -> Finding:
    """The answer is two different responses with ``******`` between them.

    One more separator before the first or behind the last is no violation; a blank response is.
    """
    pieces = [piece.strip() for piece in answer.split(_SEPARATOR)]
    if not all(pieces[1:-1]):
        return violated("a response between two separators is blank")
    responses = [piece for piece in pieces if piece]
    if len(responses) != 2:  # noqa: PLR2004  (what the instruction asks for)
        return violated(f"{counted(len(responses), 'response')}, 2 asked for")
    if responses[0] == responses[1]:
        return violated("the two responses are the same")
    return followed("two different responses")


def two_responses_decided(so_far: str) -> bool | None:
    """False once a response between two separators is blank, the third has begun, or the first two are the same."""
    *done, last = [piece.strip() for piece in so_far.split(_SEPARATOR)]
    responses = [piece for piece in done if piece]
    begun = len(responses) + bool(last.strip("*"))  # asterisks at the end may be those of a separator
    same = len(responses) > 1 and responses[0] == responses[1]
    return once(not all(done[1:]) or begun > 2 or same, means=False)  # noqa: PLR2004  (as above)


def repeat_prompt(answer: str, *, prompt_to_repeat: str) -> Finding:
    """The answer begins with the request, word for word; case and white space around either do not matter.

    Whether an answer comes behind it is not judged.
    """
    if answer.strip().lower().startswith(prompt_to_repeat.strip().lower()):
        return followed("begins with the request")
    return violated(f"begins with {quoted(answer.strip())}, not with the request")


def repeat_prompt_decided(so_far: str, *, prompt_to_repeat: str) -> bool | None:
    """True when the request is complete, False when the answer has parted from it; as far as words are whole."""
    begun, wanted = settled(so_far).strip().lower(), prompt_to_repeat.strip().lower()
    if begun.startswith(wanted):
        return True
    return once(not wanted.startswith(begun), means=False)


def end_checker(answer: str, *, end_phrase: str) -> Finding:
    """The answer ends with the phrase, whatever its case; a double quotation mark behind it does not matter."""
    end, wanted = answer.strip().lower(), end_phrase.strip().lower()
    if end.endswith(wanted) or end.strip('"').endswith(wanted):
        return followed("ends with the phrase")
    return violated(f"ends with {quoted(answer.strip()[-60:])}, not with the phrase")


def quotation(answer: str) -> Finding:
    """The whole answer is wrapped in double quotation marks, straight or curly."""
    text = answer.strip()
    if len(text) > 1 and text[0] in _OPENING and text[-1] in _CLOSING:
        return followed("wrapped in double quotation marks")
    return violated("not wrapped in double quotation marks")


def quotation_decided(so_far: str) -> bool | None:
    """False when it begins with something else."""
    return once(so_far.strip()[:1] not in _OPENING, means=False)


def no_comma(answer: str) -> Finding:
    """The answer has no comma of any script: neither "," nor the Arabic, ideographic, full-width and other ones."""
    found = sorted(set(answer) & set(_COMMAS))
    if found:
        return violated(f"{sum(map(answer.count, found))} of {quoted(' '.join(found))}")
    return followed("no comma")


def no_comma_decided(so_far: str) -> bool | None:
    """False at the first comma."""
    return once(not set(_COMMAS).isdisjoint(so_far), means=False)


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register("combination:two_responses", with_loose(two_responses), decided=strictly(two_responses_decided))
    registry.register(
        "combination:repeat_prompt",
        with_loose(repeat_prompt),
        shorthand="prompt_to_repeat",
        validate=searchable("prompt_to_repeat"),
        decided=strictly(repeat_prompt_decided),
    )
    registry.register(
        "startend:end_checker",
        with_loose(end_checker),
        shorthand="end_phrase",
        validate=searchable("end_phrase"),
    )
    registry.register("startend:quotation", with_loose(quotation), decided=strictly(quotation_decided))
    registry.register("punctuation:no_comma", with_loose(no_comma), decided=strictly(no_comma_decided))
