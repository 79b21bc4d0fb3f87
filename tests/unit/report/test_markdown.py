"""The comment on a pull request: inert whatever the model says, and never too long."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_quantgate.cases.model import Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.golden.model import Standing
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.printable import visible
from pytest_quantgate.report.inert import code, fenced, folded, span, told, told_lines
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.tables import PAGE
from tests.unit.report.build import PASSED, anchored, case, counted, full, record, run, typical, with_summaries

HOSTILE = [
    "@octocat please look at #12, GH-7 and octo/repo#3 :rocket: deadbeefcafe",
    "https://example.org www.example.org someone@example.org <https://example.org>",
    "![a](https://example.org/a.png) [b](javascript:alert(1)) [c]: https://example.org",
    "<script>alert(1)</script> <img src=x onerror=alert(1)> <!-- --> </details></summary> &lt;",
    "```\n@octocat\n```\n~~~\n</details>\n````text\n`````",
    "1. one\n- two\n# three\n> four\n| a | b |\n| - | - |\n---\n===\n    five",
    "$`x`$ $$x$$ **bold** __bold__ ~~gone~~ \\@octocat \\` \\",
    "\x1b[2J\u202e\ud800\x00\r\u2028 tab\tend",
    "`" * 40,
    "x" * 100_000,
    " ",
    "",
]
OWN_HTML = re.compile(
    r"<details><summary>(<code>[^<>]*</code>|indicators, and what the verdicts rest on)</summary>|</details>"
)
PINGS = re.compile(r"[@#<>&$*_~|\\`\[\]]|://|www\.\w|:\w+:|GH-|\b[0-9a-f]{7,40}\b")
"""What GitHub could make something of, outside of code."""


def page_of(text: str) -> list[Any]:
    return MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).parse(text)


def refuse_anything_live(text: str) -> None:
    """Every token of the page is of the few kinds that the page is made of, and no plain text can be obeyed."""
    for token in page_of(text):
        if token.type == "html_block":
            for line in filter(None, token.content.splitlines()):
                assert OWN_HTML.fullmatch(line), line
        assert token.type not in ("code_block", "hr", "blockquote_open", "ordered_list_open"), token
        for child in token.children or ():
            assert child.type in ("text", "code_inline", "softbreak", "strong_open", "strong_close"), child
            if child.type == "text":
                assert not PINGS.search(child.content), child.content


def _broken(completion: Completion, check: str, reason: str) -> Outcome:
    return Outcome(completion, (CheckResult(check, followed=False, reason=reason),), passed=False)


def hostile(text: str) -> RunReport:
    """A failing run in which everything that can be untrusted is that text."""
    answer = _broken(Completion(text, (1, 2), "stop", 3), text, text)
    spec, name = f"nf4{text[:2_000]}", f"format{text[:2_000]}"
    asked = replace(case(f"{text[:2_000]}"), messages=(Message("user", text),), location=case("a").location)
    records = [
        replace(record(name, "a", PASSED, answer, spec), case=asked),
        record(name, "b", PASSED, PASSED, spec),
    ]
    report = with_summaries(run((name, records), candidate=spec), text)
    kept = anchored()
    golden = replace(
        kept.goldens[0],
        slice=name,
        variant=spec,
        path=text,
        anchored=text,
        by=text,
        standings=(Standing(text, "drifted", text),),
        changes=(text,),
        accepted={text: text},
    )
    return replace(
        report,
        model=text,
        created=text,
        command=("pytest", text),
        report_path=text,
        goldens=(golden,),
        drifts=(replace(kept.drifts[0], slice=name, candidate=spec, reasons=(text,)),),
        gates=tuple(replace(gate, reasons=(*gate.reasons, text)) for gate in report.gates),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_untrusted_is_obeyed(text: str) -> None:
    page = markdown_report(hostile(text))
    refuse_anything_live(page)
    assert len(page) < PAGE
    assert all(each.isprintable() for each in page if each != "\n")


PIECES = st.sampled_from(
    [*"`~|<>@#*_[]()!\\&\n\r\t :/wH0a-1.+$='\"", "```", "</details>", "www.", "GH-1", "\n\n", "1. "]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES | st.characters(), max_size=40).map("".join))
def test_no_text_at_all_is_obeyed(text: str) -> None:
    refuse_anything_live(markdown_report(hostile(text)))


@given(st.lists(PIECES | st.characters(exclude_categories=()), max_size=40).map("".join))
def test_each_way_to_write_a_text_is_inert_and_complete(text: str) -> None:
    refuse_anything_live(
        f"- {told(text)}\n- {told_lines(text, '  ')}\n- {span(text)}\n- {code(text)}\n\n"
        f"{fenced(text)}\n{folded(text, fenced(text))}"
    )
    (fence,) = (token for token in page_of(fenced(text)) if token.type == "fence")
    assert fence.content == visible(text, keep="\n") + "\n"
    inline = [child.content for token in page_of(f"- {told(text)}") for child in token.children or ()]
    assert "".join("".join(inline).split()) == "".join(visible(text).split())


def test_plain_words_and_numbers_stay_plain() -> None:
    sentence = "PASS→FAIL 3 of 12 (25.0%): excess -1.0 to 59.1%, 75→50%, ±2.0 (95% interval 7.1-59.1%) is above 5.0%"
    assert told(sentence) == sentence
    assert told("the control ruin:2bit, and max_drift") == "the control `ruin:2bit`, and `max_drift`"
    assert told("1. that") == "`1.` that"


def test_a_reason_of_several_lines_has_them_and_what_was_not_compared_is_not_counted() -> None:
    problem = "model.safetensors: the file is truncated\n  download it again"
    page = markdown_report(run(("format", []), problem=problem, audited=False))
    assert "  - `model.safetensors`: the file is truncated\n    download it again\n" in page
    assert "| `format` | `nf4` | - | - | - |" in page


def test_the_verdict_comes_first_and_the_worst_slice_before_the_others() -> None:
    page = markdown_report(typical())
    assert page.startswith("## quantgate: FAIL\n\n`nf4` against `fp16` (`smollm2`, `cpu`, `float32`): 3 gates: 1 FAIL,")
    rows = re.findall(r"^\| `(.*?)` \|.*\| (\S+) \|$", page, re.MULTILINE)
    assert rows == [("format", "**FAIL**"), ("refusals", "**INCONCLUSIVE**"), ("long-context", "PASS")]
    row = next(line for line in page.splitlines() if line.startswith("| `format`"))
    assert row == "| `format` | `nf4` | 60 | 5 | 8.3% (3.6-18.1%) | 5.0% | 0.917 | 0.90 | **FAIL** |"


def test_slices_of_one_verdict_stand_by_how_far_they_are_off() -> None:
    off = {"slightly": 3, "far": 20, "well": 8}
    report = run(*((name, counted(name, pp=30, pf=number)) for name, number in off.items()))
    assert re.findall(r"^\| `(\w+)`", markdown_report(report), re.MULTILINE) == ["far", "well", "slightly"]


def test_a_few_degraded_cases_of_each_failing_slice_are_shown_with_both_answers() -> None:
    page = markdown_report(typical())
    assert re.findall(r"<code>(format::.*?)</code>", page) == [f"format::person-{number}[nf4]" for number in range(3)]
    assert "2 more of `format` on `nf4`." in page
    assert '```text\n{"name": "Alice", "age": 30}\n```' in page
    assert '`nf4`: FAIL, 3 tokens, cut at the token limit\n\n```text\n{"name": "Alice", age: 30\n```' in page
    assert "- broke json: line 1 column 19: expected a key in quotes\n" in page


def test_a_run_that_passes_shows_no_case() -> None:
    page = markdown_report(run(("format", counted("format", pp=60, pf=1))))
    assert page.startswith("## quantgate: PASS")
    assert "degraded cases" not in page
    assert "### why" not in page


def test_goldens_are_shown_with_what_changed_what_drifted_and_what_was_accepted() -> None:
    page = markdown_report(anchored())
    assert "Against the goldens: 1 drift gate: 1 FAIL." in page
    assert "| `format` | `nf4` | 35 | 1 | 4 | 1 | 0 | 0 | 0 | 9.1% (3.6-21.2%) | 2.0% | FAIL |" in page
    assert "since `nf4` on `format` was anchored (`2025-10-01T02:03:04Z`): library torch 2.13.0 → 2.14.1" in page
    assert "drifted, `nf4` on `format`: `case-40`: json: followed, now violated" in page
    assert "accepted although degraded, `nf4` on `format`: `case-3`: the old answer was wrong, see `#12`" in page
    assert "this run wrote 1 case of `nf4` on `format` into `suites/golden/format/nf4.jsonl`" in page


def test_floors_controls_and_indicators_are_folded_away() -> None:
    page = markdown_report(full())
    head, _, rest = page.partition("<summary>indicators, and what the verdicts rest on</summary>")
    assert "negative control" in rest
    assert "length ratio" in rest
    assert "median margin where answers part 0.03 nats" in rest
    assert "noise floor, P→F" not in head


def test_what_the_variants_are_stands_above_the_command() -> None:
    page = markdown_report(with_summaries(typical()))
    assert (
        "\n### variants\n\n- reference `fp16`: weights rounded to `float16`, nothing quantized; native kernels\n"
        "- candidate `nf4`: `4-bit` NormalFloat (bitsandbytes); dense kernels\n\n### command\n" in page
    )
    assert "### variants" not in markdown_report(typical())


def test_the_command_can_be_copied() -> None:
    report = replace(typical(), command=("pytest", "-k", "a b"), report_path="run.json")
    page = markdown_report(report)
    assert "```sh\npytest -k 'a b'\n```" in page
    assert "The whole run: `run.json`." in page


def _many(slices: int, degraded: int, answer: str) -> RunReport:
    bad = _broken(Completion(answer, (1,), "stop", 3), "json", answer)
    rows = [
        (f"slice-{number}", [record(f"slice-{number}", f"case-{n}", PASSED, bad) for n in range(degraded)])
        for number in range(slices)
    ]
    return run(*rows, policy=GatePolicy(min_cases=1))


@pytest.mark.parametrize(
    ("report", "left_out"),
    [
        (_many(1, 3, "`" * 30_000), ""),
        (_many(300, 1, "@octocat " * 500), "degraded cases"),
        (_many(2_000, 1, "no"), "more rows are left out here"),
    ],
    ids=["ticks", "answers", "slices"],
)
def test_what_does_not_fit_is_left_out_by_importance_and_told(report: RunReport, left_out: str) -> None:
    page = markdown_report(report)
    assert len(page) < PAGE
    assert page.startswith("## quantgate: FAIL")
    assert "### gates" in page
    assert "### why" in page
    assert "### command" in page
    assert left_out in page
    refuse_anything_live(page)


def test_an_empty_run_is_no_pass() -> None:
    assert markdown_report(run()).startswith("## quantgate: INCONCLUSIVE\n\n`nf4` against `fp16`")


def test_equal_reports_give_equal_pages_also_when_read_back() -> None:
    report = full(size=3)
    assert markdown_report(RunReport.from_json(report.to_json())) == markdown_report(report)
