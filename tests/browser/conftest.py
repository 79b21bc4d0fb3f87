"""Chromium over the HTML report; the browser that is installed, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from pytest_quantgate.report.html import page as html_page
from pytest_quantgate.report.model import RunReport

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE = 300_000
"""Milliseconds that a slow machine may need for what a browser does at once."""

Open = Callable[..., Page]


@pytest.fixture(scope="package")  # while it is open no other test of the process may run an event loop of its own
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = f"no browser is installed: none of {', '.join(NAMES)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS), timeout=PATIENCE)
        yield chromium
        chromium.close()


@dataclass
class Watch:
    """What a page did that it must not do."""

    troubles: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("console", lambda message: self.troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.troubles.append(f"dialog: {dialog.message}"))
        page.on("popup", lambda popup: self.troubles.append(f"popup: {popup.url}"))


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Every page that a test opens is watched: it loads nothing, logs nothing and asks nothing."""
    found = Watch()
    yield found
    assert found.troubles == []


@pytest.fixture
def open_page(browser: Browser, watch: Watch, tmp_path: Path) -> Iterator[Open]:
    """Open a report as its reader does, from a file; keywords are those of a browser context."""
    contexts = []

    def opened(report: RunReport | str, **settings: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(report if isinstance(report, str) else html_page(report), encoding="utf-8")
        context = browser.new_context(**settings)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)

        def refuse(route: Route) -> None:
            if route.request.url.partition("#")[0] != file.as_uri():
                watch.troubles.append(f"request: {route.request.url}")
            route.continue_()

        context.route("**/*", refuse)
        page = context.new_page()
        watch.over(page)
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
