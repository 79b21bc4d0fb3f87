"""Tests of our own check and slice: they need no model, and run with all other tests."""

from pathlib import Path

import pytest

from pytest_quantgate import Answer, Verdict
from pytest_quantgate.testing import assert_fails, assert_passes, check_answer, judge_slice, load_slice

GOOD = {
    "birthday": "Happy birthday, Alice!\nBob",
    "thanks": "Thank you, Carol.\n\n  Dave  ",
    "sorry": "I am sorry, Erin.\nFrank\n",
}
BAD = {
    "birthday": "Happy birthday, Alice! Bob",
    "thanks": "Thank you.\nDave",
    "sorry": "",
}


@pytest.fixture
def letters(quant_checks):
    """The slice, with the checks of conftest.py."""
    return load_slice(Path(__file__).parent / "quant" / "letters.slice.yaml", checks=quant_checks)


@pytest.mark.parametrize(
    ("answer", "followed"),
    [("Dear Alice,\nBob", True), ("Bob", True), ("Bob!", False), ("bob", False), ("", False), (" \n", False)],
)
def test_a_letter_is_signed_by_its_last_line(quant_checks, answer, followed):
    """The name alone on the last line, and nothing like it."""
    assert check_answer("signed: Bob", answer, checks=quant_checks).followed is followed


def test_a_letter_that_was_cut_is_not_scored(quant_checks):
    """Nobody knows how it would have ended."""
    assert check_answer("signed: Bob", Answer("Dear Al", "length"), checks=quant_checks).followed is None


def test_good_letters_pass_and_bad_ones_fail(letters, quant_checks):
    """The slice calls right what is right, and wrong what is wrong."""
    assert_passes(letters, GOOD, checks=quant_checks)
    assert_fails(letters, BAD, checks=quant_checks)


def test_one_bad_letter_is_tolerated_and_two_are_not(letters, quant_checks):
    """The gate is as strict as it was meant to be."""
    one, two = GOOD | {"sorry": BAD["sorry"]}, BAD | {"thanks": GOOD["thanks"]}
    assert judge_slice(letters, reference=GOOD, candidate=one, checks=quant_checks).verdict is Verdict.PASS
    assert judge_slice(letters, reference=GOOD, candidate=two, checks=quant_checks).verdict is Verdict.FAIL
