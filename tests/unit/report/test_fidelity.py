"""Reports keep and tell how near a candidate stays to the reference's probabilities."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.generation.expected import Fidelity
from pytest_quantgate.outcomes.fidelity import fidelity_of
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.html import page
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, record, run
from tests.unit.report.valid import valid


def near(outcome: Outcome, fidelity: Fidelity | None) -> Outcome:
    return replace(outcome, completion=replace(outcome.completion, fidelity=fidelity))


def measured(*found: Fidelity | None) -> RunReport:
    """A run of one case for each."""
    return run(("math", [record("math", f"case-{n}", PASSED, near(FAILED, each)) for n, each in enumerate(found)]))


def test_it_survives_the_file() -> None:
    report = measured(Fidelity(12, 9, 0.25), None)
    assert RunReport.from_json(valid(report.to_json())) == report


@pytest.mark.parametrize(
    "wrong", [{"tokens": 0, "agreeing": 0}, {"agreeing": 13}, {"agreeing": -1}, {"divergence": "x"}]
)
def test_a_file_that_says_the_impossible_is_refused(wrong: dict[str, object]) -> None:
    value = json.loads(measured(Fidelity(12, 9, 0.25)).to_json())
    (spec,) = [each["spec"] for each in value["candidates"]]
    value["cases"][0]["outcomes"][spec]["fidelity"] |= wrong
    with pytest.raises(QuantgateError):
        RunReport.from_json(json.dumps(value))


def test_a_slice_is_as_near_as_all_its_tokens_together() -> None:
    report = measured(Fidelity(10, 9, 0.1), None, Fidelity(30, 15, 0.5))
    (spec,) = (each.spec for each in report.candidates)
    found = fidelity_of(report.comparisons("math", spec))
    assert found is not None
    assert (found.tokens, found.agreeing) == (40, 24)
    assert found.divergence == pytest.approx(0.4)
    assert fidelity_of(()) is None


def test_every_view_tells_it_where_it_was_measured() -> None:
    words = "same top token at 60.0% of 1,000, KL divergence 0.0412 nats a token"
    told, silent = measured(Fidelity(1000, 600, 0.0412)), measured(None)
    assert words in " ".join(render(told, width=200, color=False).split())
    assert words in markdown_report(told)
    assert words in page(told)
    assert "KL divergence" not in render(silent, width=200, color=False) + markdown_report(silent) + page(silent)
