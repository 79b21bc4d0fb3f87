"""The sheet that people label: what it shows, what it hides, and how it is read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.label_draw import Question
from pytest_quantgate.commands.label_sheet import COLUMNS, Said, asks, inert, prompt_of, read_sheet, write_sheet
from pytest_quantgate.errors import FileError, UsageError
from pytest_quantgate.outcomes.labelled import Graded
from tests.unit.cli.labelled import rows_of

REGISTRY = builtin_registry()


def question(text: str, check: CheckSpec | None = None) -> Question:
    case = Case("one", (Message("user", "Ask."),), (check or CheckSpec("refusal"),), 8)
    return Question("people", "one", Graded(case, 1, 0, text, followed=True))


def sheet_of(path: Path, *texts: str) -> dict[str, Question]:
    questions = [question(text) for text in texts]
    write_sheet(questions, path, REGISTRY)
    return {each.row: each for each in questions}


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "  =1", "\uff1dcmd", '=HYPERLINK("http://x")', "-- dashes"],
)
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    sheet_of(tmp_path / "s.csv", text)
    (row,) = rows_of(tmp_path / "s.csv")
    assert row["answer"] == f"'{text}"


def test_control_characters_are_visible_and_line_breaks_stay() -> None:
    assert inert("one\ntwo\t\x1b[31m\u202e") == "one\ntwo\t\\x1b[31m\\u202e"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8, unique=True))
def test_every_answer_is_one_row_that_no_spreadsheet_computes(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "s.csv"
    questions = sheet_of(path, *texts)
    rows = rows_of(path)
    assert [row["row"] for row in rows] == list(questions)
    assert all(row["answer"].lstrip()[:1] not in tuple("=+-@") for row in rows)
    assert all(row["row"].startswith("r") for row in rows)


def test_a_very_long_answer_is_kept_whole_and_read_past(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    questions = sheet_of(path, "word " * 200_000)
    path.write_text(path.read_text(encoding="utf-8-sig").removesuffix('"",""\n') + "yes,\n", encoding="utf-8")
    assert read_sheet(path, questions) == dict.fromkeys(questions, Said(label=True, note=""))


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize(
    "formula", ["=HYPERLINK(A1)", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", '"=NOW()', "  +NOW()", "\uff1dNOW()"]
)
@pytest.mark.parametrize("before", ["one\n", "one;", "one\t", "\n\n;"])
def test_no_formula_appears_where_cells_are_parted_otherwise(
    before: str, formula: str, delimiter: str, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    sheet_of(path, before + formula)
    cells = [
        cell
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), delimiter=delimiter)
        for cell in row
    ]
    assert [cell for cell in cells if cell.lstrip(' "').startswith(tuple("=+-@\uff1d"))] == []


def test_lists_and_sums_in_an_answer_stay_as_they_are() -> None:
    text = "Three things:\n- one; - two\n- 2 + 3\n= 5"
    assert inert(text) == text


def test_what_a_check_asks_is_told_in_words() -> None:
    assert asks(CheckSpec("judge", {"rubric": "It is kind."}), REGISTRY) == (
        "judge: The judge says that the answer does what the rubric asks\nrubric: It is kind."
    )
    assert asks(CheckSpec("mine", {"at_least": 3, "words": ["a"]}), REGISTRY) == 'mine\nat_least: 3\nwords: ["a"]'


def test_a_chat_is_shown_whole() -> None:
    alone = Case("one", (Message("user", "Ask."),), (), 8)
    chat = Case("one", (Message("system", "Be kind."), Message("user", "Ask.")), (), 8, answer_prefix="Well,")
    assert prompt_of(alone) == "Ask."
    assert prompt_of(chat) == "[system]\nBe kind.\n\n[user]\nAsk.\n\n[the answer goes on from]\nWell,"


def test_a_sheet_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("labels of a day")
    with pytest.raises(UsageError, match="is there already"):
        sheet_of(path, "Hello")
    assert path.read_text() == "labels of a day"


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot be written: No such file"):
        sheet_of(tmp_path / "none" / "s.csv", "Hello")


# -- reading back ----------------------------------------------------------------------------------------------------

TEXTS = ("Hello", "=1;2", 'a "quoted"\nline', "\u00e4\u2028")


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, dict[str, Question]]:
    path = tmp_path / "s.csv"
    return path, sheet_of(path, *TEXTS)


def again(rows: list[dict[str, str]], columns: list[str], delimiter: str = ",", ends: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, columns, delimiter=delimiter, lineterminator=ends, extrasaction="ignore", quoting=csv.QUOTE_ALL
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_what_spreadsheets_do_to_a_sheet_does_no_harm(
    written: tuple[Path, dict[str, Question]], delimiter: str, ends: str, mark: str
) -> None:
    path, questions = written
    rows = rows_of(path)
    said = dict(zip(questions, ("yes", " No ", "", "YES\n"), strict=True))
    changed = [{**row, "label": said[row["row"]], "answer": "changed", "mine": "x", "note": " so "} for row in rows]
    columns = ["note", "mine", "label", "answer", "row"]
    path.write_bytes(again(changed[::-1], columns, delimiter, ends).encode(mark))
    names = list(questions)
    assert read_sheet(path, questions) == {
        names[3]: Said(label=True, note="so"),
        names[1]: Said(label=False, note="so"),
        names[0]: Said(label=True, note="so"),
    }


def test_every_mistake_is_told_at_once_with_its_line(written: tuple[Path, dict[str, Question]]) -> None:
    path, questions = written
    one, two, three, _ = questions
    rows = [
        {"row": one, "label": "yess", "answer": "two\nlines"},
        {"row": two, "label": "maybe"},
        {"row": three, "label": "no"},
        {"row": three, "label": "yes"},
        {"row": "r000000000000000", "label": "yes"},
        {"row": "", "label": "yes"},
        {"row": "", "label": ""},
    ]
    path.write_text(again(rows, ["row", "answer", "label"], ends="\n"))
    with pytest.raises(FileError) as caught:
        read_sheet(path, questions)
    assert [str(each).removeprefix(f"{path}:") for each in caught.value.problems] == [
        f"2: unknown label 'yess' in row {one}; did you mean 'yes'?",
        f"4: unknown label 'maybe' in row {two}; known: no, yes",
        f"6: row '{three}' stands here again: line 5 has it",
        "7: 'r000000000000000' is no row about an answer of this run: was the sheet drawn from another one?",
        "8: the row has no name in the column 'row': copy it from the sheet as it was written",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the first line must name the column 'row'; it has nothing"),
        ("a,b\n1,2\n", "the first line must name the column 'row'; it has 'a', 'b'"),
        ("row,row,label\n", "the column 'row' stands in it 2 times"),
        ("row,label\n", "no row has a label: write yes or no in the column 'label'"),
        ('row,label\n"r1,yes\n', "no CSV from here on: unexpected end of data"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        read_sheet(path, {})
    assert told in [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes("row,label\nä".encode("utf-16")), "not UTF-8"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "cannot be read"),  # noqa: ARG005
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    path = tmp_path / "s.csv"
    make(path)
    with pytest.raises(UsageError, match=told):
        read_sheet(path, {})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"row,label\n{text}".encode(errors="replace")))
def test_garbage_is_no_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "s.csv"
    path.write_bytes(data)
    with pytest.raises((FileError, UsageError)):
        read_sheet(path, {})


def test_columns_are_those_that_the_docs_name() -> None:
    page = (Path(__file__).parents[3] / "docs" / "calibrate.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in COLUMNS)
