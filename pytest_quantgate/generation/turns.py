"""Cases of several turns: what each turn asks follows from the model's own answers to those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.early import kept_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.generation.completion import Completion


def answered(case: Case, completions: Mapping[str, Completion]) -> tuple[Completion, ...]:
    """What was answered of a case, turn by turn, as far as it goes.

    Args:
        case: The case.
        completions: Everything that the variant answered, by request digest.

    Returns:
        Fewer completions than turns when one is not answered yet; one that has no answer is the last.
    """
    return tuple(_walk(case, completions)[0])


def asked(case: Case, completions: Mapping[str, Completion]) -> tuple[Request, ...]:
    """What was asked of a case, turn by turn, as far as it was answered.

    Args:
        case: The case.
        completions: Everything that the variant answered, by request digest.
    """
    texts = [completion.text for completion in answered(case, completions)]
    return tuple(Request.of(case.turn_after(texts[:turn])) for turn in range(len(texts)))


def next_request(case: Case, completions: Mapping[str, Completion]) -> Request | None:
    """The first turn that is not answered yet; None when all are, or when one cannot be."""
    return _walk(case, completions)[1]


def next_requests(cases: Iterable[Case], completions: Mapping[str, Completion]) -> list[Request]:
    """What each of several cases asks next, where it asks anything."""
    found = (next_request(case, completions) for case in cases)
    return [request for request in found if request is not None]


def look_up(
    cases: Sequence[Case],
    stored: Callable[[Iterable[str]], Mapping[str, Completion]],
    registry: CheckRegistry | None = None,
) -> dict[str, Completion]:
    """The stored answers to all turns of some cases, by request digest.

    Args:
        cases: The cases.
        stored: Gives those of some request digests that are stored.
        registry: The checks that may have stopped an answer, by name; the built-in ones when None.
    """
    known: dict[str, Completion] = {}
    waiting = list(cases)
    while waiting:
        asked = [
            (case, request.digest, request) for case in waiting if (request := next_request(case, known)) is not None
        ]
        found = kept_for({digest: request for _, digest, request in asked}, stored, registry)
        known.update(found)
        waiting = [case for case, digest, _ in asked if case.later and digest in found]
    return known


def _walk(case: Case, completions: Mapping[str, Completion]) -> tuple[list[Completion], Request | None]:
    found: list[Completion] = []
    while len(found) <= len(case.later):
        request = Request.of(case.turn_after([completion.text for completion in found]))
        completion = completions.get(request.digest)
        if completion is None:
            return found, request
        found.append(completion)
        if completion.problem is not None:
            break
    return found, None
