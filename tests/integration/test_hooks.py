"""Checks and backends of other plugins."""

from __future__ import annotations

import pytest

from pytest_quantgate.variants.registry import unregister
from tests.integration.conftest import Lab


def test_a_conftest_can_add_a_check(lab: Lab) -> None:
    lab.pytester.makeconftest(
        """
        from pytest_quantgate.checks.finding import Finding

        def ends_with(answer: str, *, text: str) -> Finding:
            return Finding(answer.endswith(text), f"looked for {text}")

        def pytest_quantgate_register_checks(registry):
            registry.register("ends_with", ends_with, shorthand="text")
        """
    )
    prompt = next(lab.tiny.prompts())
    last = lab.tiny.texts["fp16"][prompt].split()[-1]
    lab.write("words", [{"id": "one", "prompt": prompt, "checks": [{"ends_with": last}]}])
    result = lab.run(candidates=("fp32",))
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()


def test_a_conftest_can_add_a_backend(lab: Lab) -> None:
    lab.pytester.syspathinsert()
    lab.pytester.makepyfile(
        half_backend="""
        from pytest_quantgate.variants.plain import BACKEND as PLAIN
        from pytest_quantgate.variants.spec import VariantSpec

        class Half:
            def describe(self, spec):
                return PLAIN.describe(VariantSpec("fp16"))

        BACKEND = Half()
        """
    )
    lab.pytester.makeconftest(
        """
        from pytest_quantgate.variants.registry import Entry

        def pytest_quantgate_register_backends(registry):
            registry.register("half", Entry("half_backend:BACKEND"))
        """
    )
    lab.write("words", lab.many(1))
    try:
        result = lab.run("--co", candidates=("half",))
    finally:
        unregister("half")
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    result.stdout.fnmatch_lines(["*<CaseItem case-0[[]half[]]>"])
