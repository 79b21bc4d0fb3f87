"""What takes long to find, kept across runs: where nothing is new, nothing is imported or compiled for it.

math-verify with sympy, jsonschema, the language detector, scipy, numpy's resamples and the patterns of refusals take
long to import, to read, to draw or to compile, and give the same for the same arguments. Each entry is bound to its
arguments, the versions of Python and the libraries and the state of our own files, and sealed with a digest over all
of it, against damage: whoever can write the user's cache can write findings, as they can write answers. Nothing is
kept until a run asks for it (`keep_in`). Whatever goes wrong with the file means that a thing is worked out again; a
damaged one is begun anew.
"""

from __future__ import annotations

import contextlib
import json
import platform
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.versions import version_of

Kind = Literal["math_answer", "json_schema", "schema", "language", "refusal", "probability", "interval"]

LIBRARIES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "math_answer": ("math-verify", "latex2sympy2_extended", "antlr4-python3-runtime", "sympy", "mpmath"),
    "json_schema": ("jsonschema", "jsonschema-specifications", "referencing"),
    "schema": ("jsonschema", "jsonschema-specifications", "referencing"),
    "language": ("py3langid", "numpy"),
    "refusal": (),
    "probability": ("scipy",),
    "interval": ("numpy",),
}
"""What an entry of each kind was worked out by, beside Python and our own files."""

LARGEST: Final = 100_000
"""Characters of the longest arguments that are kept: what is longer is rare, and takes room."""

_ROOMS: Final = ("cases", "checks", "outcomes")  # of the package: whose files work things out

_TABLE = (
    "CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal TEXT NOT NULL) WITHOUT ROWID"
)
_BUSY_SECONDS = 5.0
_PRIMARY: Final = 0xFF  # of an error code that SQLite extended


def default_path() -> Path:
    """The file in the user's cache folder."""
    return cache_folder() / "findings-1.sqlite3"


class Memory:
    """Entries by kind and arguments; safe to use from several threads and processes.

    Args:
        path: The SQLite file; it and its folder are made when something is first looked up.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._tried = False
        self._database: sqlite3.Connection | None = None

    def get(self, key: str) -> Any:
        """The value of a key as JSON; None when it is not kept."""
        rows = self._execute("SELECT value, seal FROM found WHERE key = ?", (key,))
        with contextlib.suppress(ValueError, RecursionError):
            for value, seal in rows:
                if seal == digest_of([key, value]):
                    return json.loads(value)
        return None

    def put(self, key: str, value: Any) -> None:
        """Keep a value that is plain JSON and not None."""
        text = json.dumps(value)
        self._execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, text, digest_of([key, text])))

    def close(self) -> None:
        """Close the file; nothing is found or kept any more."""
        with self._lock:
            self._tried = True
            if self._database is not None:
                self._database.close()
                self._database = None

    def _execute(self, statement: str, parameters: tuple[str, ...]) -> list[tuple[str, str]]:
        """What a statement gives; nothing where it fails. A file that turns out to be damaged is begun anew."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if not self._tried:
                self._tried, self._database = True, _open(self._path)
            if self._database is None:
                return []
            try:
                return self._database.execute(statement, parameters).fetchall()
            except sqlite3.DatabaseError as error:
                code = getattr(error, "sqlite_errorcode", 0)  # what Python itself says has none
                if code & _PRIMARY not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
            self._database.close()
            forget(self._path)
            self._database = _open(self._path)
        return []


_memory: list[Memory] = []  # the one in use, if any; tests run several sessions in one process, one inside another


@contextlib.contextmanager
def keep_in(path: Path) -> Iterator[None]:
    """Look things up in a file, and keep there what is worked out, until the block ends."""
    _own_files()  # as they are imported: whoever edits them meanwhile changes what the next run finds
    memory = Memory(path)
    _memory.append(memory)
    try:
        yield
    finally:
        _memory.remove(memory)
        memory.close()


def remembered(kind: Kind, arguments: Sequence[Any], work_out: Callable[[], Any], worth: Callable[[Any], bool]) -> Any:
    """What was found before for these arguments, or what is found now.

    Args:
        kind: What is asked.
        arguments: Plain JSON; everything that the result depends on, beside libraries and our own files.
        work_out: Gives the result, plain JSON.
        worth: Whether a value is such a result, and one that every run would find: all others are not kept, and not
            believed.
    """
    if not _memory:
        return work_out()
    text = json.dumps([kind, arguments], sort_keys=True)
    if len(text) > LARGEST:
        return work_out()
    key = digest_of([_state(kind), text])
    found = _memory[-1].get(key)
    if found is None or not worth(found):
        found = work_out()
        if worth(found):
            _memory[-1].put(key, found)
    return found


def forget(path: Path) -> None:
    """Remove everything that is kept."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


@cache
def _state(kind: Kind) -> str:
    """The versions of Python and of a kind's libraries, and our own files as they are now."""
    return digest_of([platform.python_version(), [version_of(name) for name in LIBRARIES[kind]], _own_files()])


@cache
def _own_files() -> list[list[str]]:
    """Names and digests: where installers give all files one time, nothing but what they hold tells them apart."""
    package = Path(__file__).parents[1]
    files = (file for room in _ROOMS for ending in ("*.py", "*.toml") for file in (package / room).rglob(ending))
    return [[str(file.relative_to(package)), sha256(file.read_bytes()).hexdigest()] for file in sorted(files)]


def _open(path: Path) -> sqlite3.Connection | None:
    for attempt in (1, 2):
        with contextlib.suppress(OSError, sqlite3.Error):
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(_TABLE)
            except sqlite3.OperationalError:  # locked, read-only, full: the file itself may be sound
                database.close()
                return None
            except sqlite3.DatabaseError:  # torn, or another program's: nothing is lost that cannot be made again
                database.close()
                if attempt == 1:
                    forget(path)
                continue
            return database
    return None
