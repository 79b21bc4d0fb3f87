"""What several threads want at the same time, found once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from pytest_quantgate.checks.finding import Finding


class Once:
    """Findings by digest of what is asked: the first who asks finds it, and everybody else takes what was found."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[str, Future[Finding]] = {}

    def found(self, digest: str, find: Callable[[], Finding]) -> Finding:
        """What was found; where somebody else is finding it, that is waited for.

        Args:
            digest: Of what is asked.
            find: Finds it; what it raises is raised to all who wait, and whoever asks next tries again.
        """
        with self._lock:
            known = self._found.get(digest)
            future = known or self._found.setdefault(digest, Future())
        if known is None:
            try:
                future.set_result(find())
            except BaseException as error:  # noqa: BLE001  (raised below)
                with self._lock:
                    del self._found[digest]
                future.set_exception(error)
        return future.result()
