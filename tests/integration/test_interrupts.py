"""Ctrl-C while answers are made, and while items run."""

from __future__ import annotations

import pytest

from pytest_quantgate.generation import run as generation
from pytest_quantgate.variants.variant import Variant
from tests.integration.conftest import Lab


def test_an_interrupt_while_answers_are_made_says_what_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = generation.answer

    def interrupted(variant: Variant, *arguments: object) -> object:
        if str(variant.spec) == "nf4":
            raise KeyboardInterrupt
        return real(variant, *arguments)  # type: ignore[arg-type]  # handed on as it came

    lab.write("words", lab.many(3))
    monkeypatch.setattr(generation, "answer", interrupted)
    result = lab.run("--quant-report-json", "run.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["quantgate: interrupted: 6 answers are kept*", "*no tests ran*"])
    result.stdout.no_fnmatch_line("*::gate*")
    assert not (lab.pytester.path / "run.json").exists()


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
