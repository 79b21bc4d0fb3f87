"""`min_grader_agreement`: a check that is right about the reference and wrong about the candidate fails its slice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.labelled import Labels, pairs_of
from pytest_quantgate.outcomes.model import Comparison, Outcome
from tests.unit.gate.build import gate, judged, strict

POLICY = strict(min_grader_agreement=0.9, min_cases=30)
EVIDENCE = replace(POLICY, rule="evidence", max_unscored=0.05)
KEY = "min_grader_agreement"


def answered(text: str, followed: bool | None, check: str) -> Outcome:  # noqa: FBT001
    unscored = None if followed is not None else "unsure"
    return Outcome(Completion(text, (), "stop", 1), (CheckResult(check, followed, ""),), followed, unscored)


def slice_of(
    cases: int, *, wrong: int = 0, wrong_before: int = 0, unsure: int = 0, check: str = "judge"
) -> tuple[list[Comparison], Labels]:
    """Cases whose answers all do what is asked, as people say; the check misses so many of them on either side."""
    found, labels = [], {}
    for number in range(cases):
        asked = Case(f"c{number}", (Message("user", f"Ask {number}."),), (CheckSpec(check),), 8)
        before = answered(f"old {number}", number >= wrong_before, check)
        after = answered(f"new {number}", None if number >= cases - unsure else number >= wrong, check)
        found.append(Comparison(asked, before, after))
    for pair in pairs_of(found).get(check, []):
        labels[pair.reference.key] = labels[pair.candidate.key] = True
    return found, {check: labels}


def only(result: GateResult) -> str:
    """What is said of the agreement."""
    (told,) = (reason for reason in result.reasons if "agree" in reason)
    return told


def test_wrong_about_the_candidate_alone_fails() -> None:
    cases, labels = slice_of(40, wrong=20)
    result = judged(cases, POLICY, labels=labels)
    assert result.verdict is Verdict.FAIL
    assert only(result) == (
        "agreement of judge with people 50.0% (20 of 40 labels, 95% interval 35.2-64.8%; on the reference 100.0%, "
        "40 of 40 labels) is below 90.0%"
    )
    found = result.finding(KEY)
    assert found is not None
    assert (found.check, found.bound, found.measured, found.cases) == ("judge", 0.9, 0.5, 40)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.3520, 0.6480), abs=1e-4)


def test_right_about_both_passes_and_says_so() -> None:
    cases, labels = slice_of(40, wrong=4)
    result = judged(cases, POLICY, labels=labels)
    assert result.verdict is Verdict.PASS
    assert only(result).endswith(
        "(36 of 40 labels, 95% interval 76.9-96.0%; on the reference 100.0%, 40 of 40 labels) is not below 90.0%"
    )


def test_wrong_about_the_reference_too_decides_nothing() -> None:
    cases, labels = slice_of(40, wrong=20, wrong_before=20)
    result = judged(cases, POLICY, labels=labels)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert only(result) == (
        "min_grader_agreement cannot be judged: judge: it agrees with people on 50.0% of the reference's answers "
        "(20 of 40 labels), which is below 90.0%, so its verdicts mean nothing on either side: mend the check"
    )
    cases, labels = slice_of(40, wrong_before=20)
    assert judged(cases, POLICY, labels=labels).verdict is Verdict.INCONCLUSIVE


def test_too_few_labels_decide_nothing_and_say_how_many_are_needed() -> None:
    cases, labels = slice_of(40)
    few = {"judge": dict(list(labels["judge"].items())[:29])}
    result = judged(cases, POLICY, labels=few)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert only(result) == (
        "min_grader_agreement cannot be judged: judge: 15 of the reference's 40 answers are labelled, a verdict needs "
        "30; 14 of the candidate's 40 answers are labelled, a verdict needs 30; label some: `quantgate calibrate "
        "RUN.json --sheet labels.csv`"
    )


def test_a_check_of_few_cases_needs_no_more_labels_than_it_has_answers() -> None:
    cases, labels = slice_of(5)
    assert judged(cases, replace(POLICY, min_cases=1), labels=labels).verdict is Verdict.PASS
    others, _ = slice_of(40, check="number")
    mixed = [*cases, *(replace(each, case=replace(each.case, id=f"n-{each.case.id}")) for each in others)]
    assert judged(mixed, POLICY, labels=labels).verdict is Verdict.PASS


def test_labels_must_stand_for_nearly_all_answers() -> None:
    cases, labels = slice_of(40, wrong=8)
    changed = {pair.candidate.key for pair in pairs_of(cases)["judge"] if not pair.candidate.followed}
    kept = {"judge": {key: label for key, label in labels["judge"].items() if key not in changed}}
    result = judged(cases, replace(POLICY, max_unscored=0.05), labels=kept)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "20.0% of the candidate's answers are of a kind that no label stands for" in only(result)


def test_a_stratified_sample_is_weighted_by_what_it_stands_for() -> None:
    cases, labels = slice_of(100, wrong=20)
    wrong = [pair for pair in pairs_of(cases)["judge"] if not pair.candidate.followed]
    dropped = {pair.candidate.key for pair in wrong[5:]}  # a quarter of the wrong ones is labelled, and all the others
    result = judged(cases, POLICY, labels={"judge": {k: v for k, v in labels["judge"].items() if k not in dropped}})
    found = result.finding(KEY)
    assert found is not None
    assert found.measured == pytest.approx(0.8)
    assert found.cases == 85
    assert found.effective == pytest.approx(100**2 / (80 + 5 * 16))
    assert "agreement of judge with people 80.0% weighted (80 of 85 labels" in only(result)


def test_what_the_check_could_not_score_is_no_disagreement() -> None:
    cases, labels = slice_of(60, unsure=20)
    found = judged(cases, POLICY, labels=labels).finding(KEY)
    assert found is not None
    assert (found.measured, found.cases) == (1.0, 40)


@pytest.mark.parametrize("check", ["judge", "refusal", "comply", "response_kind", "language"])
def test_checks_that_read_meaning_are_judged_without_being_asked_for(check: str) -> None:
    cases, _ = slice_of(40, check=check)
    assert judged(cases, POLICY).verdict is Verdict.INCONCLUSIVE


def test_other_checks_are_judged_once_an_answer_of_theirs_was_labelled() -> None:
    cases, labels = slice_of(40, wrong=30, check="contains")
    assert only(judged(cases, POLICY)) == (
        "min_grader_agreement cannot be judged: no answer is labelled; label some: `quantgate calibrate RUN.json "
        "--sheet labels.csv`"
    )
    assert judged(cases, POLICY, labels=labels).verdict is Verdict.FAIL


def test_nothing_is_asked_of_labels_without_the_limit_or_with_one_that_tolerates_everything() -> None:
    cases, labels = slice_of(40, wrong=40)
    for bound in (None, 0.0):
        policy = replace(POLICY, min_grader_agreement=bound)
        assert judged(cases, policy, labels=labels).verdict is Verdict.PASS


def test_each_check_has_a_finding_of_its_own() -> None:
    cases, labels = slice_of(40)
    other, more = slice_of(40, wrong=20, check="comply")
    mixed = [*cases, *(replace(each, case=replace(each.case, id=f"o-{each.case.id}")) for each in other)]
    result = judged(mixed, POLICY, labels={**labels, **more})
    assert [(each.check, each.measured) for each in result.findings if each.limit == KEY] == [
        ("judge", 1.0),
        ("comply", 0.5),
    ]
    assert [reason.split()[2] for reason in result.reasons] == ["comply"]


def test_controls_are_not_asked_for_labels() -> None:
    cases, labels = slice_of(40, wrong=0)
    ruined = gate(cases, POLICY, role="positive control", candidate="ruin")
    again = gate(cases, POLICY, role="negative control", candidate="fp16 (graded again)")
    candidate, positive, negative = judge([gate(cases, POLICY, labels=labels), ruined, again])
    assert all(each.finding(KEY) is None for each in (positive, negative))
    assert negative.verdict is Verdict.PASS
    assert candidate.finding(KEY) is not None


def test_the_rule_evidence_wants_it_proven() -> None:
    def verdict_on(wrong: int) -> GateResult:
        cases, labels = slice_of(60, wrong=wrong)
        return judged(cases, EVIDENCE, labels=labels)

    proven = verdict_on(30)
    assert proven.verdict is Verdict.FAIL
    assert "at most" in proven.reasons[0]
    assert proven.reasons[0].endswith("is below 90.0%")
    doubtful = verdict_on(8)
    assert doubtful.verdict is Verdict.INCONCLUSIVE
    assert "is not proven on either side of 90.0%" in doubtful.reasons[0]
    assert "labels would decide" in doubtful.reasons[0]
    kept = verdict_on(0)
    assert kept.verdict is Verdict.PASS
    assert "at least 95.1%" in kept.reasons[0]


def test_it_counts_among_the_limits_of_its_gate() -> None:
    """A gate with two limits must be surer of each before it fails."""
    cases, labels = slice_of(60, wrong=12)
    alone = judged(cases, EVIDENCE, labels=labels)
    both = judged(cases, replace(EVIDENCE, max_pass_to_fail=0.5), labels=labels)
    assert alone.evidence is not None
    assert both.evidence is not None
    assert both.evidence.p_fail == pytest.approx(2 * alone.evidence.p_fail)


def test_labels_are_found_whatever_the_policy_of_another_slice() -> None:
    cases, labels = slice_of(40, wrong=20)
    first, second = judge([gate(cases, POLICY, labels=labels), gate(cases, GatePolicy(max_pass_to_fail=1), labels={})])
    assert first.verdict is Verdict.FAIL
    assert second.finding(KEY) is None
