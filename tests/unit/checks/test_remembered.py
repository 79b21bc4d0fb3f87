"""What takes long to find is kept, bound to all that it depends on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.checks import bounded, language, refusal, remembered, schemas
from pytest_quantgate.checks.bounded import Worker
from pytest_quantgate.checks.finding import Finding, followed, unscored, violated
from pytest_quantgate.checks.mathematics import math_answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "findings.sqlite3"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the worker was asked; it says yes at first and no from then on, and cannot score "?"."""
    questions: list[tuple[Any, ...]] = []

    def grade(_worker: Worker, job: str, arguments: tuple[Any, ...]) -> Finding:
        questions.append((job, *arguments))
        if arguments[0] == "?":
            return unscored("too slow")
        return followed("equal") if len(questions) == 1 else violated("")

    monkeypatch.setattr(Worker, "grade", grade)
    return questions


def test_a_finding_is_worked_out_once(path: Path, asked: list[tuple[Any, ...]]) -> None:
    for _ in range(2):  # two runs
        with remembered.keep_in(path):
            assert math_answer("It is 4", value="4") == followed("equal")
    assert len(asked) == 1


def test_every_argument_counts(path: Path, asked: list[tuple[Any, ...]]) -> None:
    with remembered.keep_in(path):
        math_answer("It is 4", value="4")
        math_answer("It is 5", value="4")
        math_answer("It is 4", value="5")
        math_answer("It is 4", value="4", tolerance=0.1)
        bounded.grade_bounded("json_schema", "It is 4", "4")
    assert len(asked) == 5


def test_what_ran_into_a_limit_is_tried_again(path: Path, asked: list[tuple[Any, ...]]) -> None:
    with remembered.keep_in(path):
        assert bounded.grade_bounded("math_answer", "?", "4") == unscored("too slow")
        bounded.grade_bounded("math_answer", "?", "4")
    assert len(asked) == 2


def test_nothing_is_kept_unless_a_run_asks_for_it(path: Path, asked: list[tuple[Any, ...]]) -> None:
    with remembered.keep_in(path):
        pass
    for _ in range(2):
        math_answer("It is 4", value="4")
    assert len(asked) == 2


def test_other_libraries_find_anew(path: Path, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2"):
        monkeypatch.setattr(remembered, "version_of", lambda _name, version=version: version)
        vars(remembered)["_state"].cache_clear()
        with remembered.keep_in(path):
            math_answer("It is 4", value="4")
    vars(remembered)["_state"].cache_clear()
    assert len(asked) == 2


def test_another_python_finds_anew(path: Path, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("3.11.1", "3.12.0"):
        monkeypatch.setattr("platform.python_version", lambda version=version: version)
        vars(remembered)["_state"].cache_clear()
        _kept(path)
    vars(remembered)["_state"].cache_clear()
    assert len(asked) == 2


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands in for the package's own files."""
    folder = tmp_path / "package"
    for room in ("cases", "checks", "outcomes"):
        (folder / room).mkdir(parents=True)
        _write(folder / room / "some.py", "LIMIT = 1")
    monkeypatch.setattr(remembered, "__file__", str(folder / "checks" / "remembered.py"))
    _start_anew()
    yield folder
    _start_anew()


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    os.utime(file, (0, 0))  # as packagers do whose archives are the same every time


def _start_anew() -> None:
    """As in another process."""
    vars(remembered)["_state"].cache_clear()
    vars(remembered)["_own_files"].cache_clear()


@pytest.mark.parametrize("room", ["cases", "checks", "outcomes"])
def test_other_code_finds_anew_however_old_its_file_claims_to_be(
    path: Path, asked: list[tuple[Any, ...]], package: Path, room: str
) -> None:
    _kept(path)
    _write(package / room / "some.py", "LIMIT = 2")
    _start_anew()
    _kept(path)
    assert len(asked) == 2


def test_what_was_found_before_an_edit_is_not_what_the_edited_code_finds(
    path: Path, asked: list[tuple[Any, ...]], package: Path
) -> None:
    with remembered.keep_in(path):
        _write(package / "checks" / "some.py", "LIMIT = 2")  # while models answer
        math_answer("It is 4", value="4")
    _start_anew()
    _kept(path)
    assert len(asked) == 2


def test_shares_without_the_language_that_is_asked_for_are_not_believed(path: Path) -> None:
    text = "Das ist ein ganz gewöhnlicher Satz in einer Sprache, die man hier erkennt."
    with remembered.keep_in(path):
        expected = language.judge_language(text, "de")
    database = sqlite3.connect(path, isolation_level=None)
    ((key,),) = database.execute("SELECT key FROM found").fetchall()
    database.execute("UPDATE found SET value = '{}', seal = ?", (digest_of([key, "{}"]),))
    database.close()
    with remembered.keep_in(path):
        assert language.judge_language(text, "de") == expected


def _kept(path: Path) -> None:
    with remembered.keep_in(path):
        math_answer("It is 4", value="4")


@pytest.mark.parametrize("kind", ["payload", "seal", "shape", "file", "page", "not ours", "no folder"])
def test_damage_means_working_out_again(path: Path, asked: list[tuple[Any, ...]], kind: str) -> None:
    _kept(path)
    _damage(path, kind)
    with remembered.keep_in(path):
        assert math_answer("It is 4", value="4") == violated("")
    assert len(asked) == 2
    if kind != "no folder":
        _kept(path)
        assert len(asked) == 2


def _damage(path: Path, kind: str) -> None:
    if kind in {"file", "not ours", "no folder"}:
        remembered.forget(path)
        if kind == "no folder":
            path.parent.rmdir()
            path.parent.write_text("a file")
        else:
            path.write_bytes(b"SQLite format 3\x00" + b"torn" * 200 if kind == "file" else b"a diary " * 100)
        return
    if kind == "page":
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"torn" * ((len(content) - 4096) // 4))  # the first one says what there is
        return
    database = sqlite3.connect(path, isolation_level=None)
    ((key,),) = database.execute("SELECT key FROM found").fetchall()
    if kind == "seal":
        database.execute("UPDATE found SET seal = ''")
    elif kind == "payload":
        database.execute("UPDATE found SET value = ?", ('{"followed": true, "reason": "bought"}',))
    else:
        value = '{"followed": "yes"}'
        database.execute("UPDATE found SET value = ?, seal = ?", (value, digest_of([key, value])))
    database.close()


def test_schemas_and_languages_are_remembered_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Das ist ein ganz gewöhnlicher Satz in einer Sprache, die man hier erkennt."
    schema = {"type": "object", "required": ["remembered"]}
    with remembered.keep_in(path):
        expected = language.judge_language(text, "de")
        assert expected.followed
        assert schemas.schema_problems(schema) == ()
        assert "typ" in schemas.schema_problems({"typ": "remembered"})[0]

    def never(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(language, "_detector", never)
    monkeypatch.setattr(schemas, "_problems_of", never)
    vars(schemas)["_schema_problems"].cache_clear()
    with remembered.keep_in(path):
        assert language.judge_language(text, "de") == expected
        assert schemas.schema_problems(schema) == ()
        assert "typ" in schemas.schema_problems({"typ": "remembered"})[0]


def test_words_that_decline_are_looked_for_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    find = vars(refusal)["_declining"]

    def looking(answer: str) -> str | None:
        looked.append(answer)
        found: str | None = find(answer)
        return found

    monkeypatch.setattr(refusal, "_declining", looking)
    for _ in range(2):
        refusal.declining_words.cache_clear()  # as in another process
        with remembered.keep_in(path):
            assert refusal.declining_words("I cannot help with that.") == "i cannot help"
            assert refusal.declining_words("With pleasure.") is None
    assert looked == ["I cannot help with that.", "With pleasure."]


def test_the_inner_of_two_sessions_keeps_in_its_own_file(path: Path, asked: list[tuple[Any, ...]]) -> None:
    with remembered.keep_in(path):
        with remembered.keep_in(path.with_name("inner.sqlite3")):
            math_answer("It is 4", value="4")
        assert math_answer("It is 4", value="4") == violated("")
    assert len(asked) == 2
