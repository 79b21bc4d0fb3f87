from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_quantgate.checks.model import CheckResult

Grade = Callable[[str, object, str], CheckResult]


@pytest.mark.parametrize(
    ("text", "answer", "followed"),
    [
        ("48213", "The code is 48213.", True),
        ("48213", "It is 48,213", True),
        ("48,213", "48213", True),
        ("48213", "**48213**", True),
        ("48213", "_48213_", True),
        ("48213", "11111,48213,99999", True),
        ("48213", "1482130", False),
        ("48213", "148,213", False),
        ("48213", "48,213,000", False),
        ("48213", "48213.5", False),
        ("48213", "48213.5kg", False),
        ("48213", "A48213", False),
        ("213", "48,213", False),
        ("04821", "4821", False),
        ("red lantern", "The RED\n  lantern!", True),
        ("red lantern", "redlantern", False),
        ("art", "The party", False),
        ("art", "art.", True),
        ("TANGO-44", "Key: tango-44", True),
        ("C++", "Use C++, please.", True),
        ("48213", "", False),
    ],
)
def test_a_needle_is_found_as_a_whole(grade: Grade, text: str, answer: str, *, followed: bool) -> None:
    assert grade("needle", text, answer).followed is followed


def test_naming_a_distractor_too_violates(grade: Grade) -> None:
    raw = {"text": "48213", "distractors": ["77120", "90001"]}
    assert grade("needle", raw, "48213").followed is True
    result = grade("needle", raw, "48213 or 77,120")
    assert result.followed is False
    assert result.reason == "names '48213', and also '77120'"
