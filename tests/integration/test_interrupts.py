"""Ctrl-C while answers are made, and while items run."""

from __future__ import annotations

import re

import pytest

from pytest_quantgate.generation.slots import SlotPool
from tests.integration.conftest import Lab


@pytest.mark.usefixtures("empty_cache")
def test_an_interrupt_while_answers_are_made_keeps_those_that_are_finished(lab: Lab) -> None:
    lab.write("words", lab.of_many_lengths(40))
    real, steps = SlotPool.advance, 0

    def interrupted(pool: SlotPool) -> None:
        nonlocal steps
        steps += 1
        if steps > 20:
            raise KeyboardInterrupt
        real(pool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlotPool, "advance", interrupted)
        result = lab.run("--quant-report-json", "run.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["quantgate: interrupted: * answers are kept*", "*no tests ran*"])
    result.stdout.no_fnmatch_line("*::gate*")
    assert not (lab.pytester.path / "run.json").exists()
    kept = int(re.findall(r"interrupted: (\d+) answers", result.stdout.str())[0])
    assert 0 < kept < 40

    result = lab.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"fp16: {40 - kept} answers to generate, {kept} cached"])


def test_an_interrupt_while_items_run_gives_no_verdict(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if item.name == "case-1[nf4]":
                raise KeyboardInterrupt
        """
    )
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*::gate*")
