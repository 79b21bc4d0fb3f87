from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cases.model import CheckSpec, Turn
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report import html
from pytest_quantgate.report.html import page
from pytest_quantgate.report.html.cases import case_data
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import SliceRecord, VariantRecord
from tests.unit.report.build import (
    FAILED,
    PASSED,
    UNSCORED,
    anchored,
    counted,
    full,
    record,
    run,
    sweep,
    typical,
    with_summaries,
)

VOID = {"meta", "link", "br", "input", "img"}
HOSTILE = "<script>alert(1)</script><!--</b>\u202eevil\x1b[31m\ud800&quot;\u2028{{ 7 * 7 }}<img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "an element ends where another one was open"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data

    @property
    def words(self) -> str:
        shown = (text for tag, texts in self.texts.items() if tag not in ("script", "style") for text in texts)
        return " ".join(" ".join(shown).split())


def seen(report: RunReport) -> Page:
    return Page(page(report))


@cache
def usual() -> Page:
    return seen(typical())


def data_of(report: RunReport) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The cases as the page's script reads them; nothing is drawn for it."""
    found = case_data(report)
    return json.loads(found.index), list(map(json.loads, found.lines.split("\n")))


def test_the_page_tells_verdicts_intervals_limits_and_reasons() -> None:
    words = usual().words
    assert "Of 3 gates: 1 FAIL, 1 INCONCLUSIVE, 1 PASS." in words
    assert "8.3%" in words
    assert "3.6-18.1%" in words
    assert "limit 5.0%" in words
    assert "PASS→FAIL 5 of 60 (8.3%, 95% interval 3.6-18.1%) is above 5.0%." in words


def test_a_gate_says_what_the_answers_look_like_and_how_sure_the_reference_was() -> None:
    told = [text for text in usual().texts["p"] if text.startswith("Answers, ")]
    assert told[0] == (
        "Answers, fp16→nf4 (no gate judges by these): 4→4 tokens on average, 0→5 cut off, 0→5 do not parse, "
        "median margin where answers part 0.03 nats (P→F)."
    )
    assert len(told) == 3
    silent = seen(run(("format", [record("format", "one", UNSCORED, UNSCORED)])))
    assert not [text for text in silent.texts["p"] if text.startswith("Answers, ")]


def test_the_table_of_variants_tells_what_each_is_and_by_which_kernels_it_answered() -> None:
    found = seen(with_summaries(typical()))
    rows = [text.split() for text in found.texts["th"]]
    assert (rows.count(["what", "it", "is"]), rows.count(["kernels"])) == (1, 1)
    assert {"weights rounded to float16, nothing quantized", "4-bit NormalFloat (bitsandbytes)"} <= set(
        found.texts["td"]
    )
    assert {"native", "dense"} <= set(found.texts["code"])
    assert "what it is" not in usual().texts["th"]


def test_the_matrix_tells_counts_and_shares_and_the_unscored_beside_it() -> None:
    records = [*counted("format", pp=5, ff=2, pf=2, fp=1), record("format", "no", UNSCORED, PASSED)]
    found = seen(run(("format", records)))
    text = " ".join(found.texts["b"] + found.texts["span"])
    assert [each for each in found.texts["b"] if each.isdigit()] == ["5", "2", "1", "2"]
    assert [share in text for share in ("50.0%", "20.0%", "10.0%")] == [True] * 3
    assert "1 unscored beside it" in found.words


def test_equal_reports_give_equal_pages() -> None:
    assert page(anchored()) == page(anchored())


def test_a_page_of_a_report_that_was_read_back_is_the_same() -> None:
    report = replace(anchored(), report_path="run.json")
    assert page(RunReport.from_json(report.to_json())) == page(report)


@pytest.mark.parametrize(
    "report", [typical(), full(), full(size=3), anchored()], ids=["typical", "full", "clusters", "golden"]
)
def test_the_page_is_well_formed_and_holds_nothing_that_its_policy_forbids(report: RunReport) -> None:
    text = page(report)
    found = Page(text)
    assert found.open == []
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in found.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert attributes.get("href", "#").startswith("#"), f"{tag} leads away from the page"
    links = {attributes["href"][1:] for tag, attributes in found.elements if tag == "a"}
    assert links <= set(ids)


def test_the_policy_allows_the_one_script_and_style_sheet_alone() -> None:
    found = usual()
    policy = next(each["content"] for tag, each in found.elements if each.get("http-equiv"))
    (style,), script = found.texts["style"], found.texts["script"][2]
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def hostile() -> RunReport:
    """A run in which every text that comes from outside is hostile."""
    broken = Outcome(
        Completion(HOSTILE, (1, 2, 9), "stop", 3, (0.5, 0.01, float("nan"))),
        (CheckResult(HOSTILE, followed=False, reason=HOSTILE),),
        passed=False,
    )
    good = replace(
        broken,
        completion=replace(broken.completion, text=f"x{HOSTILE}", token_ids=(1, 2, 3)),
        results=(CheckResult(HOSTILE, followed=True, reason=HOSTILE),),
        passed=True,
    )
    report = run(
        (HOSTILE, [record(HOSTILE, f"{HOSTILE}{n}", good, broken, HOSTILE) for n in range(3)]), candidate=HOSTILE
    )
    cases = tuple(
        replace(
            each,
            case=replace(
                each.case,
                messages=(replace(each.case.messages[0], content=HOSTILE),),
                checks=(CheckSpec(HOSTILE, {HOSTILE: HOSTILE}),),
                tags=(HOSTILE,),
                cluster=HOSTILE,
                answer_prefix=HOSTILE,
            ),
        )
        for each in report.cases
    )
    return replace(
        report,
        cases=cases,
        model=HOSTILE,
        revision=HOSTILE,
        device=HOSTILE,
        created=HOSTILE,
        command=(HOSTILE,),
        base_command=(HOSTILE,),
        report_path=HOSTILE,
        slices=(SliceRecord(HOSTILE, HOSTILE, HOSTILE, 3),),
        candidates=(VariantRecord(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, problem=HOSTILE, summary=HOSTILE),),
    )


def test_no_text_of_a_run_acts_or_hides() -> None:
    text = page(hostile())
    found = Page(text)
    assert found.open == []
    assert len(found.texts["script"]) == 3
    assert "img" not in {tag for tag, _ in found.elements}
    assert "<!--" not in text
    assert "{{ 7 * 7 }}" in found.words
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\\u202eevil\\x1b[31m\\ud800" in found.words
    assert all(each.isprintable() or each == "\n" for each in text)
    line = json.loads(found.texts["script"][1].partition("\n")[0])
    assert line["turns"][0]["answers"][1]["text"].startswith("<script>alert(1)</script><!--")


def test_a_very_long_text_is_cut_and_both_answers_to_the_part_where_they_part() -> None:
    long = "word " * 200_000
    before = replace(PASSED, completion=replace(PASSED.completion, text=f"{long}alpha"))
    after = replace(FAILED, completion=replace(FAILED.completion, text=f"{long}omega"))
    report = run(("format", [record("format", "long", before, after)]))
    assert len(case_data(report).lines) < 120_000
    _, (line,) = data_of(report)
    cut = line["turns"][0]["answers"][1]["cut"]
    assert cut[0].endswith("alpha")
    assert cut[1].endswith("omega")
    assert cut[0].startswith("[... 999600 characters ...]")


def test_the_table_lists_what_changed_first_and_every_case_of_every_candidate() -> None:
    records = counted("format", pp=2, ff=1, pf=1, fp=1)
    unasked = replace(record("format", "unasked", PASSED, PASSED), outcomes={})
    index, lines = data_of(run(("format", [*records, record("format", "no", UNSCORED, PASSED), unasked])))
    told = [index["transitions"][row[2]] for row in index["rows"]]
    assert told == ["PASS→FAIL", "FAIL→PASS", "unscored", "no result", "FAIL→FAIL", "PASS→PASS", "PASS→PASS"]
    assert [index["ids"][row[0]] for row in index["rows"]][:3] == ["case-3", "case-4", "no"]
    assert len(lines) == 7
    assert lines[6]["turns"][0]["answers"] == [None, None]


def test_a_case_opens_to_prompt_answers_checks_margins_parting_and_its_rerun() -> None:
    index, (line,) = data_of(run(("format", [record("format", "alice", PASSED, FAILED)])))
    (turn,) = line["turns"]
    assert turn["asked"] == [
        ["system", "Answer with JSON only."],
        ["user", "Write a JSON object for Alice, who is 30."],
    ]
    assert turn["checks"] == [["json", '{"fenced": ["never", 1], "strict": false}']]
    before, after = turn["answers"]
    assert before["head"] == "fp16: PASS, 4 tokens"
    assert before["margin"] == "least sure at token 3 (0.03 nats); 1 of 4 tokens are near ties"
    assert after["results"] == [[False, "line 1 column 19: expected a key in quotes"]]
    assert after["parting"].startswith("They part at token 3")
    assert line["where"] == "suites/format.slice.yaml:12"
    assert index["base"] + line["rerun"][0][0] == (
        "pytest --quant-suite core --quant-ref fp16 --quant-cand nf4 -k 'format::alice[nf4]'"
    )


def test_every_turn_of_a_case_is_told() -> None:
    first = record("format", "chat", PASSED, PASSED)
    later = replace(first.case, later=(Turn("And Bob?", (CheckSpec("json"),), 32),))
    outcomes = {
        spec: Outcome(PASSED.completion, PASSED.results + last.results, last.passed, turns=(PASSED, last))
        for spec, last in (("fp16", PASSED), ("nf4", FAILED))
    }
    _, (line,) = data_of(run(("format", [replace(first, case=later, outcomes=outcomes)])))
    assert [turn["asked"][-1][1] for turn in line["turns"]][1] == "And Bob?"
    assert line["turns"][0]["answers"][1]["parting"] == "Both answers have the same tokens."
    assert line["turns"][1]["answers"][1]["results"][0][0] is False
    assert line["parted"] == [4 + 2]


def test_an_answer_that_is_none_is_told_apart_from_its_text() -> None:
    _, (line,) = data_of(run(("format", [record("format", "no", UNSCORED, PASSED)])))
    assert line["turns"][0]["answers"][0]["none"] == "(no answer: the prompt does not fit)"


def test_goldens_are_told_with_their_states_changes_and_accepted_reasons() -> None:
    found = seen(anchored())
    words = found.words
    for told in ("library torch 2.13.0 → 2.14.1", "the old answer was wrong, see #12", "Of 1 drift gate: 1 FAIL."):
        assert told in words
    index, lines = data_of(anchored())
    states = {index["ids"][row[0]]: index["states"][row[3]] for row in index["rows"]}
    assert (states["case-40"], states["case-1"], states["case-2"], states["case-5"]) == (
        "drifted",
        "reworded",
        "new",
        "same",
    )
    assert lines[3]["goldens"] == [None, ["same", "", "the old answer was wrong, see #12"]]


def test_controls_floor_and_looks_are_told() -> None:
    words = seen(full()).words
    for told in ("positive control int2", "noise floor, P→F of fp16", "sequential, seed 7", "negative control"):
        assert told in words


def test_a_run_without_cases_invents_nothing() -> None:
    found = seen(run(("format", []), problem="it does not load", audited=False))
    assert "INCONCLUSIVE" in found.words
    assert "0.0%" not in found.words
    assert "it does not load" in found.words


def test_a_run_without_gates_says_so() -> None:
    report = replace(run(("format", [])), gates=(), slices=(), candidates=())
    assert "No gate was judged." in seen(report).words


def test_the_cliff_is_drawn_for_several_candidates_alone() -> None:
    assert "from many bits to few" not in usual().words
    report = sweep(("int8", 8.0, Verdict.PASS), ("nf4", 4.0, Verdict.FAIL), ("int2", 2.0, None))
    assert "PASS→FAIL from many bits to few: the fall begins in 1 of 1 slice" in seen(report).words


def test_charts_carry_names_roles_and_no_colour_of_their_own() -> None:
    found = seen(run(("日本語 $x^2$", counted("日本語 $x^2$", pp=30, pf=10))))
    drawn = [attributes for tag, attributes in found.elements if tag in ("path", "text")]
    assert not [each for each in drawn if "#" in each.get("fill", "") + each.get("stroke", "")]
    assert any("fill-fail" in each.get("class", "") for each in drawn)
    assert "日本語 $x^2$" in found.texts["text"]
    assert all(each["aria-label"] for tag, each in found.elements if tag == "svg")


def test_every_figure_that_is_drawn_stands_in_a_table_too() -> None:
    words = usual().words
    for caption in ("fragility: of the checks", "tokens before the first difference", "indicators: candidate against"):
        assert caption in words


def test_the_worst_gates_are_drawn_where_a_run_has_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_DRAWN", 1)
    slices = [(name, counted(name, pp=3, pf=3 if name == "c" else 0)) for name in "abcd"]
    found = seen(run(*slices))
    assert sum(tag == "article" for tag, _ in found.elements) == 4
    assert [text for text in found.texts["figcaption"] if text.startswith("Most fragile")] == [
        "Most fragile: json, 3 of 6 checks broken"
    ]


def test_the_templates_are_in_the_package() -> None:
    folder = Path(__file__).parents[3] / "pytest_quantgate/report/html/templates"
    assert {each.name for each in folder.iterdir()} >= {"page.html.jinja", "style.css", "script.js"}
