from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pytest_quantgate.report.html import page as html_page
from tests.browser.conftest import Open, Watch
from tests.unit.report.build import FAILED, PASSED, anchored, counted, full, record, run
from tests.unit.report.test_html import hostile

ANSWER = "Alice is 30 years old, and lives in a small house by the sea."


@cache
def small() -> str:
    """Two slices, two kinds of tags, every transition, and answers that differ in one word."""
    before = replace(PASSED, completion=replace(PASSED.completion, text=ANSWER))
    after = replace(FAILED, completion=replace(FAILED.completion, text=ANSWER.replace("small", "little")))
    told = record("math", "needle", before, after)
    told = replace(told, case=replace(told.case, tags=("sums",)))
    return html_page(run(("format", counted("format", pp=60, ff=2, pf=3, fp=1)), ("math", [told])))


def results(page: Page) -> str:
    return page.locator("#count").inner_text()


def test_the_page_opens_with_its_cases_what_changed_first(open_page: Open) -> None:
    page = open_page(small())
    expect(page.get_by_role("heading", level=1)).to_have_text("nf4 against fp16")
    assert results(page) == "67 of 67 results, the first 50 shown"
    assert page.locator("#rows .row").first.inner_text().split("\t")[3:4] == ["PASS→FAIL"]
    page.get_by_role("button", name="Show more").click()
    assert results(page) == "67 of 67 results"
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_cases_are_filtered_and_searched(open_page: Open) -> None:
    page = open_page(small())
    page.get_by_role("combobox", name="Transition", exact=True).select_option("PASS→FAIL")
    assert results(page) == "4 of 67 results"
    page.get_by_role("combobox", name="Tag", exact=True).select_option("sums")
    assert results(page) == "1 of 67 results"
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#count")).to_have_text("67 of 67 results, the first 50 shown")
    page.get_by_role("searchbox", name="Search").fill("LITTLE house")
    expect(page.locator("#count")).to_have_text("1 of 67 results")
    page.get_by_role("searchbox", name="Search").fill("nothing says this")
    expect(page.locator("#count")).to_have_text("0 of 67 results")
    expect(page.locator("#state")).to_be_hidden()  # this run has no goldens


def test_cases_are_filtered_by_how_they_stand_to_their_golden(open_page: Open) -> None:
    page = open_page(anchored())
    page.get_by_role("combobox", name="Golden", exact=True).select_option("drifted")
    assert results(page) == "4 of 44 results"
    page.locator(".open").first.click()
    expect(page.locator(".golden")).to_contain_text("json: followed, now violated")


def test_a_count_of_a_matrix_leads_to_its_cases(open_page: Open) -> None:
    page = open_page(small())
    page.locator(".matrix").first.get_by_role("link", name="FAIL→PASS").click()
    assert results(page) == "1 of 67 results"
    assert page.locator("#rows .row td").nth(2).inner_text() == "FAIL→PASS"
    assert page.url.endswith("#cases")


def test_a_row_opens_and_closes_by_keyboard_alone(open_page: Open) -> None:
    page = open_page(small())
    page.get_by_role("searchbox", name="Search").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "open":
            break
    button = page.locator(".open").first
    expect(button).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".detail")).to_contain_text("Write a JSON object for Alice, who is 30.")
    page.keyboard.press("Space")
    expect(page.locator(".detail")).to_have_count(0)


def test_both_answers_stand_side_by_side_with_their_difference_marked(open_page: Open) -> None:
    page = open_page(small())
    page.get_by_role("combobox", name="Slice", exact=True).select_option("math")
    page.locator(".open").click()
    sides = page.locator(".side")
    assert [each.text_content() for each in sides.locator("mark").all()] == ["small", "little"]
    assert sides.locator("mark.first").count() == 2
    assert sides.first.locator("pre").text_content() == ANSWER
    left, right = (each.bounding_box() for each in sides.all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    detail = page.locator(".detail")
    for told in (
        "They part at token 3",
        "✓ followed",
        "✕ violated",
        "expected a key in quotes",
        "nats",
        "-k 'math::needle[nf4]'",
    ):
        expect(detail).to_contain_text(told)


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("one two", "one two three", ["", " three"]),
        ("one", "", []),  # no text to compare with: that there is none is said
        ("a b c d", "a x c y", ["b", "d", "x", "y"]),
        ("the same", "the same", []),
        ("x y", "z", ["x y", "z"]),
    ],
)
def test_differences_are_marked_by_words(before: str, after: str, marked: list[str], open_page: Open) -> None:
    left = replace(PASSED, completion=replace(PASSED.completion, text=before))
    right = replace(FAILED, completion=replace(FAILED.completion, text=after))
    page = open_page(run(("format", [record("format", "one", left, right)])))
    page.locator(".open").click()
    found = [each.text_content() for each in page.locator("mark").all()]
    assert found == marked


def test_a_very_long_answer_opens(open_page: Open) -> None:
    long = "word " * 200_000
    before, after = (
        replace(each, completion=replace(each.completion, text=long + end))
        for each, end in ((PASSED, "alpha"), (FAILED, "omega"))
    )
    page = open_page(run(("format", [record("format", "long", before, after)])))
    page.locator(".open").click()
    assert [each.text_content() for each in page.locator("mark").all()] == ["alpha", "omega"]


def test_hostile_texts_do_nothing(open_page: Open) -> None:
    page = open_page(hostile())  # the fixture asserts that nothing was asked, loaded or logged
    page.locator(".open").first.click()
    expect(page.locator(".side").first).to_contain_text("<script>alert(1)</script><!--")
    expect(page.locator(".side").first).to_contain_text("\\u202eevil\\x1b[31m\\ud800")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3
    page.get_by_role("searchbox", name="Search").fill("<script>alert(1)")
    expect(page.locator("#count")).to_have_text("3 of 3 results")


def test_the_policy_stops_a_script_that_would_get_in(open_page: Open, watch: Watch) -> None:
    page = open_page(small().replace("<h2", '<h2 onclick="document.title=1"', 1))
    page.locator("h2").first.click()
    assert page.title() != "1"
    assert "violates the following Content Security Policy" in watch.troubles.pop()


def test_without_javascript_verdicts_matrices_and_charts_are_there(open_page: Open) -> None:
    page = open_page(small(), java_script_enabled=False)
    expect(page.locator(".overview")).to_contain_text("FAIL")
    expect(page.locator(".matrix").first).to_be_visible()
    expect(page.locator("svg").first).to_be_visible()
    expect(page.get_by_text("The table of cases needs JavaScript")).to_be_visible()
    expect(page.locator("#rows")).to_be_hidden()
    expect(page.locator("#filters")).to_be_hidden()


def test_a_screen_reader_finds_landmarks_headings_and_captions(open_page: Open) -> None:
    page = open_page(small())
    expect(page.locator("body")).to_match_aria_snapshot("""
      - link "Skip to the verdicts"
      - banner:
        - heading "nf4 against fp16" [level=1]
      - navigation "Sections":
        - list
      - main:
        - region "Verdicts":
          - heading "Verdicts" [level=2]
        - region "format":
          - heading "format" [level=2]
        - region "Cases":
          - heading "Cases" [level=2]
        - region "Run":
          - heading "Run" [level=2]
      - contentinfo
    """)
    assert page.locator("table:not(:has(> caption))").count() == 0
    for each in page.locator("input, select").all():
        assert page.locator(f"label[for={each.get_attribute('id')}]").count() == 1
    expect(page.locator("#count")).to_have_attribute("aria-live", "polite")
    for each in page.locator("svg").all():
        assert each.get_attribute("aria-label")


SCROLLING = """() => [...document.querySelectorAll("body *")]
  .filter((each) => each.checkVisibility() && /auto|scroll/.test(getComputedStyle(each).overflowY))
  .map((each) => each.outerHTML.slice(0, 80))"""

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const inside = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(parse(inside)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const name = `${element.localName}.${element.getAttribute("class") ?? ""}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_themes(scheme: Any, open_page: Open) -> None:
    page = open_page(full(), color_scheme=scheme)
    page.locator(".open").first.click()
    for each in page.locator("details").all():
        each.locator("summary").click()
    found = page.evaluate(CONTRASTS)
    assert {"b.", "span.verdict fail", "text.fill-ink", "mark.first", "span.verdict pass"} <= set(found)
    assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < 4.5} == {}


def test_on_paper_everything_is_open_and_nothing_scrolls(open_page: Open) -> None:
    page = open_page(small())
    page.locator(".open").first.click()
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.locator("#filters")).to_be_hidden()
    expect(
        page.get_by_role("table", name="by number of checks").or_(page.get_by_role("table", name="fragility")).first
    ).to_be_visible()
    assert page.evaluate(SCROLLING) == []


def test_a_narrow_phone_needs_no_sideways_scrolling(open_page: Open) -> None:
    page = open_page(full(), viewport={"width": 360, "height": 740})
    page.locator(".open").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    left, right = (each.bounding_box() for each in page.locator(".side").all())
    assert left is not None
    assert right is not None
    assert right["y"] > left["y"]


def test_a_report_of_20000_cases_opens(open_page: Open) -> None:
    few = run(("format", counted("format", pp=1)))
    page = open_page(replace(few, cases=tuple(counted("format", pp=16_000, ff=3_000, pf=600, fp=400))))
    assert results(page) == "20,000 of 20,000 results, the first 50 shown"
    assert page.locator("#rows .row").count() == 50
    page.get_by_role("searchbox", name="Search").fill("case-19999")
    expect(page.locator("#count")).to_have_text("1 of 20,000 results")
    page.locator(".open").click()
    expect(page.locator(".detail")).to_contain_text("Write a JSON object")
