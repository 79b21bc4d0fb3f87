"""``--quant-reanchor`` and ``--quant-accept``: what is asked for, and what is refused before anything is generated."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.errors import nearest
from pytest_quantgate.golden.reanchor import ANCHORABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_quantgate.golden.model import Standing, State
    from pytest_quantgate.plugin.session import QuantRun

REVIEW: Final = "review"

_ALL: Final = "all"

_EVERYTHING: Final[tuple[State, ...]] = (*ANCHORABLE, "reworded", "same")
"""What ``all`` means: the golden is made anew."""

_NO_CI: Final = ("", "0", "false")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of one golden is to be made anew.

    Attributes:
        standings: The cases.
        accepted: Why some may be anchored although they are degraded, by id.
    """

    standings: Sequence[Standing]
    accepted: Mapping[str, str]


def read_states(text: str, where: str) -> tuple[str, ...]:
    """The states that ``--quant-reanchor`` names, each once; ``review`` stands alone.

    Args:
        text: What the user wrote.
        where: The option.

    Raises:
        pytest.UsageError: A word is none of those, or others stand beside ``review``.
    """
    words = [word.strip() for word in text.split(",")]
    known = (*ANCHORABLE, _ALL, REVIEW)
    for word in words:
        if word not in known:
            msg = f"{where} {text}: {word!r} is nothing to anchor: {nearest(word, known)}"
            raise pytest.UsageError(msg)
    if REVIEW in words and len(words) > 1:
        msg = f"{where} {text}: review asks about every change: give it alone"
        raise pytest.UsageError(msg)
    return _EVERYTHING if _ALL in words else tuple(dict.fromkeys(words))


def states_of(reanchor: Iterable[str]) -> frozenset[State]:
    """The states of the cases that a run may anchor anew; a review may come to all that can be named."""
    chosen = set(ANCHORABLE) if REVIEW in reanchor else set(reanchor)
    return frozenset(state for state in _EVERYTHING if state in chosen)


def check_accepted(text: str, where: str) -> None:
    """Refuse what cannot be ``ID=REASON``; whether there is such a case is known when slices are collected.

    Raises:
        pytest.UsageError: The id or the reason is missing.
    """
    case, _, reason = _parted(text)
    if not case.strip() or not reason.strip():
        msg = f"{where} {text}: write SLICE::CASE[SPEC]=REASON"
        raise pytest.UsageError(msg)


def problems(run: QuantRun) -> list[str]:
    """Why nothing may be anchored by this run, whatever the models answer; one line each."""
    if not run.options.reanchor:
        return []
    found = [*_of_surroundings(run), *_partial(run)]
    try:
        accepted(run)
    except pytest.UsageError as error:
        found += map(str, error.args)
    return found


def accepted(run: QuantRun) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Why cases may be anchored although they are degraded: by slice and candidate, then by case id.

    Raises:
        pytest.UsageError: An id names no case of the run, or several; a line for each.
    """
    known = _names(run)
    found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    wrong = []
    for text in run.options.accepted:
        # an id may hold "=" itself: the longest one that is known counts
        fitting = [name for name in known if text.startswith(f"{name}=") and text[len(name) + 1 :].strip()]
        name = max(fitting, key=len, default="")
        cases = known.get(name, [])
        if len(cases) == 1:
            slice_name, case_id, spec = cases[0]
            found[slice_name, spec][case_id] = text[len(name) + 1 :].strip()
        elif cases:
            names = ", ".join(full_name(*each) for each in cases)
            wrong.append(f"--quant-accept {text}: these are several cases: {names}")
        else:
            hint = nearest(_parted(text)[0], known, otherwise="name it as SLICE::CASE[SPEC]")
            wrong.append(f"--quant-accept {text}: no such case: {hint}")
    if wrong:
        raise pytest.UsageError(*wrong)
    return found


def _names(run: QuantRun) -> Mapping[str, list[tuple[str, str, str]]]:
    """Every way to name a case of the run, and the cases that it names: slice, id and candidate."""
    known: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for (slice_name, spec), cases in run.tally.selected.items():
        for case_id in cases:
            full = slice_name, case_id, spec
            for name in (full_name(*full), f"{slice_name}::{case_id}", f"{case_id}[{spec}]", case_id):
                known[name].append(full)
    return known


def _parted(text: str) -> tuple[str, str, str]:
    """A text at its first ``=`` outside of brackets: ``words::a[nf4:skip=lm_head]=known`` has its reason last."""
    depth = 0
    for place, each in enumerate(text):
        depth += {"[": 1, "]": -1}.get(each, 0)
        if each == "=" and depth <= 0:
            return text[:place], each, text[place + 1 :]
    return text, "", ""


def _of_surroundings(run: QuantRun) -> Iterable[str]:
    ci = os.environ.get("CI", "")
    if ci.lower() not in _NO_CI:
        yield (
            f"--quant-reanchor: CI={ci} is set in the environment, and nothing is anchored in CI: run it where "
            "somebody looks at the changes and commits them"
        )
    if run.options.sequential:
        yield "--quant-reanchor with --quant-sequential: cases that are not asked cannot be anchored: leave one out"
    if REVIEW in run.options.reanchor:
        from pytest_quantgate.plugin.review import is_possible

        if not is_possible(run.config):
            kinds = ", ".join(ANCHORABLE)
            yield f"--quant-reanchor review needs a terminal to ask on; without one name {kinds} or {_ALL}"


def _partial(run: QuantRun) -> Iterable[str]:
    """A part of a slice would be anchored beside what an earlier run has left of the rest."""
    for (name, candidate), cases in run.tally.selected.items():
        slice_ = run.book.named(name)
        if len(cases) < len(slice_.cases):
            yield (
                f"{slice_.location}: --quant-reanchor with {len(cases)} of {len(slice_.cases)} cases of slice {name} "
                f"on {candidate}: whole slices are anchored, so leave out what selects cases (-k, --lf, node ids)"
            )
