"""Remembers verdicts: one small file each, so that several processes can write at once and nothing can tear."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_quantgate.checks.finding import REASON_LENGTH, Finding, one_line
from pytest_quantgate.paths import cache_folder

_DAY: Final = 24 * 60 * 60  # seconds


def verdict_folder() -> Path:
    """Where verdicts are kept."""
    return cache_folder() / "verdicts-1"


class VerdictCache:
    """Verdicts by digest of everything that they depend on.

    Only pass and fail are kept: a judge that gave no verdict is asked again. What cannot be read or written is as if
    it were not there.

    Args:
        folder: Where the files lie; made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, digest: str) -> Finding | None:
        """The verdict of that digest, if there is one; its file's date says when it was last used."""
        try:
            value = json.loads(self._file(digest).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or value.get("digest") != digest:
            return None
        verdict, reason = value.get("followed"), value.get("reason")
        if not isinstance(verdict, bool) or not isinstance(reason, str):
            return None
        with suppress(OSError):
            os.utime(self._file(digest))
        return Finding(verdict, one_line(reason))

    def put(self, digest: str, found: Finding) -> None:
        """Keep a verdict."""
        text = json.dumps({"digest": digest, "followed": found.followed, "reason": found.reason[:REASON_LENGTH]})
        file = self._file(digest)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=file.parent)
            temporary = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as written:
                    written.write(text)
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError:  # the verdict holds, it will only be asked for again
            return

    def count(self) -> int:
        """How many verdicts are kept."""
        return len(self._files())

    def clear(self) -> int:
        """Forget them all; gives how many there were."""
        count = self.count()
        shutil.rmtree(self._folder, ignore_errors=True)
        return count

    def clear_unused(self, days: int) -> int:
        """Forget those that were not used for so many days; gives how many."""
        count, before = 0, time.time() - days * _DAY
        for file in self._files():
            with suppress(OSError):
                if file.stat().st_mtime < before:
                    file.unlink()
                    count += 1
        return count

    def _files(self) -> list[Path]:
        return list(self._folder.glob("??/*.json"))

    def _file(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.json"
