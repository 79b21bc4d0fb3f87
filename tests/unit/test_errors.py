"""The nearest name: what difflib would suggest, of many names too."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import nearest

NAMES = st.text("ab01-", max_size=8)


@given(NAMES, st.lists(NAMES, max_size=12))
def test_the_suggestion_is_that_of_difflib(name: str, valid: list[str]) -> None:
    close = get_close_matches(name, sorted(valid), n=1, cutoff=0.6)
    assert nearest(name, valid, otherwise="none") == (f"did you mean {close[0]!r}?" if close else "none")


@pytest.mark.parametrize(
    ("name", "valid", "told"),
    [
        ("jsn", ["yaml", "json"], "did you mean 'json'?"),
        ("x", ["yaml", "json"], "known: json, yaml"),
        ("x", [], "known: "),
        ("", [""], "did you mean ''?"),
        ("ab", ["abc", "abd"], "did you mean 'abd'?"),
    ],
)
def test_one_that_is_near_is_named_or_else_all(name: str, valid: list[str], told: str) -> None:
    assert nearest(name, valid) == told


def test_of_many_names_few_are_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    ratio = SequenceMatcher.ratio

    def counted(matcher: SequenceMatcher[str]) -> float:
        compared.append(matcher)
        return ratio(matcher)

    monkeypatch.setattr(SequenceMatcher, "ratio", counted)
    assert nearest("case-0123x", [f"case-{number:05}" for number in range(20_000)]) == "did you mean 'case-10123'?"
    assert 0 < len(compared) < 1_000
