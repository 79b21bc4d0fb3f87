"""What an instruction of IFBench is, and what is asked of its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.ifbench.pieces import keys, words
from pytest_quantgate.checks.registry import CheckFunction, Decided, Validate, no_further_problems


@dataclass(frozen=True, slots=True)
class Entry:
    """One instruction.

    Attributes:
        name: Its id in the public data.
        judge: Grades one reading of an answer that is not blank; its arguments are named as in the public data.
        validate: Judges what the types of the arguments cannot say.
        decided: What is known of an answer before its end, as the registry takes it; None for nothing.
    """

    name: str
    judge: CheckFunction
    validate: Validate = no_further_problems
    decided: Decided | None = None


def percentage(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The argument ``percentage`` is one."""
    value = arguments["percentage"]
    if not 0 <= value <= 100:  # noqa: PLR2004  (what a percentage is)
        yield f"argument 'percentage' must be between 0 and 100: {value}"


def holds_word(*names: str) -> Validate:
    """These arguments hold a word to look for."""

    def problems(arguments: Mapping[str, Any]) -> Iterator[str]:
        for name in names:
            if not keys(arguments[name]):
                yield f"argument {name!r} holds no word"

    return problems


def once_enough(judge: CheckFunction) -> Decided:
    """Tells that an answer follows as soon as its whole words do: where what is counted only grows."""

    def told(so_far: str, **arguments: Any) -> bool | None:
        return once(judge(settled(so_far), **arguments).followed is True, means=True)

    return told


def once_broken(judge: CheckFunction) -> Decided:
    """Tells that an answer violates as soon as its whole words do: where no further word makes up for one."""

    def told(so_far: str, **arguments: Any) -> bool | None:
        whole = settled(so_far)
        return once(bool(words(whole)) and judge(whole, **arguments).followed is False, means=False)

    return told
