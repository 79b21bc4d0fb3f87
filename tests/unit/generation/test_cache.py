"""The completion cache: what is stored is found, what cannot be trusted is not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from pytest_quantgate.errors import QuantgateWarning
from pytest_quantgate.generation import cache as module
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion

ANSWER = Completion("Paris.", (5, 6), "stop", 12, (3.25, 0.5))
ODD = Completion("\ud800 \x00 \u202e", (), "invalid", 3, problem="the logits were not finite")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "completions.sqlite3"


def test_what_was_put_is_found_after_reopening(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": ANSWER, "b": ODD})
    with CompletionCache(path) as cache:
        assert cache.get("variant", ["a", "b", "c"]) == {"a": ANSWER, "b": ODD}


def test_another_variant_does_not_see_the_answers(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("nf4", {"a": ANSWER})
        assert cache.get("fp16", ["a"]) == {}


def test_thousands_of_requests_are_looked_up_at_once(path: Path) -> None:
    many = {f"request-{number}": ANSWER for number in range(2500)}
    with CompletionCache(path) as cache:
        cache.put("variant", many)
        assert cache.get("variant", many) == many


def test_a_row_moved_to_another_variant_by_hand_is_not_trusted(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("nf4", {"a": ANSWER})
    database = sqlite3.connect(path)
    database.execute("UPDATE completions SET identity = 'fp16'")
    database.commit()
    database.close()
    with CompletionCache(path) as cache:
        assert cache.get("fp16", ["a"]) == {}


def test_an_edited_answer_is_not_trusted(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("nf4", {"a": ANSWER})
    database = sqlite3.connect(path)
    database.execute("UPDATE completions SET payload = replace(payload, 'Paris', 'Rome')")
    database.commit()
    database.close()
    with CompletionCache(path) as cache:
        assert cache.get("nf4", ["a"]) == {}


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_set_aside_and_begun_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.warns(QuantgateWarning, match="set aside"):
        cache = CompletionCache(path)
    with cache:
        cache.put("variant", {"a": ANSWER})
        assert cache.get("variant", ["a"]) == {"a": ANSWER}
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content


def test_another_programs_database_is_set_aside_untouched(path: Path) -> None:
    path.parent.mkdir(parents=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE recipes (name TEXT)")
    database.execute("INSERT INTO recipes VALUES ('soup')")
    database.commit()
    database.close()
    with pytest.warns(QuantgateWarning, match="not written by this version"):
        CompletionCache(path).close()
    (aside,) = path.parent.glob("*.damaged-*")
    assert sqlite3.connect(aside).execute("SELECT name FROM recipes").fetchall() == [("soup",)]


def test_a_torn_file_is_set_aside(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("variant", {f"request-{number}": ANSWER for number in range(500)})
        cache.clear()
        cache.put("variant", {f"request-{number}": ANSWER for number in range(500)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(QuantgateWarning, match="set aside"):
        cache = CompletionCache(path)
    with cache:
        assert cache.get("variant", ["request-1"]) == {}


def damage(path: Path) -> dict[str, Completion]:
    """Fill a cache, and then one page in the middle of its file with noise; what was in it."""
    many = {f"request-{number}": ANSWER for number in range(2000)}
    with CompletionCache(path) as cache:
        cache.put("variant", many)
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")  # of a page
    middle = len(content) // size // 2 * size
    content[middle : middle + size] = b"\xff" * size
    path.write_bytes(bytes(content))
    return many


def test_damage_inside_is_told_when_it_is_read_and_the_file_begun_anew(path: Path) -> None:
    many = damage(path)
    with CompletionCache(path) as cache:
        with pytest.warns(QuantgateWarning, match="is damaged .* set aside"):
            assert len(cache.get("variant", many)) < len(many)
        cache.put("variant", many)
        assert cache.get("variant", many) == many
    assert len([*path.parent.glob("*.damaged-*")]) == 1
    with CompletionCache(path) as cache:
        assert cache.get("variant", many) == many


def test_damage_inside_is_told_when_it_is_written_to_and_what_is_written_is_kept(path: Path) -> None:
    many = damage(path)
    with CompletionCache(path) as cache:
        with pytest.warns(QuantgateWarning, match="is damaged .* set aside"):
            cache.put("variant", many)
        assert cache.get("variant", many) == many


def test_a_file_that_another_process_began_anew_is_not_set_aside_again(path: Path) -> None:
    many = damage(path)
    with CompletionCache(path) as late, CompletionCache(path) as first:
        with pytest.warns(QuantgateWarning, match="set aside"):
            first.get("variant", many)
        first.put("variant", many)
        assert late.get("variant", many) == many
    assert len([*path.parent.glob("*.damaged-*")]) == 1


def test_a_cache_that_was_closed_has_no_answers_and_says_so(path: Path) -> None:
    cache = CompletionCache(path)
    cache.put("variant", {"a": ANSWER})
    cache.close()
    with pytest.warns(QuantgateWarning, match="cannot be read"):
        assert cache.get("variant", ["a"]) == {}


def test_a_folder_that_cannot_be_made_means_a_run_without_a_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    with pytest.warns(QuantgateWarning, match="goes on without it"):
        cache = CompletionCache(blocked / "c.sqlite3")
    with cache:
        cache.put("variant", {"a": ANSWER})
        assert cache.get("variant", ["a"]) == {"a": ANSWER}


def test_two_processes_write_the_same_cache(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion
with CompletionCache(Path(sys.argv[1])) as cache:
    for number in range(100):
        cache.put(sys.argv[2], {f"request-{number}": Completion(sys.argv[2], (number,), "stop", 1)})
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in ("one", "two")]
    assert [process.wait(600) for process in processes] == [0, 0]
    with CompletionCache(path) as cache:
        info = cache.info()
        assert (info.completions, info.variants) == (200, 2)
        assert cache.get("two", ["request-99"])["request-99"].text == "two"


def test_clear_forgets_everything_and_says_how_much(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": ANSWER, "b": ODD})
        cache.put_audit("variant", {"modules_replaced": 3})
        assert cache.clear() == 2
        assert cache.get("variant", ["a", "b"]) == {}
        assert cache.get_audit("variant") is None


def on(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    monkeypatch.setattr(module, "_today", lambda: date.fromisoformat(day))


def test_variants_that_nobody_asked_for_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "2026-01-01")
    with CompletionCache(path) as cache:
        cache.put("unused", {"a": ANSWER, "b": ODD})
        cache.put_audit("unused", {"modules_replaced": 3})
        cache.put_measures("unused", {"key": {"agreeing": 1}})
        cache.put("looked up", {"a": ANSWER})
    on(monkeypatch, "2026-02-01")
    with CompletionCache(path) as cache:
        cache.put("stored", {"a": ANSWER})
        assert cache.get("looked up", ["a"])
        assert cache.get("unused", ["another"]) == {}
    on(monkeypatch, "2026-02-11")
    with CompletionCache(path) as cache:
        assert cache.clear_unused(10) == 2
        assert cache.get("unused", ["a", "b"]) == {}
        assert cache.get_audit("unused") is None
        assert cache.get_measures("unused", ["key"]) == {}
        assert cache.info().variants == 2
        assert cache.clear_unused(9) == 2
        assert cache.info().variants == 0


def test_what_has_no_day_counts_as_used_today(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": ANSWER})
        cache.put_audit("without answers", {"bits_per_weight": 4.5})
    database = sqlite3.connect(path)
    database.execute("DROP TABLE used")
    database.close()
    on(monkeypatch, "2030-01-01")
    with CompletionCache(path) as cache:
        assert cache.clear_unused(1) == 0
        assert cache.get_audit("without answers") is not None
        on(monkeypatch, "2030-01-03")
        assert cache.clear_unused(1) == 1
        assert cache.get_audit("without answers") is None


def test_where_the_day_cannot_be_noted_answers_are_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": ANSWER})
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.0)
    with CompletionCache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert cache.get("variant", ["a"]) == {"a": ANSWER}
        other.close()


def test_an_audit_is_kept_with_its_variant(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put_audit("nf4", {"bits_per_weight": 4.5})
        assert cache.get_audit("nf4") == {"bits_per_weight": 4.5}
        assert cache.get_audit("fp16") is None
