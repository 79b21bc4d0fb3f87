"""The documentation site: its reference says what the code says, it builds, and it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
REFERENCE: Final[dict[str, Any]] = runpy.run_path(str(DOCS / "reference.py"))
_LOADED: Final = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|object|embed)\b[^>]*\b(?:src|data)=["']?(?:https?:)?//"""
    r"""|<link\b[^>]*\brel=["']?(?:stylesheet|preload|preconnect|dns-prefetch|icon)\b[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|url\(["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
)


@pytest.mark.parametrize("page", REFERENCE["PAGES"])
def test_the_reference_is_what_the_code_says(page: str) -> None:
    told = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert told == REFERENCE["written"](page), "run: python docs/reference.py"


def test_there_is_no_other_page_in_the_reference() -> None:
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(REFERENCE["PAGES"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; every warning (a broken link, a page outside the navigation) is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    assert {path.name for path in files} >= {"index.html", "tutorial.html", "options.html", "report.svg"}
    found = {
        path.relative_to(site): match[0]
        for path in files
        if (match := _LOADED.search(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_the_site_holds_no_scripts_of_the_repository(site: Path) -> None:
    assert list(site.rglob("*.py")) == []


def test_the_page_on_ci_names_every_input_and_output_of_the_action() -> None:
    action, page = yaml.safe_load((ROOT / "action.yml").read_text()), (DOCS / "ci.md").read_text(encoding="utf-8")
    for key, each in action["inputs"].items():
        default = "required" if each.get("required") else f"`{each['default']}`" if each["default"] else ""
        assert f"| `{key}` | {each['description']} | {default} |" in page
    assert all(f"| `{key}` | {each['description']} |" in page for key, each in action["outputs"].items())
