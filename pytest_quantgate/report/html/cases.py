"""The cases as data of the page: a small index for the table, and one line for each case that is read when it opens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from pytest_quantgate.outcomes.difference import turns_of
from pytest_quantgate.outcomes.margins import NEAR_TIE
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.report.difference import excerpts, heading, parting, shown_answer
from pytest_quantgate.report.html.partings import tokens_before
from pytest_quantgate.report.html.texts import embedded, shown
from pytest_quantgate.report.rerun import rerun_commands, shell_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.model import CheckSpec
    from pytest_quantgate.golden.model import Standing
    from pytest_quantgate.outcomes.model import Comparison, Outcome
    from pytest_quantgate.report.model import CaseRecord, GoldenRecord, RunReport

NO_RESULT: Final = "no result"
"""Of a case that one side did not answer: it was not asked, or the run ended before."""

TRANSITIONS: Final = ("PASS→FAIL", "FAIL→PASS", "unscored", NO_RESULT, "FAIL→FAIL", "PASS→PASS")
"""In the order of the table: what changed comes first."""

_NUMBERS: Final = {
    Transition.DEGRADED: 0,
    Transition.IMPROVED: 1,
    Transition.UNSCORED: 2,
    Transition.FAILING: 4,
    Transition.PRESERVED: 5,
}


@dataclass(frozen=True, slots=True)
class CaseData:
    """What the page's script reads.

    Attributes:
        index: Names, and a row for each case and candidate.
        lines: A JSON value for each case, one on each line.
    """

    index: Markup
    lines: Markup


def case_data(report: RunReport) -> CaseData:
    """The cases of a run as the page's script reads them."""
    candidates = [each.spec for each in report.candidates]
    goldens = {(each.slice, each.variant): _Golden.of(each) for each in report.goldens}
    slices = {each.name: number for number, each in enumerate(report.slices)}
    tags = sorted({tag for record in report.cases for tag in record.case.tags})
    numbers = {tag: number for number, tag in enumerate(tags)}
    base = shell_line(report.base_command) if report.base_command else ""
    rows: list[tuple[int, int, int, int, str]] = []
    lines = []
    for place, record in enumerate(report.cases):
        compared = [record.comparison(report.reference.spec, spec) for spec in candidates]
        for number, comparison in enumerate(compared):
            golden = goldens.get((record.slice, candidates[number]))
            state = "" if golden is None else golden.state(record.case.id)
            rows.append((_number(comparison), slices.get(record.slice, 0), number, place, state))
        lines.append(embedded(_details(report, record, compared, goldens=goldens, base=base)))
    states = sorted({state for *_, state in rows if state})
    rows.sort(key=lambda row: row[:4])
    index = {
        "slices": [shown(each.name) for each in report.slices],
        "candidates": list(map(shown, candidates)),
        "reference": shown(report.reference.spec),
        "transitions": TRANSITIONS,
        "states": states,
        "tags": list(map(shown, tags)),
        "base": shown(base),
        "ids": [shown(record.case.id) for record in report.cases],
        "slice": [slices.get(record.slice, 0) for record in report.cases],
        "tagged": [[numbers[tag] for tag in record.case.tags] for record in report.cases],
        "rows": [
            [place, number, transition, states.index(state) if state else -1]
            for transition, _, number, place, state in rows
        ],
    }
    return CaseData(embedded(index), Markup("\n").join(lines))


@dataclass(frozen=True, slots=True)
class _Golden:
    """A golden by case."""

    anchored: bool
    standings: Mapping[str, Standing]
    accepted: Mapping[str, str]

    @classmethod
    def of(cls, record: GoldenRecord) -> _Golden:
        return cls(record.anchored is not None, {each.case_id: each for each in record.standings}, record.accepted)

    def state(self, case_id: str) -> str:
        """How a case stands; those that are the same are not listed one by one."""
        standing = self.standings.get(case_id)
        return standing.state if standing is not None else "same" if self.anchored else ""

    def told(self, case_id: str) -> list[str]:
        standing = self.standings.get(case_id)
        reason = standing.reason if standing is not None else ""
        return [self.state(case_id), shown(reason), shown(self.accepted.get(case_id, ""))]


def _number(comparison: Comparison | None) -> int:
    return TRANSITIONS.index(NO_RESULT) if comparison is None else _NUMBERS[comparison.transition]


def _details(
    report: RunReport,
    record: CaseRecord,
    compared: Sequence[Comparison | None],
    *,
    goldens: Mapping[tuple[str, str], _Golden],
    base: str,
) -> dict[str, Any]:
    """Everything that is shown when a case opens."""
    case = record.case
    specs = [each.spec for each in (report.reference, *report.candidates)]
    asked = [[each.role, shown(each.content)] for each in case.messages]
    later = [([["user", shown(turn.prompt)]], turn.checks) for turn in case.later]
    outcomes = [record.outcomes.get(spec) for spec in specs]
    pairs = [[] if each is None else turns_of(each) for each in compared]
    value: dict[str, Any] = {
        "where": shown(str(case.location)),
        "turns": [
            {"asked": prompt, "checks": _checks(checks), "answers": _answers(number, outcomes, pairs, specs)}
            for number, (prompt, checks) in enumerate([(asked, case.checks), *later])
        ],
        "parted": [_parted(each) for each in compared],
    }
    if case.cluster is not None:
        value["cluster"] = shown(case.cluster)
    if case.answer_prefix:
        value["prefix"] = shown(case.answer_prefix)
    told = [goldens.get((record.slice, spec)) for spec in specs]
    if any(told):
        value["goldens"] = [None if each is None else each.told(case.id) for each in told]
    if base:
        reruns = [rerun_commands(report.base_command, [record], spec) for spec in specs[1:]]
        # most begin with the same command, which stands in the index once
        value["rerun"] = [[_behind(base, shown(line)) for line in lines] for lines in reruns]
    return value


def _behind(base: str, line: str) -> str:
    return line.removeprefix(base) if line.startswith(f"{base} ") else line


def _checks(checks: Sequence[CheckSpec]) -> list[list[str]]:
    """Names and arguments, as JSON."""
    return [
        [shown(each.name), shown(json.dumps(dict(each.arguments), sort_keys=True, ensure_ascii=False))]
        if each.arguments
        else [shown(each.name), ""]
        for each in checks
    ]


def _answers(
    number: int, outcomes: Sequence[Outcome | None], pairs: Sequence[Sequence[Comparison]], specs: Sequence[str]
) -> list[dict[str, Any] | None]:
    """What each variant answered to one turn, the reference first; None for one without a result."""
    found = []
    for place, (outcome, spec) in enumerate(zip(outcomes, specs, strict=True)):
        turns = () if outcome is None else outcome.turns or (outcome,)
        answer = _answer(turns[number], spec) if number < len(turns) else None
        if answer is not None and place and number < len(pairs[place - 1]):
            pair = pairs[place - 1][number]
            answer["parting"] = shown(parting(pair, specs[0], spec))
            texts = (pair.reference.completion.text, pair.candidate.completion.text)
            if (cut := excerpts(*texts)) != texts:
                answer["cut"] = list(map(shown, cut))
        found.append(answer)
    return found


def _answer(outcome: Outcome, spec: str) -> dict[str, Any]:
    completion = outcome.completion
    text = shown(completion.text)
    value: dict[str, Any] = {
        "head": shown(heading(spec, outcome)),
        "text": text,
        "results": [[each.followed, shown(each.reason)] for each in outcome.results],
    }
    if (told := shown_answer(completion)) != completion.text:
        value["none"] = shown(told)
    if completion.margins and (sure := _least_sure(completion.margins)):
        value["margin"] = sure
    return value


def _least_sure(margins: Sequence[float]) -> str:
    """Where a variant was least sure of its own token; empty when nothing was measured."""
    known = [(each, place) for place, each in enumerate(margins, 1) if isfinite(each)]
    if not known:
        return ""
    least, place = min(known)
    ties = sum(each < NEAR_TIE for each, _ in known)
    return f"least sure at token {place} ({least:.2f} nats); {ties} of {len(known)} tokens are near ties"


def _parted(comparison: Comparison | None) -> int | None:
    """Tokens before the answers part; None when they do not, or nobody knows."""
    tokens = None if comparison is None else tokens_before(comparison)
    return int(tokens) if tokens is not None and isfinite(tokens) else None
