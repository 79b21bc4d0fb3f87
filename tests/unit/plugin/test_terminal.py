from __future__ import annotations

import pytest
from rich.console import Console

from pytest_quantgate.generation import progress
from pytest_quantgate.plugin import terminal


def test_a_log_with_color_gets_no_bar_that_moves(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    consoles: list[Console] = []
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(progress, "RichProgress", consoles.append)
    terminal.progress(pytestconfig)
    assert [console.is_terminal for console in consoles] == [False]
