"""The terminal's lines on goldens, and one case beside what it was anchored to."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantgate.cases.model import Turn
from pytest_quantgate.golden.entries import entry_of
from pytest_quantgate.golden.model import Anchor, Standing
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.anchored import change_text
from pytest_quantgate.report.goldens import golden_lines, golden_steps
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.text import draw
from tests.unit.report.build import FAILED, PASSED, anchored, case, typical

ANCHOR = Anchor("model", {"spec": "nf4"}, "digest", "2026-05-04T09:12:44Z", "ana", "pytest", "0.1.0")


def lines(report: RunReport) -> str:
    return draw([*golden_lines(report, 100), *golden_steps(report, 100)], color=False)


def test_a_run_without_goldens_says_nothing() -> None:
    assert not lines(typical())


def test_states_reasons_identity_and_what_to_do_next() -> None:
    report = anchored(drifted=4)
    told = lines(report)
    (record,) = report.goldens
    for text in (
        f"format on nf4, anchored {record.anchored[:10] if record.anchored else ''} by {record.by}: ",
        "1 reworded, 4",  # wrapped
        f"other than when it was anchored: {record.changes[0][:30]}",
        "drifted case-40: ",
        "accepted although degraded: ",
        "FAIL drift of format on nf4",
        "--quant-reanchor",
    ):
        assert text in told


def test_of_many_drifted_cases_the_first_are_named() -> None:
    told = lines(anchored(drifted=14))
    assert told.count("drifted case-") == 10
    assert "... and 4 more" in told


def test_what_this_run_anchored_needs_no_next_step() -> None:
    report = anchored(drifted=4)
    (record,) = report.goldens
    done = tuple(each.case_id for each in record.standings)
    told = lines(replace(report, goldens=(replace(record, written=done),), drifts=()))
    assert "anchored by this run: " in told
    assert "--quant-reanchor" not in told


def test_the_golden_behind_a_reference_that_was_not_run_cannot_be_anchored_by_this_run() -> None:
    report = anchored(drifted=4)
    (record,) = report.goldens
    told = lines(replace(report, goldens=(replace(record, variant="golden:fp16"),), drifts=()))
    assert "--quant-reanchor" not in told


def test_names_and_reasons_cannot_act_on_the_terminal() -> None:
    report = anchored(drifted=1)
    (record,) = report.goldens
    told = lines(replace(report, goldens=(replace(record, by="\x1b]0;me\x07", accepted={"a": "\x1b[2J"}),)))
    assert "\x1b" not in told


def test_of_endless_accepted_cases_the_first_are_named() -> None:
    report = anchored(drifted=1)
    (record,) = report.goldens
    many = {f"case-{number}": "so it is" for number in range(500)}
    told = lines(replace(report, goldens=(replace(record, accepted=many),)))
    assert told.count("accepted although degraded") == 10
    assert "... and 490 more" in told


def change(standing: Standing, *, before: Outcome | None, now: Outcome | None, gone: bool = False) -> str:
    entry = None if before is None else entry_of(case("flat"), before, transition=None, anchor=ANCHOR)
    return change_text(
        "people::flat[nf4]",
        standing,
        case=None if gone else case("flat"),
        entry=entry,
        outcome=now,
        width=90,
        color=False,
    )


def test_what_drifted_is_shown_on_both_sides() -> None:
    told = change(Standing("flat", "drifted", "json was followed, is violated"), before=PASSED, now=FAILED)
    assert told.startswith("people::flat[nf4]  drifted: json was followed, is violated\nprompt: Write a JSON object")
    assert "anchored: PASS" in told
    assert "now: FAIL" in told
    assert "broke " in told


def test_what_has_one_side_is_shown_with_its_results() -> None:
    fresh = change(Standing("flat", "new", "it is not anchored"), before=None, now=FAILED)
    assert "now: FAIL" in fresh
    assert "violated json" in fresh
    assert "anchored:" not in fresh
    gone = change(Standing("flat", "unused", "it is gone"), before=PASSED, now=None, gone=True)
    assert "anchored: PASS" in gone
    assert "followed json" in gone
    assert "now:" not in gone


def test_of_several_turns_the_one_that_moved_is_shown() -> None:
    asked = replace(case("chat"), later=(Turn("and now?", case("chat").checks, 8),))
    before = replace(PASSED, results=PASSED.results * 2, turns=(PASSED, PASSED))
    now = replace(PASSED, results=PASSED.results + FAILED.results, passed=False, turns=(PASSED, FAILED))
    entry = entry_of(asked, before, transition=None, anchor=ANCHOR)
    told = change_text(
        "n", Standing("chat", "drifted", "x"), case=asked, entry=entry, outcome=now, width=90, color=False
    )
    assert "turn 2: and now?" in told
    assert "now: FAIL" in told
