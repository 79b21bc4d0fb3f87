"""The run as one HTML file that loads nothing from elsewhere, for readers who want to look at the cases."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.wording import percent_limit, percent_range
from pytest_quantgate.golden.model import State
from pytest_quantgate.plural import counted
from pytest_quantgate.report.figures import ranged, share
from pytest_quantgate.report.grounds import gate_lines, run_lines
from pytest_quantgate.report.health import health_line, healths
from pytest_quantgate.report.html.cases import case_data
from pytest_quantgate.report.html.diagnosis import diagnoses
from pytest_quantgate.report.html.findings import MOST_DRAWN, finding, summaries, sweep
from pytest_quantgate.report.html.texts import printed
from pytest_quantgate.report.rerun import shell_line
from pytest_quantgate.report.tables import plain
from pytest_quantgate.report.variants import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import BaseLoader, Environment

    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import VariantRecord

_MARKS: Final = {Verdict.PASS: "✓", Verdict.FAIL: "✕", Verdict.INCONCLUSIVE: "?"}
_MOST_LISTED: Final = 20  # cases of one golden that are named
_WORST_FIRST: Final = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def page(report: RunReport) -> str:
    """The run as one HTML document; equal reports give equal text.

    Every text from the run is made visible and escaped, none of it is markup or script, and very long ones are cut:
    the run's JSON has the whole.
    """
    from jinja2 import PackageLoader

    loader = PackageLoader("pytest_quantgate.report.html", "templates")
    environment = _environment(loader)
    style, script = (loader.get_source(environment, name)[0] for name in ("style.css", "script.js"))
    drawn = {
        (gate.slice, gate.candidate)
        for gate in sorted(report.gates, key=lambda gate: _WORST_FIRST.index(gate.verdict))[:MOST_DRAWN]
    }
    compared = _comparisons(report)
    variants, found = roles(report), healths(report)
    findings = {
        (gate.slice, gate.candidate): finding(
            gate, compared[gate.slice, gate.candidate], drawn=(gate.slice, gate.candidate) in drawn
        )
        for gate in report.gates
    }
    return environment.get_template("page.html.jinja").render(
        report=report,
        gates={(gate.slice, gate.candidate): gate for gate in report.gates},
        findings=findings,
        answers={
            (gate.slice, gate.candidate): health_line(
                found, compared[gate.slice, gate.candidate], gate, report.reference.spec
            )
            for gate in report.gates
        },
        keys={
            (each.name, candidate.spec): f"gate-{row}-{column}"
            for row, each in enumerate(report.slices, 1)
            for column, candidate in enumerate(report.candidates, 1)
        },
        result=_result(report),
        summaries=summaries(report),
        sweep=sweep(report),
        diagnoses=diagnoses(report),
        grounds=_grounds(report),
        cases=case_data(report),
        variants=variants,
        identity=_identity([each for _, each in variants]),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )


def _environment(loader: BaseLoader) -> Environment:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=share, ranged=ranged, percent_limit=percent_limit, shell_line=shell_line, mark=_MARKS.__getitem__,
        plain=plain, tint=_tint, span=percent_range,
    )  # fmt: skip
    environment.globals.update(golden_states=get_args(State), most=_MOST_LISTED)
    return environment


def _result(report: RunReport) -> str:
    """How many gates say what, as one sentence."""
    told = []
    for noun, gates in (("gate", report.gates), ("drift gate", report.drifts)):
        found = Counter(gate.verdict for gate in gates)
        counts = ", ".join(f"{found[verdict]} {verdict.value}" for verdict in _WORST_FIRST if found[verdict])
        if counts:
            told.append(f"Of {counted(len(gates), noun)}: {counts}.")
    return " ".join(told) or "No gate was judged."


def _hash(text: str) -> str:
    """What the page's security policy knows its one script, or style sheet, by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _comparisons(report: RunReport) -> dict[tuple[str, str], list[Comparison]]:
    """The compared cases of every gate, in one pass over the cases."""
    found: dict[tuple[str, str], list[Comparison]] = {(gate.slice, gate.candidate): [] for gate in report.gates}
    for record in report.cases:
        for candidate in report.candidates:
            comparison = record.comparison(report.reference.spec, candidate.spec)
            if comparison is not None and (record.slice, candidate.spec) in found:
                found[record.slice, candidate.spec].append(comparison)
    return found


def _grounds(report: RunReport) -> list[str]:
    """What the verdicts rest on, one line each."""
    lines = []
    for candidate in report.candidates:
        gates = [gate for gate in report.gates if gate.candidate == candidate.spec]
        lines += [f"{candidate.spec}: {line}" for line in gate_lines(gates)]
    return [*lines, *run_lines(report)]


def _tint(part: int, whole: int) -> int:
    """How dark a cell of a matrix is, 0 to 5."""
    return 0 if not whole or not part else 1 + min(4, 5 * part // (whole + 1))


def _identity(variants: Sequence[VariantRecord]) -> list[tuple[str, list[str], bool]]:
    """The facts of all variants' identities: name, one value for each variant, and whether they differ."""
    names = sorted({name for each in variants for name in each.identity})
    rows = []
    for name in names:
        values = [each.identity.get(name, "") for each in variants]
        rows.append((name, values, len(set(values)) > 1))
    return rows
