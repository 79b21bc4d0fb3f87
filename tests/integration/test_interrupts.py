"""Ctrl-C while answers are made, and while items run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from tests.integration.conftest import Lab


@pytest.mark.usefixtures("empty_cache")
def test_an_interrupt_while_answers_are_made_keeps_those_that_are_finished(lab: Lab) -> None:
    lab.write("words", lab.of_many_lengths(40))
    real, calls = LlamaForCausalLM.forward, 0

    def interrupted(self: LlamaForCausalLM, *arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise KeyboardInterrupt
        return real(self, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LlamaForCausalLM, "forward", interrupted)
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
