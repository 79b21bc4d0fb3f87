"""Every code block of every page does what the page says: run, loaded or parsed, and never skipped in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.rules import Page
from tests.docs.shell import Shell

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_BLOCKS: Final = [page for page in PAGES if blocks_of(page)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name)
def test_every_block_of_the_page_works(page: Path, shell: Shell, project: Callable[[], None]) -> None:
    if page.parent.name == "reference":  # its sections are looked up one by one: each begins anew
        for block in blocks_of(page):
            if block.language == "sh":
                project()
            Page([block], shell).work_through()
    else:
        Page(blocks_of(page), shell).work_through()


@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if page.name != "README.md"], ids=name)
def test_every_block_is_fenced_and_says_its_language(page: Path) -> None:
    assert [block.place for block in blocks_of(page) if block.indented or not block.language] == []
