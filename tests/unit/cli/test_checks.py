from __future__ import annotations

import pytest

from pytest_quantgate.checks.builtin import builtin_families, builtin_registry
from pytest_quantgate.cli import main
from pytest_quantgate.commands.checks import description

NAMES = builtin_registry().names()


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["checks", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refusal(capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert main(["checks", name]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("wide")
def test_every_check_stands_in_the_table_under_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys).splitlines()
    first_words = [line.split()[0] for line in lines if line[:1].strip()]
    assert sorted(word for word in first_words if word in NAMES) == list(NAMES)
    at = lines.index("Refusals")
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["comply", "refusal", "response_kind"]


@pytest.mark.usefixtures("wide")
def test_a_row_has_the_arguments_and_what_the_check_asks(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("needle "))
    assert lines[at].endswith("The answer names the text that was hidden in the prompt, and none of the distractors.")
    assert lines[at + 1] == "  text [distractors]"


@pytest.mark.usefixtures("wide")
def test_an_argument_of_a_whole_large_family_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys)
    assert "Instructions of IFEval; each takes [loose]" in told
    assert told.count("[loose]") == 2


@pytest.mark.parametrize("columns", ["20", "80", "300"])
def test_the_table_fits_narrow_and_wide_terminals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, output(capsys).splitlines())) <= max(int(columns), 80)


def test_every_check_can_be_told_in_full() -> None:
    for title, registry in builtin_families().items():
        for name in registry.names():
            check = registry.get(name)
            assert check is not None
            told = description(check, title, 80)
            assert told.startswith(f"{name}  ({title})\n\n")
            assert all(f"\n  {parameter.name}  " in told for parameter in check.parameters)
            assert f"\n  checks:\n    - {name}" in told
            prose = told.partition("in a slice file")[0]
            assert max(map(len, prose.splitlines())) <= 80
            assert "``" not in told


@pytest.mark.usefixtures("wide")
def test_one_check_is_told_with_edge_cases_and_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    told = output(capsys, "csv")
    for fact in (
        "(structured answers)",
        "spaces belong to the cell",
        "  delimiter  text; default ','\n      One character between cells.\n",
        "  rows  a whole number; may be left out\n",
        "  table  text; may be left out; what a bare value means\n",
    ):
        assert fact in told
    assert "What a model answered" not in told  # the answer is no argument of a slice file
    told = output(capsys, "math_answer")
    assert "  value  text; required; what a bare value means\n" in told
    assert "  form  one of 'any', 'evaluated', 'same'; default 'evaluated'\n" in told
    assert "takes no arguments" in output(capsys, "json")


@pytest.mark.parametrize(
    ("name", "words"),
    [("python_tests", "not allowed to run"), ("judge", "without a judge"), ("words:start_verb", "never scored")],
)
def test_checks_that_may_do_nothing_here_are_documented_all_the_same(
    capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert words in output(capsys, name)


def test_an_unknown_name_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "jsno") == "quantgate: unknown check 'jsno'\n  did you mean 'json'?\n"


def test_a_part_of_a_name_gives_all_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(capsys, "e_count")
    assert told == "quantgate: unknown check 'e_count'\n  these have it in their names: line_count, sentence_count\n"
    assert refusal(capsys, "capital").endswith(
        ": change_case:capital_word_frequency, change_case:english_capital, custom:european_capitals_sort\n"
    )


def test_a_name_like_no_other_gives_the_way_to_all(capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(capsys, "zzz\x1b[2J")
    assert told.endswith("\n  `quantgate checks` shows all of them\n")
    assert "\x1b" not in told


def test_a_check_that_is_decided_early_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert [name for name in ("contains", "number") if "--quant-stop-early" in output(capsys, name)] == ["contains"]
