"""Take the pictures of docs/html-report.md: `python docs/html_pictures.py RUN.json docs/images`; needs Chromium.

Those of a diagnosis are taken where the run has one, as `quantgate diagnose RUN.json --slice math --candidate nf4
--json WHY.json` adds it to WHY.json.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from pytest_quantgate.report.html import page
from pytest_quantgate.report.store import load

MENU = 70
"""Height of the menu that stays at the top, and a little room."""

WIDE, NARROW = {"width": 1120, "height": 800}, {"width": 390, "height": 800}


def opened(browser: Browser, file: Path, scheme: str, size: dict[str, int]) -> Page:
    """The report in a window of its own."""
    tab = browser.new_context(color_scheme=scheme, viewport=size).new_page()  # type: ignore[arg-type]
    tab.goto(file.as_uri())
    return tab


def main(source: Path, target: Path) -> None:
    """Write the page of a run, and photograph its parts."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    report = load(source)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file, why = Path(folder) / "report.html", Path(folder) / "why.html"
        file.write_text(page(replace(report, diagnoses=())), encoding="utf-8")
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
        if report.diagnoses:
            why.write_text(page(replace(report, diagnoses=report.diagnoses[:1])), encoding="utf-8")
            tab = opened(browser, why, "light", {**WIDE, "height": 950})
            tab.evaluate("location.hash = '#diagnosis-1'")
            tab.screenshot(path=target / "html-diagnosis.png")
            tab = opened(browser, why, "light", {**WIDE, "height": 1720})
            chart = tab.locator("#diagnosis-1 figure").first
            chart.evaluate(f"each => scrollTo(0, each.getBoundingClientRect().top + scrollY - {MENU})")
            tab.screenshot(path=target / "html-diagnosis-charts.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
