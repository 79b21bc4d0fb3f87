"""The run as a comment on a pull request: what decides first, and never more than GitHub takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.wording import given, measured, percent_limit
from pytest_quantgate.outcomes.difference import turns_of
from pytest_quantgate.plural import counted
from pytest_quantgate.report.cliff import cliff, cliff_sheet
from pytest_quantgate.report.diagnosis import diagnosis_blocks
from pytest_quantgate.report.difference import changed_checks, excerpts, heading, shortened, shown_answer, telling_turn
from pytest_quantgate.report.figures import UNDEFINED, ranged
from pytest_quantgate.report.golden_sheets import golden_blocks, golden_sheet
from pytest_quantgate.report.grounds import gate_lines, judged_lines, run_lines
from pytest_quantgate.report.health import health_line, healths
from pytest_quantgate.report.inert import code, fenced, folded, span, told, told_lines
from pytest_quantgate.report.rerun import shell_line
from pytest_quantgate.report.tables import PAGE, Name, Sheet, section
from pytest_quantgate.report.variants import described, roles

if TYPE_CHECKING:
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.report.model import CaseRecord, RunReport

SHOWN: Final = 3
"""Degraded cases of one failing slice and candidate that are shown."""

LONGEST_ANSWER: Final = 700
"""Characters of an answer that are shown."""

LONGEST_COMMAND: Final = 2_000
"""Characters of the command that are shown."""

MOST_NAMES: Final = 6
"""Candidates that are named in the head."""

RANK: Final = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
"""Verdicts, the worst first."""

_GROUNDS: Final = "\n<details><summary>indicators, and what the verdicts rest on</summary>\n"

_RESERVED: Final = 400
"""Characters kept free for what is said of the parts that there is no room for."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the page.

    Attributes:
        name: What it shows, for the line that says what was left out.
        importance: The lowest is written first, and gets the room that it needs.
        most: Characters that it takes at most.
        write: Writes it into so many characters; nothing when there is no room for it.
    """

    name: str
    importance: int
    most: int
    write: Callable[[int], str]


def markdown_report(report: RunReport) -> str:
    """The run as GitHub's Markdown, at most ``PAGE`` characters: what does not fit is told."""
    head = _head(report)
    parts = list(_parts(report))
    room = PAGE - _RESERVED - len(head)
    written: dict[int, str] = {}
    for place, part in sorted(enumerate(parts), key=lambda pair: pair[1].importance):
        text = part.write(min(room, part.most))
        room -= len(text)
        written[place] = text
    missing = [part.name for place, part in enumerate(parts) if not written[place]]
    page = head + "".join(written[place] for place in range(len(parts)))
    return f"{page}\nThere is no room here for: {', '.join(missing)}. The JSON report has them.\n" if missing else page


def worst_first(gates: Sequence[GateResult]) -> list[GateResult]:
    """Gates by verdict, then by how far their PASS→FAIL rate lies above its limit."""

    def badness(gate: GateResult) -> tuple[int, float]:
        rate = gate.statistics.pass_to_fail.value
        return RANK[gate.verdict], -1.0 if rate is None else gate.policy.max_pass_to_fail - rate

    return sorted(gates, key=badness)


def _head(report: RunReport) -> str:
    named = [code(each.spec) for each in report.candidates]
    more = f" and {len(named) - MOST_NAMES} more" if len(named) > MOST_NAMES else ""
    setting = [code(each) for each in (report.model, report.device, report.compute_dtype) if each != UNDEFINED]
    who = f"{', '.join(named[:MOST_NAMES])}{more} against {code(report.reference.spec)} ({', '.join(setting)})"
    lines = [f"{who}: {_counted('gate', report.gates)}."]
    if report.drifts:
        lines.append(f"Against the goldens: {_counted('drift gate', report.drifts)}.")
    return "\n".join([f"## quantgate: {report.verdict.value}\n", *lines]) + "\n"


def _counted(noun: str, gates: Sequence[GateResult]) -> str:
    """``3 gates: 1 FAIL, 2 PASS``."""
    verdicts = Counter(gate.verdict for gate in gates)
    told_of = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in RANK if verdicts[verdict])
    return f"{counted(len(gates), noun)}{': ' if told_of else ''}{told_of}"


def _parts(report: RunReport) -> Iterator[_Part]:
    """The parts of the page in the order of reading; those that have nothing to say are not there."""
    gates = worst_first(report.gates)
    if gates:
        yield _table("the gates", 0, 24_000, _gate_sheet(gates))
    if reasons := [_reasons(gate) for gate in gates if gate.verdict is not Verdict.PASS]:
        yield _blocks("reasons", 1, 14_000, "### why", reasons)
    if report.goldens or report.drifts:
        yield _table("goldens", 3, 10_000, golden_sheet(report))
        if lines := list(golden_blocks(report)):
            yield _blocks("what changed against the goldens", 4, 8_000, "", lines)
    if blocks := list(diagnosis_blocks(report)):
        yield _blocks("diagnoses", 5, 10_000, "### diagnosis", blocks)
    if cases := list(_degraded(report, gates)):
        yield _blocks("degraded cases", 6, PAGE, "### degraded cases", cases)
    if (fall := cliff(report)) is not None:
        yield _table("where the fall begins", 7, 10_000, cliff_sheet(fall))
    if lines := [f"- {told(line)}\n" for line in (*_indicators(report), *_grounds(report))]:
        yield _Part(
            "indicators", 8, PAGE, lambda room: _behind(_GROUNDS, _listed("", lines, room - len(_GROUNDS) - 20))
        )
    if variants := list(_variants(report)):
        yield _blocks("what the variants are", 2, 4_000, "### variants", variants)
    yield _Part("the command", 2, LONGEST_COMMAND + 400, lambda room: _fitting(_command(report), room))


def _table(name: str, importance: int, most: int, sheet: Sheet) -> _Part:
    return _Part(name, importance, most, lambda room: section(sheet, room))


def _blocks(name: str, importance: int, most: int, title: str, blocks: Sequence[str]) -> _Part:
    return _Part(name, importance, most, lambda room: _listed(title, blocks, room))


def _listed(title: str, blocks: Sequence[str], room: int) -> str:
    """As many blocks as there is room for, nothing without room for one; those left out are counted."""
    text = f"\n{title}\n\n" if title else "\n"
    note = "\n{} more are left out here; the JSON report has them all.\n"
    room -= len(text) + len(note) + 20
    kept = 0
    for block in blocks:
        if len(block) > room:
            break
        room -= len(block)
        kept += 1
    if not kept:
        return ""
    left = len(blocks) - kept
    return text + "".join(blocks[:kept]) + (note.format(left) if left else "")


def _behind(title: str, inner: str) -> str:
    return f"{title}{inner}\n</details>\n" if inner else ""


def _fitting(text: str, room: int) -> str:
    return text if len(text) <= room else ""


def _gate_sheet(gates: Sequence[GateResult]) -> Sheet:
    return Sheet(
        title=("gates",),
        headings=("slice", "candidate", "cases", "P→F", "P→F rate (95% interval)", "limit", "R", "limit", "verdict"),
        rows=tuple(map(_row, gates)),
        notes=(("P→F: passed with the reference, fails with the candidate. R: robustness.",),),
        words=True,
    )


def _row(gate: GateResult) -> tuple[str, ...]:
    statistics, policy = gate.statistics, gate.policy
    robustness = statistics.robustness.value
    verdict = gate.verdict.value
    compared = statistics.counts.n + statistics.unscored  # no case at all where a model did not run
    return (
        Name(gate.slice),
        Name(gate.candidate),
        str(statistics.counts.n) if compared else UNDEFINED,
        str(statistics.counts.pf) if compared else UNDEFINED,
        ranged(statistics.pass_to_fail),
        percent_limit(policy.max_pass_to_fail),
        UNDEFINED if robustness is None else measured(robustness, 3, limit=policy.min_robustness),
        given(policy.min_robustness, 2),
        verdict if gate.verdict is Verdict.PASS else f"**{verdict}**",
    )


def _reasons(gate: GateResult) -> str:
    lines = [f"- **{gate.verdict.value}** {code(gate.slice)} on {code(gate.candidate)}"]
    return "\n".join([*lines, *(f"  - {told_lines(reason, '    ')}" for reason in gate.reasons)]) + "\n"


def _degraded(report: RunReport, gates: Sequence[GateResult]) -> Iterator[str]:
    for gate in gates:
        if gate.verdict is Verdict.FAIL:
            found = report.degraded(gate.slice, gate.candidate)
            for record in found[:SHOWN]:
                yield _case(report, record, gate.candidate)
            if len(found) > SHOWN:
                yield f"{len(found) - SHOWN} more of {code(gate.slice)} on {code(gate.candidate)}.\n\n"


def _case(report: RunReport, record: CaseRecord, candidate: str) -> str:
    """One degraded case: what was asked, what broke, and both answers where they part."""
    comparison = record.comparison(report.reference.spec, candidate)
    if comparison is None:
        return ""
    turns = turns_of(comparison)
    number = telling_turn(turns)
    turn = turns[number]
    prompt = record.case.later[number - 1].prompt if number else record.case.prompt
    place = f"turn {number + 1} of {len(turns)}" if len(turns) > 1 else "prompt"
    lines = [f"{place}: {span(shortened(prompt))}", *(f"- {told(line)}" for line in changed_checks(comparison))]
    sides = ((report.reference.spec, turn.reference), (candidate, turn.candidate))
    texts = excerpts(
        *(shown_answer(outcome.completion) for _, outcome in sides), longest=LONGEST_ANSWER, ahead=LONGEST_ANSWER // 4
    )
    inner = "\n".join(lines[:1]) + "\n\n" + "".join(f"{line}\n" for line in lines[1:])
    for (spec, outcome), text in zip(sides, texts, strict=True):
        inner += f"\n{told(heading(spec, outcome))}\n\n{fenced(text)}"
    return folded(full_name(record.slice, record.case.id, candidate), inner) + "\n"


def _indicators(report: RunReport) -> Iterator[str]:
    """What the answers look like, slice by slice and candidate by candidate."""
    found = healths(report)
    for candidate in report.candidates:
        gates = [gate for gate in report.gates if gate.candidate == candidate.spec]
        yield from (f"{candidate.spec}, judged by limits: {line}" for line in judged_lines(gates))
        for gate in gates:
            line = health_line(found, report.comparisons(gate.slice, gate.candidate), gate, report.reference.spec)
            if line is not None:
                yield f"{candidate.spec}: {gate.slice}: {line}"


def _grounds(report: RunReport) -> Iterator[str]:
    for candidate in report.candidates:
        gates = [gate for gate in report.gates if gate.candidate == candidate.spec]
        yield from (f"{candidate.spec}: {line}" for line in gate_lines(gates))
    yield from run_lines(report)


def _variants(report: RunReport) -> Iterator[str]:
    """What each variant is, and by which kernels it answered."""
    for role, each in roles(report):
        if (what := described(each)) is not None:
            yield f"- {role} {code(each.spec)}: {told(what)}\n"


def _command(report: RunReport) -> str:
    command = shell_line(report.command)
    shown = command if len(command) <= LONGEST_COMMAND else f"{command[:LONGEST_COMMAND]}…"
    kept = "" if report.report_path is None else f" The whole run: {code(report.report_path)}."
    return (
        f"\n### command\n\n{fenced(shown, 'sh')}\n{told(report.created)}, version {told(report.tool_version)}.{kept}\n"
    )
