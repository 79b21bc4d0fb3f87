"""The page on goldens shows a file as it is written."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_quantgate.golden.encoding import encode
from pytest_quantgate.golden.identity import FIELDS
from pytest_quantgate.golden.store import golden_path, load

PAGE = (Path(__file__).parents[3] / "docs" / "goldens.md").read_text(encoding="utf-8")


def test_the_file_that_the_page_shows_is_one_that_is_written(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
    path = golden_path(tmp_path, "people", "nf4")
    path.parent.mkdir(parents=True)
    path.write_text(shown, encoding="utf-8")
    found = load(path)
    assert found
    assert encode(found) == shown


def test_the_page_says_what_each_change_of_identity_means() -> None:
    for title in FIELDS.values():
        assert f"`{title}`" in PAGE
