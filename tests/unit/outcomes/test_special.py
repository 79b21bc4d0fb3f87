"""Functions of scipy.special are those of scipy.special, and scipy is imported only for values that nobody knows."""

from __future__ import annotations

import subprocess
import sys
from math import isnan
from pathlib import Path

import pytest
from scipy import special as scipy_special

from pytest_quantgate.outcomes import special

CALLS = [
    ("betainc", (3, 8, 0.1)),
    ("betaincc", (4.5, 7.25, 0.2)),
    ("betaincinv", (3, 98, 0.05)),
    ("betainccinv", (4, 97, 0.05)),
    ("bdtr", (2, 9, 0.5)),
    ("stdtr", (11, -1.75)),
]
ASK = """
import sys
from pathlib import Path
from pytest_quantgate.checks.remembered import keep_in
from pytest_quantgate.outcomes import special
with keep_in(Path(sys.argv[1])):
    print(special.betaincc(4, 7, float(sys.argv[2])), "scipy" in sys.modules)
"""


@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=[name for name, _ in CALLS])
def test_a_value_is_scipys(name: str, arguments: tuple[float, ...]) -> None:
    assert getattr(special, name)(*arguments) == float(getattr(scipy_special, name)(*arguments))


def test_what_scipy_does_not_find_is_no_number() -> None:
    assert isnan(special.betaincinv(-1, 2, 0.5))


def test_scipy_is_imported_only_for_what_no_run_asked_before(tmp_path: Path) -> None:
    def ask(x: str) -> list[str]:
        command = [sys.executable, "-c", ASK, str(tmp_path / "findings.sqlite3"), x]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    value = repr(float(scipy_special.betaincc(4, 7, 0.25)))
    assert [ask("0.25"), ask("0.25")] == [[value, "True"], [value, "False"]]
    assert ask("0.3")[1] == "True"
