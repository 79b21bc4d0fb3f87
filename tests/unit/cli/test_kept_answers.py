from __future__ import annotations

import io
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from pytest_quantgate.checks.finding import Finding
from pytest_quantgate.checks.judge.verdicts import VerdictCache, verdict_folder
from pytest_quantgate.checks.remembered import default_path
from pytest_quantgate.cli import main
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.completion import Completion


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTGATE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def two_answers() -> None:
    answer = Completion(text="x", token_ids=(1,), finish_reason="stop", prompt_tokens=3)
    with CompletionCache(default_cache_path()) as cache:
        cache.put("a-variant", {"first": answer, "second": answer})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("action", [["info"], ["clear", "--yes"]])
def test_without_a_cache_none_is_made(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", *action]) == 0
    assert "no answers" in capsys.readouterr().out
    assert not default_cache_path().parent.exists()


@pytest.mark.usefixtures("two_answers")
def test_info_counts_answers_and_variants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info"]) == 0
    assert f"{default_cache_path()}: 2 answers of 1 variant, " in capsys.readouterr().out


@pytest.mark.usefixtures("two_answers")
def test_clear_forgets_all_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--yes"]) == 0
    assert "2 answers forgotten" in capsys.readouterr().out
    with CompletionCache(default_cache_path()) as cache:
        assert cache.info().completions == 0


@pytest.mark.usefixtures("two_answers")
@pytest.mark.parametrize(("said", "left"), [("y\n", 0), ("Yes\n", 0), ("n\n", 2), ("\n", 2), ("", 2)])
def test_clear_asks_at_a_terminal(
    said: str, left: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    assert main(["cache", "clear"]) == 0
    assert "Forget all kept answers?" in capsys.readouterr().out
    with CompletionCache(default_cache_path()) as cache:
        assert cache.info().completions == left


@pytest.mark.usefixtures("two_answers")
def test_clear_refuses_where_nobody_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["cache", "clear"]) == 2
    assert "quantgate cache clear --yes" in capsys.readouterr().err


def test_a_damaged_cache_is_a_warning_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    default_cache_path().parent.mkdir()
    default_cache_path().write_bytes(b"not a database at all, but long enough to look at" * 100)
    assert main(["cache", "info"]) == 0
    out, err = capsys.readouterr()
    assert "0 answers" in out
    assert err.startswith("quantgate: warning: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("folder", ["~no-such-user/cache", "a" * 300])
def test_a_folder_that_cannot_be_is_told_by_its_variable(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUANTGATE_CACHE_DIR", folder)
    assert main(["cache", "info"]) == 2
    assert capsys.readouterr().err.startswith("quantgate: QUANTGATE_CACHE_DIR: ")


def test_verdicts_of_judges_are_counted_and_forgotten_too(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = VerdictCache(verdict_folder())
    verdicts.put("a" * 64, Finding(followed=True, reason="the judge passes it"))
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{default_cache_path()}: no answers are kept yet",
        f"{verdict_folder()}: 1 verdict of judges",
    ]
    assert main(["cache", "clear", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{default_cache_path()}: no answers were kept",
        f"{verdict_folder()}: 1 verdict of judges forgotten",
    ]
    assert verdicts.count() == 0


@pytest.mark.usefixtures("two_answers")
def test_clear_can_keep_what_was_used_lately(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cache", "clear", "--older-than", "30", "--yes"]
    assert main(words) == 0
    assert "0 answers forgotten" in capsys.readouterr().out
    database = sqlite3.connect(default_cache_path())
    with database:
        database.execute("UPDATE used SET day = '2020-01-01'")
    database.close()
    assert main(words) == 0
    assert "2 answers forgotten" in capsys.readouterr().out


def test_verdicts_that_no_run_used_lately_are_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = VerdictCache(verdict_folder())
    for digest in ("a" * 64, "b" * 64):
        verdicts.put(digest, Finding(followed=True, reason="the judge passes it"))
        os.utime(verdict_folder() / digest[:2] / f"{digest}.json", (0, 0))
    assert verdicts.get("b" * 64)
    assert main(["cache", "clear", "--older-than", "30", "--yes"]) == 0
    assert "1 verdict of judges forgotten" in capsys.readouterr().out
    assert verdicts.get("a" * 64) is None
    assert verdicts.get("b" * 64)


@pytest.mark.usefixtures("two_answers")
@pytest.mark.parametrize("days", ["0", "-1", "99999999999"])
def test_days_that_are_none_clear_nothing(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--yes", f"--older-than={days}"]) == 2
    assert capsys.readouterr().err.startswith("quantgate: --older-than: not ")
    with CompletionCache(default_cache_path()) as cache:
        assert cache.info().completions == 2


@pytest.mark.usefixtures("two_answers")
def test_where_nobody_can_be_asked_the_days_are_told_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["cache", "clear", "--older-than", "30"]) == 2
    assert "quantgate cache clear --yes --older-than 30" in capsys.readouterr().err


def test_info_tells_what_findings_take(capsys: pytest.CaptureFixture[str]) -> None:
    default_path().parent.mkdir()
    default_path().write_bytes(b"x" * 2_000_000)
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{default_cache_path()}: no answers are kept yet",
        f"{default_path()}: what slow checks found, 2.0 MB",
    ]
