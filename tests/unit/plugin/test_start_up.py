"""What the plugin costs a session that has no candidate."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = {"torch", "transformers", "bitsandbytes", "rich", "scipy", "yaml", "numpy", "sympy", "jsonschema", "sqlite3"}


def imported_by(code: str) -> set[str]:
    """Names of the modules that code adds to those of pytest."""
    probe = f"import sys, pytest\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_plugin_imports_itself_alone() -> None:
    assert imported_by("import pytest_quantgate.plugin") == {
        "pytest_quantgate",
        "pytest_quantgate.plugin",
        "pytest_quantgate.plugin.settings",
    }


def test_a_session_without_a_candidate_imports_nothing_slow(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    found = imported_by("assert pytest.main(['-q', '-p', 'no:hypothesispytest']) == 0")
    assert {name.partition(".")[0] for name in found} & SLOW == set()
    assert {name for name in found if name.startswith("pytest_quantgate")} == {
        "pytest_quantgate",
        "pytest_quantgate.plugin",
        "pytest_quantgate.plugin.hookspecs",
        "pytest_quantgate.plugin.settings",
    }
