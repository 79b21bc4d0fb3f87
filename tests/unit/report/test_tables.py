from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_quantgate.printable import visible
from pytest_quantgate.report.inert import code
from pytest_quantgate.report.tables import PAGE, Name, Sheet, drawn, markdown
from pytest_quantgate.report.text import draw

HOSTILE = [
    "a|b",
    "a\\|b",
    "``` ` ``",
    "`",
    "@team #12 https://example.org <img src=x> **bold**",
    "\x1b[2J\u202e\ud800\n\r",
    " ",
    "",
    "\\",
    "x" * 5_000,
]


def cells(page: str) -> list[list[str]]:
    """The text of every cell of the tables of a page, as a reader of GitHub's Markdown finds them."""
    found: list[list[str]] = []
    inside = False
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        if token.type == "tr_open":
            found.append([])
        inside = token.type in ("td_open", "th_open") or (inside and token.type == "inline")
        if token.type == "inline" and inside:
            found[-1].append("".join(child.content for child in token.children or ()))
    return found


def kinds(page: str) -> set[str]:
    return {child.type for token in MarkdownIt("commonmark").parse(page) for child in token.children or ()}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_and_never_obeyed(name: str) -> None:
    page = markdown([("A: ", Name(name))], [Sheet((Name(name),), ("slice", Name(name)), ((Name(name), "1"),))])

    head, row = cells(page)
    assert head[1] == row[0]
    assert row[1:] == ["1"]
    assert kinds(page) <= {"text", "code_inline", "softbreak", "hardbreak"}
    assert all(each.isprintable() for each in page if each != "\n")


@given(st.text(max_size=60))
def test_any_name_stays_one_cell_and_can_be_read_back(name: str) -> None:
    ((shown, _),) = cells(markdown([], [Sheet(("t",), ("a", "b"), ((Name(name), "1"),))]))[1:]

    if visible(name).strip():
        expected = visible(name).replace("|", r"\x7c")
        assert shown.removesuffix("…") == expected[: len(shown.removesuffix("…"))]


def test_a_page_never_grows_beyond_what_github_takes_and_counts_what_it_leaves_out() -> None:
    rows = tuple((Name(f"slice-{n}"), "1") for n in range(10_000))
    page = markdown([("A",)], [Sheet(("one",), ("slice", "n"), rows), Sheet(("two",), ("slice", "n"), rows)])

    assert len(page) <= PAGE
    shown = len(cells(page)) - 1
    assert f"{10_000 - shown} more rows are left out here" in page
    assert "There is no room here for some tables" in page


def test_a_heading_that_is_broken_for_a_terminal_is_whole_in_markdown() -> None:
    sheet = Sheet(("t",), ("slice", "un-\nstable", "P→F\nrate"), (("a", "1", "2"),))

    assert cells(markdown([], [sheet]))[0] == ["slice", "unstable", "P→F rate"]


def test_notes_stand_below_the_table_and_without_rows_alone() -> None:
    with_rows = Sheet(("t",), ("a", "b"), (("x", "1"),), (("see ", Name("it")),))
    alone = Sheet(("t",), (), (), (("only this",),))

    assert markdown([], [with_rows]).endswith("| x | 1 |\n\nsee `it`\n")
    assert markdown([], [alone]).endswith("### t\n\nonly this\n")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_act_on_a_terminal(name: str) -> None:
    sheet = Sheet((Name(name),), ("slice", Name(name)), ((Name(name), "1"),), ((Name(name),),))
    text = draw(drawn(sheet, 80), color=False)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.encode()


def test_names_take_what_the_figures_leave() -> None:
    sheet = Sheet(("t",), ("slice", "n"), ((Name("word " * 40), "123"),))
    lines = draw(drawn(sheet, 40), color=False).splitlines()

    assert max(map(len, lines)) <= 40
    assert "123" in "".join(lines)


def test_a_code_span_says_that_a_name_is_missing() -> None:
    assert code("") == "(no name)"
    assert code("  ") == "(blank)"
