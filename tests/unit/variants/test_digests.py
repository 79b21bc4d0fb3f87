from __future__ import annotations

import hashlib
import os
import sqlite3
from io import BufferedReader
from pathlib import Path

import pytest

from pytest_quantgate.variants import digests
from pytest_quantgate.variants.digests import file_digest, remember_digest

BIG = 2 << 20


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(digests, "_SETTLED_NS", -(10**18))  # the file is as young as the test
    path = tmp_path / "weights"
    path.write_bytes(bytes(BIG))
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really hashed."""
    seen: list[str] = []
    real = hashlib.file_digest

    def watch(file: BufferedReader, name: str) -> object:
        seen.append(file.name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", watch)
    return seen


def expected(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_large_file_is_hashed_once(file: Path, hashed: list[str]) -> None:
    assert file_digest(file) == file_digest(file) == expected(file)
    assert len(hashed) == 1


def test_links_share_the_digest_of_their_file(file: Path, hashed: list[str], tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert file_digest(link) == file_digest(file)
    assert len(hashed) == 1


def test_a_changed_byte_is_noticed_even_when_size_and_time_are_put_back(file: Path) -> None:
    before = file.stat()
    old = file_digest(file)
    with file.open("r+b", buffering=0) as opened:
        while file.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of files ticks every few milliseconds
            opened.seek(0)
            opened.write(b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file_digest(file) == expected(file) != old


def test_a_file_that_was_just_written_is_not_remembered_yet(
    file: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED_NS", 10**18)
    file_digest(file)
    file_digest(file)
    assert len(hashed) == 2


def test_a_digest_known_from_elsewhere_is_used(file: Path, hashed: list[str]) -> None:
    remember_digest(file, "0" * 64)
    assert file_digest(file) == "0" * 64
    assert not hashed


def test_nonsense_in_the_store_is_not_used(file: Path) -> None:
    remember_digest(file, "nonsense")
    assert file_digest(file) == expected(file)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\x01" * 4000])
def test_a_torn_store_is_set_aside_and_started_anew(
    file: Path, hashed: list[str], own_cache: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.mkdir()
    (own_cache / "digests.sqlite3").write_bytes(content)
    assert file_digest(file) == file_digest(file) == expected(file)
    assert len(hashed) == 1
    assert (own_cache / "digests.sqlite3.damaged").read_bytes() == content
    assert "is damaged" in caplog.text


def test_another_programs_database_is_left_alone(file: Path, own_cache: Path) -> None:
    own_cache.mkdir()
    with sqlite3.connect(own_cache / "digests.sqlite3") as store:
        store.execute("CREATE TABLE digests (other TEXT)")
    store.close()
    assert file_digest(file) == expected(file)


def test_without_a_cache_folder_it_is_just_computed(file: Path, own_cache: Path, hashed: list[str]) -> None:
    own_cache.write_text("a file where the folder should be")
    assert file_digest(file) == file_digest(file) == expected(file)
    assert len(hashed) == 2


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "none")
