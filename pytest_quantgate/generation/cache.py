"""Completions that were already made, in one SQLite file that several processes may share.

Every entry is bound to the digest of its variant's identity and of its request, and sealed with a digest over all
of it: what does not match is treated as missing. A file that is torn or not ours is set aside with a warning and
begun anew; a folder that cannot be written means a run without a cache. Neither ends a run. The whole file is checked
only when a part of it could not be read: that takes seconds for a large one, and the seals tell of the rest.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from filelock import FileLock, Timeout

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.errors import QuantgateWarning
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.generation.completion_text import decode, encode
from pytest_quantgate.paths import cache_folder

APPLICATION_ID = 0x51474154  # "QGAT"
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS completions (
    identity TEXT NOT NULL, request TEXT NOT NULL, payload TEXT NOT NULL, seal TEXT NOT NULL,
    PRIMARY KEY (identity, request)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audits (
    identity TEXT NOT NULL PRIMARY KEY, payload TEXT NOT NULL, seal TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS measures (
    identity TEXT NOT NULL, key TEXT NOT NULL, payload TEXT NOT NULL, seal TEXT NOT NULL,
    PRIMARY KEY (identity, key)
);
CREATE TABLE IF NOT EXISTS used (
    identity TEXT NOT NULL PRIMARY KEY, day TEXT NOT NULL
) WITHOUT ROWID;
"""
BUSY_SECONDS = 30.0
ASIDE = ".damaged-"
_TABLES = ("completions", "audits", "measures", "used")  # that of the days last, for it says what goes
_PRIMARY = 0xFF  # of an error code that SQLite extended
CHUNK = 500  # parameters of one IN (...) list; SQLite allows at least 999

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        path: The SQLite file.
        completions: Number of answers.
        variants: Number of different identities among them.
        bytes: Size on disk, write-ahead log included.
    """

    path: Path
    completions: int
    variants: int
    bytes: int


def default_cache_path() -> Path:
    """The completion cache in the user's cache folder."""
    return cache_folder() / f"completions-{SCHEMA_VERSION}.sqlite3"


class CompletionCache:
    """Stored completions by variant identity and request.

    Args:
        path: The SQLite file; it and its folder are made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = self._open()
        self._used: set[str] = set()  # what was noted as used by this process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    def get(self, identity: str, requests: Iterable[str]) -> dict[str, Completion]:
        """The stored answers of one variant.

        Args:
            identity: Digest of the variant's identity.
            requests: Request digests to look up.

        Returns:
            Completions by request digest; what is not stored, or does not match its seal, is left out.
        """
        stored = self._rows("completions", "request", identity, list(requests))
        decoded = ((request, decode(payload)) for request, payload in stored)
        found = {request: completion for request, completion in decoded if completion is not None}
        if found:
            self._note_use(identity)
        return found

    def put(self, identity: str, completions: Mapping[str, Completion]) -> None:
        """Store answers of one variant; when this returns they survive a killed process.

        Args:
            identity: Digest of the variant's identity.
            completions: Completions by request digest.
        """
        rows = []
        for request, completion in completions.items():
            payload = encode(completion)
            rows.append((identity, request, payload, _seal(identity, request, payload)))
        self._write("INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?)", rows)
        self._note_use(identity)

    def forget(self, identity: str) -> None:
        """Forget all answers of one variant."""
        self._write("DELETE FROM completions WHERE identity = ?", [(identity,)])

    def get_audit(self, identity: str) -> dict[str, Any] | None:
        """The audit that was stored when this variant was last loaded, as plain JSON; None when there is none."""
        for payload, seal in self._read("SELECT payload, seal FROM audits WHERE identity = ?", (identity,)):
            if seal == _seal(identity, "audit", payload):
                with contextlib.suppress(ValueError):
                    value = json.loads(payload)
                    return value if isinstance(value, dict) else None
        return None

    def put_audit(self, identity: str, audit: Mapping[str, Any]) -> None:
        """Store what the audit of a loaded variant found."""
        payload = json.dumps(dict(audit), sort_keys=True)
        row = (identity, payload, _seal(identity, "audit", payload))
        self._write("INSERT OR REPLACE INTO audits VALUES (?, ?, ?)", [row])

    def get_measures(self, identity: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What was measured of a variant beside its answers, as plain JSON.

        Args:
            identity: Digest of the variant's identity.
            keys: Digests of everything else that a measure depends on.

        Returns:
            Measures by key; what is not stored, or does not match its seal, is left out.
        """
        found: dict[str, dict[str, Any]] = {}
        for key, payload in self._rows("measures", "key", identity, list(keys)):
            with contextlib.suppress(ValueError):
                value = json.loads(payload)
                if isinstance(value, dict):
                    found[key] = value
        return found

    def put_measures(self, identity: str, measures: Mapping[str, Mapping[str, Any]]) -> None:
        """Store what was measured of a variant beside its answers.

        Args:
            identity: Digest of the variant's identity.
            measures: Plain JSON, by key.
        """
        payloads = {key: json.dumps(dict(value), sort_keys=True) for key, value in measures.items()}
        rows = [(identity, key, payload, _seal(identity, key, payload)) for key, payload in payloads.items()]
        self._write("INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?)", rows)

    def info(self) -> CacheInfo:
        """Count what is stored."""
        counts = list(self._read("SELECT COUNT(*), COUNT(DISTINCT identity) FROM completions", ()))
        completions, variants = counts[0] if counts else (0, 0)
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        return CacheInfo(self.path, completions, variants, size)

    def clear(self) -> int:
        """Forget every answer and what was set aside; the number of answers that were forgotten."""
        count = self.info().completions
        for table in _TABLES:
            self._write(f"DELETE FROM {table}", [()])  # noqa: S608  (a name of ours)
        self._shrink()
        for aside in self.path.parent.glob(f"{self.path.name}{ASIDE}*"):
            aside.unlink(missing_ok=True)
        return count

    def clear_unused(self, days: int) -> int:
        """Forget the variants of which no answer was looked up or stored for longer than so many days.

        Those of which no day is known count as used today.

        Args:
            days: At least 1.

        Returns:
            The number of answers that were forgotten.
        """
        count = self.info().completions
        for table in _TABLES[:-1]:
            query = f"INSERT OR IGNORE INTO used SELECT DISTINCT identity, ? FROM {table}"  # noqa: S608  (likewise)
            self._write(query, [(str(_today()),)])
        first = str(date.fromordinal(max(1, _today().toordinal() - days)))
        for table in _TABLES:
            query = f"DELETE FROM {table} WHERE identity IN (SELECT identity FROM used WHERE day < ?)"  # noqa: S608  (likewise)
            self._write(query, [(first,)])
        self._shrink()
        return count - self.info().completions

    def _shrink(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _note_use(self, identity: str) -> None:
        """Note the day, once for each variant; where that cannot be written, the answers are as good."""
        if identity not in self._used:
            self._used.add(identity)
            with contextlib.suppress(sqlite3.Error), self._database:
                self._database.execute("INSERT OR REPLACE INTO used VALUES (?, ?)", (identity, str(_today())))

    def _rows(
        self,
        table: Literal["completions", "measures"],
        column: Literal["request", "key"],
        identity: str,
        keys: list[str],
    ) -> Iterator[tuple[str, str]]:
        """Keys and payloads of one variant that match their seals."""
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            marks = ",".join("?" * len(part))
            query = f"SELECT {column}, payload, seal FROM {table} WHERE identity = ? AND {column} IN ({marks})"  # noqa: S608  (names of ours and question marks are formatted in)
            for key, payload, seal in self._read(query, (identity, *part)):
                if seal == _seal(identity, key, payload):
                    yield key, payload

    def _read(self, query: str, parameters: tuple[str, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._attempt(lambda database: database.execute(query, parameters).fetchall())
        except sqlite3.DatabaseError as error:
            _warn(f"the completion cache {self.path} cannot be read ({error}); answers are made again")
            return []

    def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        def commit(database: sqlite3.Connection) -> None:
            with database:
                database.executemany(statement, rows)

        try:
            self._attempt(commit)
        except sqlite3.DatabaseError as error:
            _warn(f"the completion cache {self.path} cannot be written ({error}); the run goes on without it")

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it, and where the file turns out to be damaged, once more with what took its place."""
        try:
            return work(self._database)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0)  # what Python itself says has none
            if code & _PRIMARY not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
        self._database.close()
        self._database = self._open(checked=True)  # another process may have begun a new file already
        return work(self._database)

    def _open(self, *, checked: bool = False) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The lock covers opening only: two processes must not both judge, or both replace, a damaged file.
            with FileLock(f"{self.path}.lock", timeout=BUSY_SECONDS):
                try:
                    return _connect(self.path, checked=checked)
                except _NotOurs as error:
                    aside = self._set_aside()
                    _warn(f"the completion cache {self.path} {error}; it was set aside as {aside.name}")
                    return _connect(self.path)
        except (OSError, Timeout, sqlite3.Error) as error:
            _warn(f"the completion cache {self.path} cannot be opened ({error}); the run goes on without it")
            memory = sqlite3.connect(":memory:", check_same_thread=False)  # answers of a server come in a thread
            memory.executescript(SCHEMA)
            return memory

    def _set_aside(self) -> Path:
        aside = self.path.with_name(f"{self.path.name}{ASIDE}{time.time_ns()}")
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside


def _today() -> date:
    return datetime.now(UTC).date()


class _NotOurs(Exception):  # noqa: N818  (a signal inside this file, not an error that anyone else sees)
    """The file is torn, or another program's."""


def _connect(path: Path, *, checked: bool = False) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        _prepare(database, checked=checked)
    except sqlite3.OperationalError:
        database.close()
        raise  # locked, read-only, full: the file itself may be sound
    except sqlite3.DatabaseError as error:
        database.close()
        raise _NotOurs(f"is damaged ({error})") from error
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, *, checked: bool) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if tables and (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        raise _NotOurs("was not written by this version")
    database.execute("PRAGMA journal_mode = WAL")
    # NORMAL with WAL keeps committed answers through a killed process; only a power cut may lose the last ones.
    database.execute("PRAGMA synchronous = NORMAL")
    if checked:
        (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise _NotOurs(f"is damaged ({state.splitlines()[-1]})")
    if not tables:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.executescript(SCHEMA)


def _seal(identity: str, key: str, payload: str) -> str:
    return digest_of([identity, key, payload])


def _warn(message: str) -> None:
    warnings.warn(message, QuantgateWarning, stacklevel=3)
