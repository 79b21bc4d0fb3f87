"""The example of a check of one's own tests it without a model, and its slice gates one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import Lab

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_checks"


@pytest.fixture
def example(pytester: pytest.Pytester) -> pytest.Pytester:
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    return pytester


def test_the_examples_tests_pass_without_a_candidate(example: pytest.Pytester) -> None:
    result = example.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=9)


@pytest.mark.alone(reason="nothing is run but collection, which starts no workers")
def test_its_slice_is_read_with_its_check(example: pytest.Pytester, lab: Lab) -> None:
    result = lab.run("--collect-only", "-q", "quant")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quant/letters.slice.yaml::birthday[[]nf4[]]"])
    assert example.path == lab.pytester.path


def test_a_plugin_that_fails_at_its_checks_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_quantgate_register_checks(registry): registry.register('', None)")
    pytester.makepyfile("def test_one(quant_checks): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*conftest.py:1: pytest_quantgate_register_checks failed: ValueError: *"])
