"""A stage tells that it begins, and goes on telling every half minute until it is through."""

from __future__ import annotations

import time

import pytest

from pytest_quantgate.diagnosis.stage import Stage
from pytest_quantgate.generation.progress import SilentProgress


class Told(SilentProgress):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        """A line."""
        self.lines.append(message)


def test_a_line_at_the_start_and_every_half_minute_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told = Told()
    made = Stage(told, "activations of nf4", 5)
    for now in (110.0, 130.0, 140.0, 161.0, 200.0):  # noqa: B007  (the clock reads it)
        made(1)
    assert told.lines == [
        "activations of nf4, 5 cases",
        "activations of nf4, 2 of 5 cases",
        "activations of nf4, 4 of 5 cases",
    ]
