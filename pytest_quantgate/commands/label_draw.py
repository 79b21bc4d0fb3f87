"""Which answers of a stored run people are asked about: a stratified sample, the same for the same seed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import chain
from math import sqrt
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.cases.nodes import is_encodable
from pytest_quantgate.cases.purposes import READERS, UNREAD
from pytest_quantgate.errors import UsageError, nearest
from pytest_quantgate.outcomes.labelled import Graded, pairs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_quantgate.outcomes.labelled import Pair
    from pytest_quantgate.report.model import RunReport

Stratum = TypeVar("Stratum", str, tuple[str, str, str, str])

FIRST: Final = 2
"""Cases of every stratum that are drawn before the others get more: one alone says nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a label sheet: does this answer do what this check asks?

    Attributes:
        slice: Name of the slice.
        case_id: The first case that it belongs to.
        graded: Prompt, check and answer.
    """

    slice: str
    case_id: str
    graded: Graded

    @property
    def row(self) -> str:
        """Its opaque name: follows from slice, prompt, check and answer; no spreadsheet takes it for a number."""
        return row_of(self.slice, self.graded.key)


def row_of(slice_name: str, key: str) -> str:
    """The name of the row that asks about an answer of a slice, from the key of its label."""
    return "r" + digest_of([slice_name, key])[:15]


def questions_of(report: RunReport) -> dict[str, Question]:
    """Everything that could be asked about a run's answers, by row; equal answers of several variants once."""
    found: dict[str, Question] = {}
    met: set[tuple[str, str, int, int, str]] = set()  # digests take time, and candidates share the reference's answers
    for slice_name, _, pairs in _pairs(report):
        for pair in pairs:
            for one in _askable(pair):
                place = (slice_name, pair.case_id, one.turn, one.place, one.text)
                if one.turn > 1 or place not in met:
                    met.add(place)
                    question = Question(slice_name, pair.case_id, one)
                    found.setdefault(question.row, question)
    return found


def checks_asked(report: RunReport, slices: Collection[str], checks: Collection[str]) -> tuple[list[str], list[str]]:
    """Which checks of a run people are asked about: those named, else those that read what an answer means, else all.

    Args:
        report: The run.
        slices: Names of the slices to draw from; all when empty.
        checks: Names of the checks; empty when none is named.

    Returns:
        The checks that are asked about, and those that are not, in the order in which the run meets them.

    Raises:
        UsageError: There is no such slice or check, or nobody could answer.
    """
    known = [each.name for each in report.slices]
    for name in slices:
        if name not in known:
            raise UsageError(f"the run has no slice {name!r}", where="--slice", hint=nearest(name[:200], known))
    met: dict[str, None] = {}
    for record in report.cases:
        if not slices or record.slice in slices:
            specs = chain(record.case.checks, *(turn.checks for turn in record.case.later))
            met.update(dict.fromkeys(spec.name for spec in specs))
    for name in checks:
        if name not in met:
            raise UsageError(f"no case has a check {name!r}", where="--check", hint=nearest(name[:200], met))
        if name in UNREAD:
            what = f"{name} measures the model, not its answer: nobody can say from the answer whether it is right"
            raise UsageError(what, where="--check", hint="name another check")
    readers = [name for name in met if name in READERS]
    chosen = [*(checks or readers or (name for name in met if name not in UNREAD))]
    return [name for name in met if name in chosen], [name for name in met if name not in chosen]


def draw(
    report: RunReport, *, most: int, seed: int, slices: Collection[str] = (), checks: Collection[str]
) -> tuple[Question, ...]:
    """Draw cases, both answers of each, until no more fit.

    The strata are slice, check, candidate, what the check says of both answers, and whether they are the same text.
    Each gets cases in proportion to the root of its size (power allocation, Bankier 1988): large ones say most about
    the agreement, and small ones (cases that degraded) are seen all the same.

    Args:
        report: The run.
        most: Rows at most.
        seed: Of the draw, and of the rows' order.
        slices: Names of the slices; all when empty.
        checks: Names of the checks.

    Returns:
        The rows in an order that says nothing of variant, case or verdict.
    """
    strata: defaultdict[tuple[str, str, str, str], list[tuple[str, Pair]]] = defaultdict(list)
    for slice_name, candidate, pairs in _pairs(report):
        if slices and slice_name not in slices:
            continue
        for pair in pairs:
            if pair.reference.check.name in checks and pair.stratum[:2] != (None, None):
                kind = (slice_name, pair.reference.check.name, candidate, repr(pair.stratum))
                # by the case alone: of several candidates the same cases are drawn, and share the reference's answers
                place = [seed, slice_name, pair.case_id, pair.reference.turn, pair.reference.place]
                strata[kind].append((digest_of(place), pair))
    for members in strata.values():
        members.sort(key=lambda each: each[0], reverse=True)
    rows: dict[str, Question] = {}
    for kind in in_turn({kind: len(members) for kind, members in strata.items()}):
        _, pair = strata[kind].pop()
        fresh = [Question(kind[0], pair.case_id, one) for one in _askable(pair)]
        added = {each.row: each for each in fresh if each.row not in rows}
        if len(rows) + len(added) > most:
            break
        rows.update(added)
    return tuple(rows[row] for row in sorted(rows, key=lambda row: digest_of([seed, row])))


def in_turn(sizes: Mapping[Stratum, int]) -> Iterator[Stratum]:
    """Which stratum the next case is drawn from, until all are empty.

    Each is named ``FIRST`` times, one after another, and then in proportion to the root of its size.

    Args:
        sizes: Cases of each stratum; equal ones are named in the order of their names.
    """
    waiting = [(0, 1 / sqrt(size), name) for name, size in sizes.items()]
    heapify(waiting)
    drawn = dict.fromkeys(sizes, 0)
    while waiting:
        _, _, name = heappop(waiting)
        yield name
        drawn[name] += 1
        if drawn[name] < sizes[name]:
            heappush(waiting, (min(drawn[name], FIRST), (drawn[name] + 1) / sqrt(sizes[name]), name))


def _pairs(report: RunReport) -> Iterator[tuple[str, str, list[Pair]]]:
    """Slice, candidate and what its checks say of both answers."""
    for each in report.slices:
        for candidate in report.candidates:
            for pairs in pairs_of(report.comparisons(each.name, candidate.spec)).values():
                yield each.name, candidate.spec, pairs


def _askable(pair: Pair) -> list[Graded]:
    """Both answers, once where they are the same; text that no file can hold is nothing to ask about."""
    one, other = pair.reference, pair.candidate
    same = one.text == other.text and one.case.messages == other.case.messages  # later turns follow other answers
    sides = [one] if same else [one, other]
    return [each for each in sides if is_encodable(each.text)]
