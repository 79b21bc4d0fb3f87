from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.cliff import Step, cliff, cliff_sheet
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import sweep

PASS, FAIL, UNSURE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
LEVELS = (("int8", 8.0), ("nf4", 4.0), ("int3", 3.0), ("int2", 2.0))


def down(*verdicts: Verdict | None) -> RunReport:
    """A sweep over 8, 4, 3 and 2 bits with these verdicts, handed in from few bits to many."""
    return sweep(*reversed([(spec, bits, each) for (spec, bits), each in zip(LEVELS, verdicts, strict=False)]))


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ((PASS, PASS, PASS, PASS), "none"),
        ((PASS, PASS, FAIL, FAIL), "int3"),
        ((FAIL, FAIL, FAIL, FAIL), "int8"),
        ((PASS, FAIL, PASS, FAIL), "int2"),
        ((PASS, FAIL, PASS, PASS), "none (nf4 fails alone)"),
        ((PASS, UNSURE, FAIL, FAIL), "int3, perhaps nf4"),
        ((PASS, FAIL, UNSURE, UNSURE), "nf4"),
        ((PASS, PASS, PASS, UNSURE), "unknown from int2"),
        ((UNSURE, UNSURE, PASS, PASS), "none"),
        ((PASS, None, FAIL, FAIL), "int3"),
        ((None, None, None, None), "none"),
    ],
)
def test_the_fall_begins_at_the_first_failure_below_which_nothing_passes(
    verdicts: tuple[Verdict | None, ...], words: str
) -> None:
    found = cliff(down(*verdicts))

    assert found is not None
    assert cliff_sheet(found).rows[1][-1] == words


@given(st.lists(st.sampled_from([PASS, FAIL, UNSURE]), min_size=4, max_size=4))
def test_no_candidate_passes_with_as_few_bits_as_where_the_fall_begins(verdicts: list[Verdict]) -> None:
    found = cliff(down(*verdicts))

    assert found is not None
    (descent,) = found.descents
    falling = {step.bits for step, each in zip(found.steps, verdicts, strict=True) if each is PASS}
    if descent.begins is None:
        assert verdicts[-1] is not FAIL
    else:
        assert all(bits > descent.begins.bits for bits in falling)
        assert verdicts[found.steps.index(descent.begins)] is FAIL


def test_candidates_stand_from_many_bits_to_few_behind_the_reference() -> None:
    found = cliff(down(PASS, PASS, FAIL, FAIL))

    assert found is not None
    assert [step.candidate for step in found.steps] == ["int8", "nf4", "int3", "int2"]
    assert cliff_sheet(found).headings == ("slice", "fp16", "int8", "nf4", "int3", "int2", "it begins at")
    assert cliff_sheet(found).rows[0] == ("bits", "-", "8", "4", "3", "2", "")
    assert cliff_sheet(found).rows[1][:-1] == ("format", "100.0%", "0.0% +", "0.0% +", "0.0% x", "0.0% x")


def test_of_two_candidates_with_equal_bits_one_that_passes_is_no_fall() -> None:
    found = cliff(sweep(("int8", 8, PASS), ("fp4", 4, FAIL), ("nf4", 4, PASS)))

    assert found is not None
    assert found.descents[0].begins is None
    assert found.descents[0].exceptions == ("fp4",)


def test_equal_bits_stand_in_the_order_of_the_run() -> None:
    found = cliff(sweep(("b", 4, FAIL), ("a", 4, FAIL), ("c", 8, PASS)))

    assert found is not None
    assert found.steps == (Step("c", 8), Step("b", 4), Step("a", 4))


@pytest.mark.parametrize(
    "candidates",
    [
        [("nf4", 4.0, PASS)],
        [("nf4", 4.0, PASS), ("fp4", 4.0, PASS)],
        [("nf4", 4.0, PASS), ("gguf:model.gguf", None, PASS)],
    ],
    ids=["one", "equal bits", "unknown bits"],
)
def test_there_is_no_cliff_without_two_candidates_that_differ_in_bits(
    candidates: list[tuple[str, float | None, Verdict]],
) -> None:
    assert cliff(sweep(*candidates)) is None
    assert "where the fall begins" not in render(sweep(*candidates), width=80, color=False)


def test_the_terminal_and_json_show_it() -> None:
    report = down(PASS, UNSURE, FAIL, FAIL)
    text = render(report, width=80, color=False)
    written = json.loads(report.to_json())["cliff"]

    assert "format 100.0% 0.0% + 0.0% ? 0.0% x 0.0% x int3, perhaps nf4\n" in text
    assert "+ PASS, x FAIL, ? INCONCLUSIVE" in text
    assert [step["candidate"] for step in written["steps"]] == ["int8", "nf4", "int3", "int2"]
    assert written["descents"][0]["begins"] == {"candidate": "int3", "bits": 3.0}
    assert written["descents"][0]["undecided"] == ["nf4"]
    assert written["descents"][0]["cells"][0] == {"pass_to_fail": 0.0, "verdict": "PASS"}


def test_long_specs_are_broken_between_their_options() -> None:
    spec = "nf4:double,skip=lm_head"
    text = render(sweep(("int8", 8, PASS), (spec, 4, UNSURE), ("int2", 2, FAIL)), width=80, color=False)
    table = text[text.index("where the fall begins") : text.index("what to do next")]

    assert max(map(len, table.splitlines())) <= 80
    assert "nf4:double," in table
    assert "skip=lm_head" in table
    assert "int2, perhaps" in table


def test_names_from_outside_cannot_act_on_the_terminal() -> None:
    evil = "\x1b[2J\u202e"
    report = sweep((evil, 8, PASS), (evil + "2", 4, FAIL), slice_name=evil)
    text = render(
        dataclasses.replace(report, reference=dataclasses.replace(report.reference, spec=evil)), width=80, color=False
    )

    assert "where the fall begins" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
