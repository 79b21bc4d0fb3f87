"""Everything about one case on one candidate: what was asked, both answers, their grades, how to run it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rich.text import Text

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.outcomes.difference import turns_of
from pytest_quantgate.report.aligned import aligned
from pytest_quantgate.report.anchored import beside_now
from pytest_quantgate.report.difference import TRANSITION_WORDS, answers_beside
from pytest_quantgate.report.rerun import rerun_commands, shell_line
from pytest_quantgate.report.text import draw, wrap
from pytest_quantgate.report.text import indented as wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pytest_quantgate.cases.model import Case, CheckSpec
    from pytest_quantgate.outcomes.model import Comparison, Outcome
    from pytest_quantgate.report.aligned import Reader
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import CaseRecord

LINES: Final = 60
"""Lines of each answer that are shown."""

MOST: Final = 4_000
"""Characters of one text that are shown, half from its beginning and half from its end."""

_ARGUMENTS: Final = 300


def one_case(report: RunReport, record: CaseRecord, candidate: str, reader: Reader, *, width: int, color: bool) -> str:
    """One case on one candidate, for a terminal.

    Args:
        report: The run.
        record: The case.
        candidate: Spec of the candidate or control.
        reader: What tokens are read with.
        width: Columns to fill, at least 80.
        color: Whether to colour with ANSI escapes.
    """
    reference = report.reference.spec
    comparison = record.comparison(reference, candidate)
    moved = "no result" if comparison is None else TRANSITION_WORDS[comparison.transition]
    name = full_name(record.slice, record.case.id, candidate)
    parts: list[RenderableType] = list(_bold(f"{name}  {moved}", width))
    parts += indented(f"{record.case.location}", width, first="written at ")
    if comparison is None:
        parts += _asked(record.case, width)
        parts += _one_side(report, record, candidate, width)
    else:
        parts += _turns(comparison, reference, candidate, reader, width)
        parts += _checks(record.case, comparison, reference, candidate, width)
    parts += _goldens(report, record, candidate, width)
    parts += _again(report, record, candidate)
    return draw(parts, color=color)


def _bold(text: str, width: int) -> Iterator[Text]:
    yield from (Text(line, style="bold") for line in wrap(_cut(text), width))


def indented(text: str, width: int, *, first: str = "", rest: str | None = None) -> list[str]:
    """Wrapped lines of a text that may be very long."""
    return wrapped(_cut(text), width, first=first, rest=rest)


def _titled(title: str) -> list[RenderableType]:
    return ["", Text(title, style="bold")]


def _asked(case: Case, width: int) -> Iterator[RenderableType]:
    """The whole chat, and what the answer was made to begin with."""
    yield from _titled("asked")
    for message in case.messages:
        yield from indented(message.content, width, first=f"  {message.role}: ", rest="    ")
    if case.answer_prefix:
        yield from indented(case.answer_prefix, width, first="  the answer begins with: ", rest="    ")


def _cut(text: str) -> str:
    if len(text) <= MOST:
        return text
    half = MOST // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"


def _one_side(report: RunReport, record: CaseRecord, candidate: str, width: int) -> Iterator[RenderableType]:
    """What there is of a case that one side, or both, gave no result for."""
    variants = (report.reference, *report.candidates, *report.control_variants)
    problems = {each.spec: each.problem for each in variants}
    for spec in (report.reference.spec, candidate):
        outcome = record.outcomes.get(spec)
        yield ""
        if outcome is None:
            yield from indented(problems.get(spec) or "no result in this report", width, first=f"{spec}: ")
            continue
        yield from _bold(f"{spec}: {_verdict(outcome)}, {_ending(outcome)}", width)
        for turn in outcome.turns or (outcome,):
            yield from indented(turn.completion.text or "(empty answer)", width, first="  ")
        for result in outcome.results:
            yield from indented(f"{result.check}: {result.word}: {result.reason}", width, rest="  ")


def _verdict(outcome: Outcome) -> str:
    return {True: "PASS", False: "FAIL", None: "unscored"}[outcome.passed]


_ENDINGS: Final = {
    "stop": "the model ended its answer",
    "length": "cut at the token limit",
    "decided": "stopped when its checks were decided",
    "context": "no answer, the prompt does not fit",
    "invalid": "no answer, the logits were no numbers",
    "unknown": "nobody knows why it ended",
}


def _ending(outcome: Outcome) -> str:
    completion = outcome.completion
    return _ENDINGS[completion.finish_reason] if completion.lasting else "no answer this time"


def _turns(
    comparison: Comparison, reference: str, candidate: str, reader: Reader, width: int
) -> Iterator[RenderableType]:
    turns = turns_of(comparison)
    for number, turn in enumerate(turns):
        if len(turns) > 1:
            yield from _titled(f"turn {number + 1} of {len(turns)}: {TRANSITION_WORDS[turn.transition]}")
        if number:
            asked = comparison.case.later[number - 1].prompt
            yield from indented(asked, width, first="  user: ", rest="    ")
        else:
            yield from _asked(comparison.case, width)
        yield ""
        yield from answers_beside(turn, reference, candidate, width, most=LINES)
        ends = f"{reference}: {_ending(turn.reference)}; {candidate}: {_ending(turn.candidate)}"
        yield from indented(ends, width, rest="  ")
        yield from _titled("where they part")
        yield from aligned(turn, reference, candidate, reader, width)


def _checks(case: Case, comparison: Comparison, reference: str, candidate: str, width: int) -> Iterator[RenderableType]:
    """Every check with its arguments, and what it said of both answers."""
    yield from _titled("checks")
    specs = (*case.checks, *(spec for turn in case.later for spec in turn.checks))
    for spec, before, after in zip(specs, comparison.reference.results, comparison.candidate.results, strict=False):
        yield from indented(_spec(spec), width, rest="  ")
        for name, result in ((reference, before), (candidate, after)):
            style = "yellow" if result.followed is False and before.followed else ""
            for line in indented(f"{name} {result.word}: {result.reason}", width, first="  ", rest="    "):
                yield Text(line, style=style)


def _spec(spec: CheckSpec) -> str:
    try:
        arguments = json.dumps(dict(spec.arguments), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        arguments = "..."
    if len(arguments) > _ARGUMENTS:
        arguments = f"{arguments[:_ARGUMENTS]}..."
    return spec.name if arguments == "{}" else f"{spec.name}: {arguments}"


def _goldens(report: RunReport, record: CaseRecord, candidate: str, width: int) -> Iterator[RenderableType]:
    """How the case stands to the goldens of both sides; where it drifted, what was anchored beside what it is now."""
    found = [
        golden
        for golden in report.goldens
        if golden.slice == record.slice and golden.variant in (report.reference.spec, candidate)
    ]
    if found:
        yield from _titled("goldens")
    for golden in found:
        standing = next((each for each in golden.standings if each.case_id == record.case.id), None)
        state = "same" if standing is None else standing.state
        why = f": {standing.reason}" if standing is not None and standing.reason else ""
        written = ", and anchored anew by this run" if record.case.id in golden.written else ""
        text = f"{golden.variant} ({golden.path}, anchored {golden.anchored or 'never'}): {state}{why}{written}"
        yield from indented(text, width, rest="  ")
        if (reason := golden.accepted.get(record.case.id)) is not None:
            yield from indented(reason, width, first="  accepted although degraded: ", rest="    ")
        was = None if standing is None else standing.anchored
        now = record.outcomes.get(golden.variant)
        if was is not None and was.answers and now is not None:
            yield ""
            yield from beside_now(record.case, was, now, width, most=LINES)


def _again(report: RunReport, record: CaseRecord, candidate: str) -> Iterator[RenderableType]:
    """The command that runs the case again; whole on its line, to be copied."""
    if report.base_command and candidate in record.node_ids:
        yield from _titled("run it again")
        yield from rerun_commands(report.base_command, [record], candidate)
    elif report.command:
        yield from _titled("run it again")
        yield shell_line(report.command)
