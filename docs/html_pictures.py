"""Take the pictures of docs/html-report.md: `python docs/html_pictures.py RUN.json docs/images`; needs Chromium."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from pytest_quantgate.report.html import page
from pytest_quantgate.report.store import load

WIDE, NARROW = {"width": 1120, "height": 800}, {"width": 390, "height": 800}


def opened(browser: Browser, file: Path, scheme: str, size: dict[str, int]) -> Page:
    """The report in a window of its own."""
    tab = browser.new_context(color_scheme=scheme, viewport=size).new_page()  # type: ignore[arg-type]
    tab.goto(file.as_uri())
    return tab


def main(source: Path, target: Path) -> None:
    """Write the page of a run, and photograph its parts."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page(load(source)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        opened(browser, file, "light", WIDE).screenshot(path=target / "html-verdicts.png")
        tab = opened(browser, file, "light", {**WIDE, "height": 1000})
        tab.evaluate("location.hash = '#slice-1'")
        tab.screenshot(path=target / "html-slice.png")
        tab = opened(browser, file, "dark", {**WIDE, "height": 900})
        tab.get_by_role("searchbox").fill("capital of France")
        tab.locator("#count").filter(has_not_text="first 50").wait_for()
        tab.locator(".open").first.click()
        tab.evaluate("location.hash = '#cases'")
        tab.screenshot(path=target / "html-case-dark.png")
        opened(browser, file, "light", NARROW).screenshot(path=target / "html-phone.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
