"""A repair that `quantgate diagnose` finds meets the judge of the candidate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantgate.cases.model import CheckSpec, Rule
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands import diagnose
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.report.model import GateSettings, VariantRecord
from tests.unit.report.build import FAILED, PASSED, counted, record, run

RULES: tuple[Rule, ...] = ("point", "evidence")


@pytest.mark.parametrize("rule", RULES)
def test_the_broken_candidate_is_judged_again_as_the_run_judged_it(rule: Rule) -> None:
    report = run(
        ("good", counted("good", pp=200)),
        ("bad", counted("bad", pp=180, pf=20)),
        policy=GatePolicy(rule=rule, min_cases=1),
    )
    for gate in report.gates:
        court = diagnose._court(report, gate, builtin_registry())  # noqa: SLF001
        again = court.verdict(gate.candidate, court.gate.comparisons)
        assert (again.verdict, again.reasons) == (gate.verdict, gate.reasons)


def test_a_repair_is_judged_by_the_run_s_noise_floor_and_doubted_by_its_controls() -> None:
    records = [
        replace(each, outcomes={**each.outcomes, "again": PASSED, "ruined": PASSED})
        for each in counted("words", pp=30, pf=10)
    ]
    report = run(("words", records))
    (control,) = run(("words", counted("words", pp=40, candidate="ruined")), candidate="ruined").gates
    report = replace(
        report, floor_variant=VariantRecord("again", "77"), controls=(replace(control, role="positive control"),)
    )
    court = diagnose._court(report, report.gates[0], builtin_registry())  # noqa: SLF001
    fixed = [replace(each, candidate=each.reference) for each in court.gate.comparisons]
    found = court.verdict("nf4:skip=lm_head", fixed)
    assert found.floor is not None
    assert found.verdict.value == "INCONCLUSIVE"
    assert found.reasons[0].startswith("the positive control ruined must FAIL and is PASS")


def test_cases_that_a_sequential_run_did_not_ask_are_not_missing() -> None:
    report = run(("words", counted("words", pp=30, pf=10)))
    unasked = [replace(each, outcomes={}) for each in counted("words", pp=45)[40:]]
    slices = (replace(report.slices[0], total=45),)
    report = replace(report, cases=(*report.cases, *unasked), slices=slices, settings=GateSettings(seed=1))
    court = diagnose._court(report, report.gates[0], builtin_registry())  # noqa: SLF001
    assert (court.gate.selected, court.gate.planned, court.gate.total) == (40, 45, 45)
    fixed = [replace(each, candidate=each.reference) for each in court.gate.comparisons]
    assert court.verdict("repaired", fixed).verdict.value == "PASS"


def test_what_cannot_be_judged_of_a_repair_is_noted() -> None:
    mine = record("words", "one", PASSED, FAILED)
    mine = replace(mine, case=replace(mine.case, checks=(CheckSpec("of_a_plugin"),)))
    report = run(("words", [mine, record("words", "two", PASSED, FAILED)]))
    gate = replace(report.gates[0], policy=GatePolicy(min_grader_agreement=0.9))
    means = diagnose.Means(builtin_registry(), RepairLimits(), SilentProgress())
    assert list(diagnose._unjudged(report, gate, means)) == [  # noqa: SLF001
        "min_grader_agreement is not judged of a repair: nobody has labelled its answers",
        "no repair can be judged by of_a_plugin, which is not built in: use pytest --quant-diagnose",
    ]
    assert list(diagnose._unjudged(report, gate, replace(means, limits=None))) == []  # noqa: SLF001


def test_labels_are_not_asked_of_answers_that_nobody_has_seen() -> None:
    report = run(("words", [record("words", "one", PASSED, FAILED)]))
    gate = replace(report.gates[0], policy=GatePolicy(min_cases=1, min_grader_agreement=0.9))
    court = diagnose._court(replace(report, gates=(gate,)), gate, builtin_registry())  # noqa: SLF001
    assert court.gate.policy.min_grader_agreement is None
    assert judge([court.gate], alpha=0.05)[0].verdict.value == "FAIL"
