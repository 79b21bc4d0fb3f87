from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.checks.model import CheckResult

Grade = Callable[[str, object, str], CheckResult]
FindProblems = Callable[[str, object], tuple[str, ...]]
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00`"), min_size=1, max_size=8).filter(
    lambda text: text == text.strip()
)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (None, "a,b\n1,2"),
        (None, "a,b\r\n1,2\r\n"),
        (None, "a,b"),
        (None, '"a","b, or ""c"""\n1,"two\n\nlines"'),
        ({"delimiter": ";"}, "a;b\n1;2,5"),
        ({"delimiter": "\t"}, "```tsv\na\tb\n1\t2\n```"),
        ({"header": ["a", "b"]}, "a,b\n1,2"),
        ({"header": ["a"]}, "a\n1\n2"),
        ({"rows": 2}, "a,b\n1,2\n3,4"),
        ({"rows": 0}, "a,b"),
        (
            {"columns": {"n": "integer", "x": "number", "ok": "boolean", "on": "date"}},
            "n,x,ok,on\n-1,2.5e3,TRUE,2024-02-29",
        ),
        ({"columns": {"b": "text"}}, "a,b\n,x"),
        ("a,b\n1,2", 'a,b\n"1",2\n'),
        ({"table": "a\n1"}, "a\n1"),
    ],
)
def test_a_table_as_asked_follows(grade: Grade, raw: object, answer: str) -> None:
    assert grade("csv", raw, answer).followed is True


@pytest.mark.parametrize(
    ("raw", "answer", "reason"),
    [
        (None, "Here you are.", "the first line has one cell"),
        (None, "a,b\n1,2,3", "line 2: 3 cells, 2 expected"),
        (None, "a,b\n\n1,2", "line 2: a blank line"),
        (None, 'a,b\n"1"x,2', "not CSV: line 2"),
        (None, 'a,"b\n1,2', "not CSV: line 1"),
        ({"delimiter": ";"}, "a,b\n1,2", "with no ';' in it"),
        ({"header": ["a", "b"]}, "b,a\n1,2", "the header is 'b | a', not 'a | b'"),
        ({"header": ["a", "b"]}, "a, b\n1,2", "the header is"),
        ({"rows": 2}, "a,b\n1,2", "1 row below the header, not 2"),
        ({"columns": {"n": "integer"}}, "n,x\n1.0,2", "row 1: '1.0' in the column 'n' is no integer"),
        ({"columns": {"n": "number"}}, "n,x\n1 km,2", "is no number"),
        ({"columns": {"n": "boolean"}}, "n,x\nyes,2", "is no boolean"),
        ({"columns": {"n": "date"}}, "n,x\n2024-13-01,2", "is no date"),
        ({"columns": {"n": "text"}}, "n,x\n ,2", "is no text"),
        ({"columns": {"y": "text"}}, "n,x\n1,2", "the header has no column 'y'"),
        ({"columns": {"n": "text"}}, "n,n\n1,2", "more than one column 'n'"),
        ("a,b\n1,2", "a,b\n1,3", "row 1: '3', not '2'"),
        ("a,b\n1,2", "A,b\n1,2", "header: 'A', not 'a'"),
        ("a,b\n1,2", "a,b\n1,2\n3,4", "3 lines of 2 cells, not 2 lines of 2"),
    ],
)
def test_anything_else_is_a_violation_that_says_why(grade: Grade, raw: object, answer: str, reason: str) -> None:
    result = grade("csv", raw, answer)
    assert result.followed is False
    assert reason in result.reason


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"delimiter": ""}, "must be one ASCII character"),
        ({"delimiter": '"'}, "must be one ASCII character"),
        ({"columns": {"n": "intger"}}, "unknown type 'intger'; did you mean 'integer'?"),
        ({"columns": {"n": 3}}, "unknown type 'int'"),
        ({"header": ["a"], "columns": {"b": "text"}}, "names 'b', which 'header' does not have"),
        ({"rows": -1}, "must not be below zero"),
        ({"table": "a,b\n1", "header": ["a", "b"]}, "does not follow this check itself: line 2"),
        ({"table": "a,b\n1,2", "rows": 3}, "does not follow this check itself: 1 row below"),
    ],
)
def test_arguments_that_no_answer_can_follow_are_problems(problems: FindProblems, raw: object, problem: str) -> None:
    assert problem in " ".join(problems("csv", raw))


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4)
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_a_writer_of_csv_wrote_is_the_table_that_it_was(
    grade: Grade, rows: list[list[str]], delimiter: str
) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    raw = {"delimiter": delimiter, "header": rows[0], "rows": len(rows) - 1}
    assert grade("csv", raw, written.getvalue()).followed is True
    assert grade("csv", {**raw, "rows": len(rows)}, written.getvalue()).followed is False
