"""The key ``gate`` of a slice file: optional limits, and limits that its cases contradict."""

from __future__ import annotations

import pytest

from pytest_quantgate.cases.model import PolicySettings
from tests.unit.cases.conftest import Folder, told

PLAIN = "cases:\n  - {id: a, prompt: p, checks: [{exact: x}]}\n  - {id: b, prompt: p, checks: [comply]}\n"
CLUSTERED = """\
cases:
  - {id: a, prompt: p, checks: [json], cluster: c}
  - {id: b, prompt: p, checks: [comply], cluster: c}
"""
PARTED = CLUSTERED.replace("comply], cluster: c", "comply], cluster: d")
REFUSED = "cases: [{id: a, prompt: p, checks: [refusal]}]\n"
SHARES = [
    "max_cluster_pass_to_fail",
    "max_refusal_drift",
    "max_over_refusal_increase",
    "max_format_retry_increase",
    "max_truncation_increase",
    "max_loop_increase",
]


def test_every_optional_limit_reaches_the_policy(folder: Folder) -> None:
    limits = "".join(f"  {key}: 0.{place}\n" for place, key in enumerate(SHARES, 1))
    loaded = folder.load(f"slice: s\ngate:\n  rule: evidence\n{limits}  max_length_ratio: 1.5\n{CLUSTERED}")

    assert loaded.policy == PolicySettings(
        rule="evidence",
        max_cluster_pass_to_fail=0.1,
        max_refusal_drift=0.2,
        max_over_refusal_increase=0.3,
        max_format_retry_increase=0.4,
        max_truncation_increase=0.5,
        max_loop_increase=0.6,
        max_length_ratio=1.5,
    )


@pytest.mark.parametrize("key", SHARES)
@pytest.mark.parametrize(
    ("value", "found"), [(".nan", "nan"), ("-0.1", "-0.1"), ("1.5", "1.5"), ("no", "the text 'no'")]
)
def test_an_optional_limit_is_a_number_from_0_to_1(folder: Folder, key: str, value: str, found: str) -> None:
    problems = folder.problems(f"slice: s\ngate:\n  {key}: {value}\n{CLUSTERED}")

    assert problems == [told(3, f"'{key}' must be a number from 0 to 1, not {found}")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0", "0"),
        ("-1", "-1"),
        (".nan", "nan"),
        (".inf", "inf"),
        ("1.0e+300", "1e+300"),
        ("9" * 400, "9" * 59 + "…"),
        ("true", "true or false: True"),
        ("'2'", "the text '2'"),
    ],
)
def test_a_ratio_is_a_finite_number_above_0(folder: Folder, value: str, found: str) -> None:
    problems = folder.problems(f"slice: s\ngate:\n  max_length_ratio: {value}\n{PLAIN}")

    assert problems == [told(3, f"'max_length_ratio' must be a number above 0, at most 1000000, not {found}")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("evidnce", "unknown rule 'evidnce'; did you mean 'evidence'?"),
        ("3", "'rule' must be text, not the number 3: quote it"),
        ("''", "'rule' must not be empty"),
    ],
)
def test_a_rule_is_one_of_two(folder: Folder, value: str, message: str) -> None:
    assert folder.problems(f"slice: s\ngate:\n  rule: {value}\n{PLAIN}") == [told(3, message)]


@pytest.mark.parametrize(
    ("key", "cases", "why"),
    [
        ("max_cluster_pass_to_fail", PLAIN, "no two cases share a cluster"),
        ("max_cluster_pass_to_fail", PARTED, "no two cases share a cluster"),
        ("max_format_retry_increase", PLAIN, "no case has a check that parses the answer"),
        ("max_over_refusal_increase", REFUSED, "every case asks for a refusal"),
        (
            "max_over_refusal_increase",
            "cases: [{id: a, prompt: p, checks: [{response_kind: [refusal, partial_refusal]}]}]\n",
            "every case asks for a refusal",
        ),
        (
            "min_grader_agreement",
            "cases: [{id: a, prompt: p, checks: [{recall: Paris}]}]\n",
            "no check judges the answer itself",
        ),
    ],
)  # fmt: skip
def test_a_limit_that_no_case_could_show_is_refused(folder: Folder, key: str, cases: str, why: str) -> None:
    problems = folder.problems(f"slice: s\ngate:\n  min_cases: 1\n  {key}: 0.1\n{cases}")

    assert problems == [told(4, f"'{key}' cannot be judged: {why}")]


def test_a_refusal_that_may_be_compliance_too_is_not_asked_for(folder: Folder) -> None:
    cases = "cases: [{id: a, prompt: p, checks: [{response_kind: [refusal, compliance]}]}]\n"

    assert folder.load(f"slice: s\ngate: {{max_over_refusal_increase: 0.1}}\n{cases}").policy.max_over_refusal_increase
