from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from pytest_quantgate.printable import visible
from pytest_quantgate.report.text import draw, indented, wrap

anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\tc\x00", r"a\rb\tc\x00"),
        ("abc\u202edef", r"abc\u202edef"),
        ("a\u200bb", r"a\u200bb"),
        ("\ud800", r"\ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("[bold]é 漢 :smile:[/]", "[bold]é 漢 :smile:[/]"),
    ],
    ids=["escape", "c1", "controls", "bidi", "hidden", "surrogate", "separator", "ordinary"],
)
def test_what_could_act_on_a_terminal_or_hide_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(anything)
def test_visible_text_has_no_control_character_and_can_be_encoded(text: str) -> None:
    shown = visible(text)

    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in shown)
    assert shown.encode().decode() == shown
    assert visible(shown) == shown


@given(anything, st.integers(2, 100))
def test_no_wrapped_line_is_wider_than_asked(text: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in wrap(text, width))


@given(anything)
def test_wrapping_loses_nothing_but_spaces(text: str) -> None:
    assert "".join("".join(wrap(text, 20)).split()) == "".join(visible(text, keep="\n").split())


def test_lines_of_the_text_stay_lines() -> None:
    assert wrap("one\n\n  two", 20) == ["one", "", "  two"]
    assert wrap("", 20) == [""]


def test_an_indented_paragraph_fits_its_width() -> None:
    assert indented("one two three", 11, first="  - ") == ["  - one two", "    three"]


def test_nothing_is_markup() -> None:
    assert draw(["[red]:smile:[/red]", Text("[b]x")], color=True) == "[red]:smile:[/red]\n[b]x\n"


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "dumb"}, {"COLUMNS": "7"}])
def test_only_the_arguments_decide_and_not_the_environment(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    part = Text("a long line of text", style="red")
    assert draw([part], color=True) == "\x1b[31ma long line of text\x1b[0m\n"
    assert draw([part], color=False) == "a long line of text\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::add-mask::password", r"\x3a:add-mask::password"),
        ("   ::error file=a::b", r"   \x3a:error file=a::b"),
        ("see ##[set-output name=a]b", r"see #\x23[set-output name=a]b"),
        ("slice::case[nf4] ## [x]", "slice::case[nf4] ## [x]"),
    ],
)
def test_no_line_is_a_command_to_the_runner_of_a_build(line: str, shown: str) -> None:
    assert draw([line], color=False) == f"{shown}\n"
    assert draw([line], color=True) == f"{shown}\n"
