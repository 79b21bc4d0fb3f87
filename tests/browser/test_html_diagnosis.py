from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from playwright.sync_api import expect

from pytest_quantgate.report.html import page as html_page
from tests.browser.conftest import Open
from tests.browser.test_html_report import CONTRASTS
from tests.unit.report.diagnosed import SPEC, diagnosis, hostile, with_diagnoses
from tests.unit.report.test_html import HOSTILE


@cache
def diagnosed() -> str:
    return html_page(with_diagnoses(diagnosis(6)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_diagnosis_can_be_read_in_both_themes(scheme: Any, open_page: Open) -> None:
    page = open_page(diagnosed(), color_scheme=scheme)
    for each in page.locator("#diagnosis details").all():
        each.locator("summary").click()
    found = page.evaluate(CONTRASTS)
    assert {"span.verdict doubt", "span.fail", "text.fill-fail"} <= set(found)
    assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < 4.5} == {}


FILLS = """() => [...document.querySelectorAll('[class^="fill-pass-"]')].map((each) => getComputedStyle(each).fill)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_heat_map_has_its_colours_in_both_themes(scheme: Any, open_page: Open) -> None:
    page = open_page(diagnosed(), color_scheme=scheme)
    assert len(set(page.evaluate(FILLS))) == 9
    heat = page.get_by_role("img", name="Linear CKA, layer, degraded cases").first
    expect(heat).to_be_visible()


def test_a_screen_reader_finds_the_diagnosis_with_its_evidence_and_charts(open_page: Open) -> None:
    page = open_page(diagnosed())
    page.get_by_role("link", name="Diagnosis").click()
    expect(page.get_by_role("heading", name="signal degradation nf4 on format, against fp16")).to_be_in_viewport()
    evidence = page.get_by_role("table", name="Evidence: each criterion with its limits")
    expect(evidence.get_by_role("row", name="gate sign flips")).to_contain_text("at most 0.150")
    expect(page.get_by_role("img", name="repairs by bits and cases turned back")).to_be_visible()
    expect(page.get_by_label("Run the repair")).to_contain_text(SPEC)
    page.get_by_text("Everything measured of nf4 on format in figures").click()
    expect(page.get_by_role("table", name="Logit lens: rank at: parting")).to_be_visible()


def test_a_diagnosis_fits_on_a_narrow_phone(open_page: Open) -> None:
    page = open_page(diagnosed(), viewport={"width": 360, "height": 740})
    for each in page.locator("#diagnosis details").all():
        each.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_hostile_texts_of_a_diagnosis_do_nothing(open_page: Open) -> None:
    page = open_page(hostile(HOSTILE))  # the fixture asserts that nothing was asked, loaded or logged
    expect(page.locator("#diagnosis h3")).to_contain_text("<script>alert(1)</script><!--")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3
