"""--quant-reanchor review: every change is shown at a terminal, and a person says what becomes of it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Sequence

import psutil
import pytest

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab
from tests.integration.goldens import edit, golden_file, reworded, rows, violated

PYTEST = """
import runpy, signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a script is deaf to Ctrl-C
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""

TOLERANT = ("--quant-max-pass-to-fail=1", "--quant-min-robustness=0")
QUESTION = "[q]uit: "
WHY = "left as it is: "
PATIENCE = 600.0
"""Seconds that a slow machine may need until the terminal shows something."""

END = "\x04"

pytestmark = pytest.mark.alone(
    reason="a person is asked at a terminal, which workers do not have; every run costs a process"
)


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "dumb")


def review(lab: Lab, replies: Sequence[str], *arguments: str) -> tuple[int, str]:
    """Run pytest at a real pseudo-terminal and type a reply to each question.

    Returns:
        The exit status, and everything that the terminal showed.
    """
    command = [sys.executable, "-c", PYTEST, "--quant-cand=nf4", f"--quant-model={lab.tiny.folder}"]
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    process = subprocess.Popen(
        [*command, "--quant-reanchor=review", *TOLERANT, *arguments],
        cwd=lab.pytester.path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, answered, left, interrupted = "", 0, list(replies), False
    try:
        while chunk := _read(ours, interrupted=process if interrupted else None):
            shown += chunk
            interrupted = False
            if left and shown.endswith((QUESTION, WHY)) and len(shown) > answered:
                reply, answered = left.pop(0), len(shown)
                if reply == "ctrl-c":
                    process.send_signal(signal.SIGINT)
                    interrupted = True
                else:
                    os.write(ours, (reply if reply == END else f"{reply}\n").encode())
        return process.wait(PATIENCE), re.sub(r"\r\n?", "\n", shown)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(terminal: int, *, interrupted: subprocess.Popen[bytes] | None = None) -> str:
    """What the terminal shows next; nothing when the other side has closed it.

    Between the question and the read behind it Python notices an interrupt only when the read ends: as a person would,
    Ctrl-C is then pressed once more. Who still works has noticed it.
    """
    waits = int(PATIENCE) if interrupted else 1
    for _ in range(waits):
        if select.select([terminal], [], [], PATIENCE / waits)[0]:
            break
        if interrupted and psutil.Process(interrupted.pid).status() == psutil.STATUS_SLEEPING:
            interrupted.send_signal(signal.SIGINT)
    else:
        pytest.fail("the review waits for something")
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # how Linux says that the other side has closed
        return ""


@pytest.fixture
def changed(lab: Lab) -> Lab:
    """Of seven anchored cases two drifted, one expired, one went, and two are new; one of those is degraded."""
    cases = lab.many(5)
    lab.write("words", [*cases, lab.preserved("asked-anew"), lab.preserved("gone")])
    lab.run("--quant-reanchor=new").assert_outcomes(passed=8)
    again = [lab.preserved("asked-anew"), lab.preserved("fresh"), lab.degraded("worse")]
    lab.write("words", [*cases, *again], max_unscored=1.0)
    golden_file(lab, "fp16").unlink()
    assert lab.run("--quant-reanchor=new", *TOLERANT, candidates=("fp16",)).ret == pytest.ExitCode.OK
    edit(lab, "case-0", violated)
    edit(lab, "case-1", violated)
    edit(lab, "case-2", reworded)
    return lab


def test_every_change_is_shown_and_what_is_said_is_done(changed: Lab) -> None:
    before = rows(changed)
    # fresh, worse, case-0, case-1, asked-anew, gone
    _, shown = review(changed, ["y", "yes", "it is fine", "n", "what?", "Y", "no", "y"])
    assert "quantgate: review: 6 changes" in shown
    for text in (
        "words::case-0[nf4]  drifted: one_of was violated, is followed",
        "anchored: FAIL, 4 tokens",
        "something else",
        "repaired one_of: ",
        "words::fresh[nf4]  new: it is not anchored",
        "words::asked-anew[nf4]  expired: what it asks and its checks changed since it was anchored",
        "words::gone[nf4]  unused: the slice has no such case any more",
        "it is degraded: the reference passes and this variant does not",
        "accepted although degraded: worse (it is fine)",
        "anchored by this run: 3 cases (fresh, worse, case-1)",
        "removed by this run: 1 case (gone)",
    ):
        assert text in shown
    after = rows(changed)
    assert set(after) == {"case-0", "case-1", "case-2", "case-3", "case-4", "asked-anew", "fresh", "worse"}
    assert after["worse"]["accepted"] == "it is fine"
    for case in ("case-0", "case-2", "case-3", "case-4", "asked-anew"):
        assert after[case]["answers"] == before[case]["answers"]
    assert after["case-1"]["answers"] != before["case-1"]["answers"]


def test_all_takes_the_rest_of_a_kind_but_never_a_degraded_case(changed: Lab) -> None:
    status, shown = review(changed, ["a", "y", "", "a", "q"])
    assert status == 0, shown
    assert shown.count(QUESTION) == 4
    after = rows(changed)
    assert {"fresh", "gone"} <= set(after)
    assert "worse" not in after  # without a reason
    assert [after[case]["results"][0]["followed"] for case in ("case-0", "case-1")] == [True, True]


def test_drift_that_is_left_as_it_is_fails_the_run(changed: Lab) -> None:
    status, shown = review(changed, ["y", "n", "y", "n", "n", "n"], "--quant-report-json=run.json")
    assert "anchored by this run: 2 cases (fresh, case-0)" in shown
    assert status == pytest.ExitCode.TESTS_FAILED, shown
    told = "FAIL: drifted from the golden 2 of 5 (40.0%"
    assert "what was anchored does not settle everything:\n    words.slice.yaml::drift[nf4]: " + told in shown
    report = load(changed.pytester.path / "run.json")
    assert [(each.candidate, each.verdict) for each in report.drifts] == [("fp16", Verdict.PASS), ("nf4", Verdict.FAIL)]


@pytest.mark.parametrize("reply", ["q", END])
def test_who_quits_keeps_what_was_said_before(changed: Lab, reply: str) -> None:
    before = rows(changed)
    _, shown = review(changed, ["y", reply])
    assert "anchored by this run: 1 case (fresh)" in shown
    assert set(rows(changed)) == {*before, "fresh"}


def test_ctrl_c_writes_nothing(changed: Lab) -> None:
    before = golden_file(changed).read_bytes()
    status, shown = review(changed, ["y", "ctrl-c"])
    assert status == pytest.ExitCode.INTERRUPTED
    assert "quantgate: nothing was anchored: the review was interrupted" in shown
    assert "Traceback" not in shown
    assert golden_file(changed).read_bytes() == before


def test_where_nothing_changed_nothing_is_asked(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.run("--quant-reanchor=new")
    status, shown = review(lab, [])
    assert status == 0
    assert "quantgate: nothing to anchor" in shown
    assert QUESTION not in shown


def test_an_answer_cannot_act_on_the_terminal(changed: Lab) -> None:
    edit(changed, "case-0", lambda row: row["answers"][0].update(text="\x1b]0;title\x07 and \x1b[2J"))
    _, shown = review(changed, ["q"] * 9, "--color=no")
    assert "\x1b]0" not in shown
    _, shown = review(changed, ["n", "n", "q"], "--color=no")
    assert r"\x1b]0;title\x07" in shown
    assert "\x1b]0" not in shown


def test_with_workers_the_controller_asks(changed: Lab) -> None:
    _, shown = review(changed, ["y", "q"], "-n2")
    assert "anchored by this run: 1 case (fresh)" in shown
    assert "fresh" in rows(changed)
