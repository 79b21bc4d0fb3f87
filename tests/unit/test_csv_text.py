"""CSV is read the same way whatever else is imported."""

from __future__ import annotations

import csv

import pytest

from pytest_quantgate.csv_text import CsvError, csv_rows


@pytest.mark.parametrize("limit", [10, 131_072, 2**40])
def test_a_long_cell_is_read_whatever_limit_another_library_has_set(limit: int) -> None:
    before = csv.field_size_limit(limit)
    try:
        assert list(csv_rows("a,b\n1," + "x" * 200_000)) == [(1, ["a", "b"]), (2, ["1", "x" * 200_000])]
        assert csv.field_size_limit() == limit
    finally:
        csv.field_size_limit(before)


def test_rows_stand_on_the_line_that_they_begin_on() -> None:
    assert list(csv_rows('a;"1\n2"\n\nb;"3"', delimiter=";")) == [(1, ["a", "1\n2"]), (3, []), (4, ["b", "3"])]


@pytest.mark.parametrize("text", ['a\nb,"', 'a\n"b"c', '\n"x\ny'])
def test_what_is_no_csv_is_told_with_the_line_that_the_row_begins_on(text: str) -> None:
    with pytest.raises(CsvError) as error:
        list(csv_rows(text))
    assert error.value.line == 2


def test_a_carriage_return_ends_a_line_unless_only_line_feeds_do() -> None:
    assert [row for _, row in csv_rows("a\rb\r\nc")] == [["a"], ["b"], ["c"]]
    with pytest.raises(CsvError):
        list(csv_rows("a\rb\r\nc", newline="\n"))
