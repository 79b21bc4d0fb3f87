"""How far generation has come: what the engine tells, and two listeners."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from pytest_quantgate.plural import counted
from pytest_quantgate.printable import no_command

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

LOG_INTERVAL_SECONDS = 30.0
GENERATING = "to generate"


class Progress(Protocol):
    """What the engine tells while it works; every method must be cheap."""

    def start(self, label: str, total: int, cached: int, doing: str = GENERATING) -> None:
        """A variant begins: how many answers it must give or read, and how many of them are cached."""

    def advance(self, cases: int, tokens: int) -> None:
        """Some cases were finished and some tokens made since the last call."""

    def note(self, message: str) -> None:
        """Something that the user should read, in one line."""

    def finish(self) -> None:
        """The variant is done, or given up."""


class SilentProgress:
    """Tells nobody."""

    def start(self, label: str, total: int, cached: int, doing: str = GENERATING) -> None:
        """Ignored."""

    def advance(self, cases: int, tokens: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""


class RichProgress:
    """A live bar on a terminal; in a log, a line at the start, every half minute, and at the end.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: RichBar | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._total = self._done = self._tokens = 0
        self._began = self._logged = 0.0

    def start(self, label: str, total: int, cached: int, doing: str = GENERATING) -> None:
        """Show the bar, or write the first line."""
        self._label, self._total, self._done, self._tokens = label, total, cached, 0
        self._began = self._logged = time.monotonic()
        if cached == total:
            self._line(f"{label}: {'' if total == 1 else 'all '}{counted(total, 'answer')} cached")
            return
        if not self._console.is_terminal:
            self._line(f"{label}: {counted(total - cached, 'answer')} {doing}, {cached} cached")
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(label, total=total, completed=cached, speed="loading")
        self._bar.start()

    def advance(self, cases: int, tokens: int) -> None:
        """Move the bar; in a log, write a line when the last one is half a minute old."""
        if not self._tokens:
            self._began = time.monotonic()  # loading the weights is not decoding
        self._done += cases
        self._tokens += tokens
        now = time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, speed=self._speed(now))
        elif now - self._logged >= LOG_INTERVAL_SECONDS:
            self._logged = now
            self._line(f"{self._label}: {self._done} of {counted(self._total, 'answer')}, {self._speed(now)}")

    def note(self, message: str) -> None:
        """Write one line, above the bar when there is one."""
        self._line(message)

    def finish(self) -> None:
        """Take the bar down and write the closing line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
        if self._tokens:
            now = time.monotonic()
            seconds = now - self._began
            told = f"{self._done} of {counted(self._total, 'answer')}, {counted(self._tokens, 'token')}"
            self._line(f"{self._label}: {told} in {seconds:.0f} s")

    def _speed(self, now: float) -> str:
        seconds = now - self._began
        return f"{self._tokens / seconds:.0f} tokens/s" if seconds >= 1 else "reading prompts"

    def _line(self, message: str) -> None:
        self._console.print(no_command(message), markup=False, highlight=False, soft_wrap=True)
