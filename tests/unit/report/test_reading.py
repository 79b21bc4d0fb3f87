"""Reports that were torn, changed or made up: one clear error or no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, anchored, record, run, typical, with_summaries

REPORT = typical()
WRITTEN = REPORT.to_json()
SMALL = json.loads(run(("format", [record("format", "a", PASSED, FAILED)])).to_json())
SMALL["goldens"] = json.loads(anchored(drifted=1).to_json())["goldens"]
COMPUTED = {"breakdown", "cliff", "indicators"}


@given(st.integers(0, len(WRITTEN) - 3))
def test_a_torn_file_is_refused(length: int) -> None:
    with pytest.raises(QuantgateError, match=r"run\.json: this is not a run report"):
        RunReport.from_json(WRITTEN[:length], where="run.json")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "[" * 100_000, '{"format": NaN}', '{"format": ' + "9" * 5000 + "}", "\x00"],
    ids=["empty", "null", "list", "object", "nested", "nan", "huge", "binary"],
)
def test_a_foreign_file_is_refused(text: str) -> None:
    with pytest.raises(QuantgateError, match="this is not a run report") as caught:
        RunReport.from_json(text)

    assert "--quant-report-json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"passed": True}, "passed is not what its results say"),
        ({"passed": None}, None),
        ({"results": []}, "passed is not what its results say"),
        ({"results": [], "passed": None}, "outcomes is not one result for each check of the case"),
        ({"turns": [], "extra": 1}, None),
    ],
)
def test_an_outcome_must_follow_from_its_results(change: dict[str, object], words: str | None) -> None:
    document = json.loads(json.dumps(SMALL))
    document["cases"][0]["outcomes"]["nf4"].update(change)
    text = json.dumps(document)

    if words is None:
        assert RunReport.from_json(text)
        return
    with pytest.raises(QuantgateError, match=words):
        RunReport.from_json(text)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            ("gates", 0, "statistics", "counts", "pp"),
            "1",
            r"report\.gates\[0\]\.statistics\.counts\.pp: expected `int`",
        ),
        (("gates", 0, "verdict"), "GREAT", r"report\.gates\[0\]\.verdict: invalid enum value 'GREAT'"),
        (("gates", 0, "policy", "rule"), "vibes", r"report\.gates\[0\]\.policy\.rule: invalid enum value"),
        (("gates", 0, "statistics", "counts", "pp"), -1, r"report\.gates\[0\] holds a number that is out of range"),
        (("gates", 0, "statistics", "counts", "pp"), 10**30, r"report\.gates\[0\] holds a number that is out of range"),
        (("gates", 0), [], r"report\.gates is not a list of objects"),
        (("settings", "alpha"), "much", r"report\.settings\.alpha: expected `float`"),
        (("candidates", 0, "bits"), "four", r"report\.candidates\[0\]\.bits: expected `float \| null`"),
        (("controls",), None, r"report\.controls is not a list of objects"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path: tuple[str | int, ...], value: object, words: str) -> None:
    document = json.loads(json.dumps(SMALL))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value

    with pytest.raises(QuantgateError, match=words):
        RunReport.from_json(json.dumps(document))


@pytest.mark.parametrize("key", ["candidates", "slices", "gates", "cases"])
def test_what_stands_twice_is_refused(key: str) -> None:
    with pytest.raises(QuantgateError, match="stands in it twice"):
        RunReport.from_json(json.dumps({**SMALL, key: 2 * SMALL[key]}))


@pytest.mark.parametrize("key", ["slice", "candidate"])
def test_a_gate_that_no_view_would_show_is_refused(key: str) -> None:
    with pytest.raises(QuantgateError, match=r"the gate of .* is of no candidate and slice in it"):
        RunReport.from_json(json.dumps({**SMALL, "gates": [{**SMALL["gates"][0], key: "lost"}]}))


@pytest.mark.parametrize("key", ["goldens", "drifts"])
def test_what_stands_to_a_golden_twice_or_to_no_slice_is_refused(key: str) -> None:
    document = json.loads(anchored().to_json())
    with pytest.raises(QuantgateError, match="stands in it twice"):
        RunReport.from_json(json.dumps({**document, key: 2 * document[key]}))
    with pytest.raises(QuantgateError, match=r"is of the slice 'lost', which is not in it"):
        RunReport.from_json(json.dumps({**document, key: [{**document[key][0], "slice": "lost"}]}))


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, member in members for each in _paths(member, (*path, key)))]


@pytest.mark.parametrize(
    "wrong",
    [None, True, -1, 10**400, 1e999, 1e308, -1e308, "text", "\ud800", [None], {"a": None}, {"\ud800": None}],
    ids=lambda wrong: str(wrong)[:20],
)
def test_a_value_of_a_wrong_type_is_refused_or_harmless(wrong: object) -> None:
    for path in _paths({key: value for key, value in SMALL.items() if key not in COMPUTED})[1:]:
        document = json.loads(json.dumps(SMALL))
        parent: Any = document
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = wrong
        try:
            read = RunReport.from_json(json.dumps(document).replace("Infinity", "1e999"))
        except QuantgateError:
            continue
        assert render(read, width=80, color=False)
        assert RunReport.from_json(read.to_json()).to_json() == read.to_json()


def test_a_report_from_before_variants_had_a_summary_is_read_without() -> None:
    report = with_summaries(REPORT)
    document = json.loads(report.to_json())
    assert document["candidates"][0].pop("summary") == "4-bit NormalFloat (bitsandbytes)"
    (candidate,) = RunReport.from_json(json.dumps(document)).candidates

    assert (candidate.summary, candidate.kernels) == (None, "dense")
    assert not [key for key in ("summary", "model") if key in json.loads(WRITTEN)["candidates"][0]]


def test_a_report_from_before_drifted_cases_had_what_was_anchored_is_read_without() -> None:
    document = json.loads(anchored(drifted=1).to_json())
    moved, *others = document["goldens"][0]["standings"]
    assert moved.pop("anchored")["answers"][0]["text"] == PASSED.completion.text
    assert not [each for each in others if "anchored" in each]
    (golden,) = RunReport.from_json(json.dumps(document)).goldens

    assert [each.state for each in golden.standings] == ["drifted", "reworded", "new"]
    assert {each.anchored for each in golden.standings} == {None}


def test_keys_that_a_later_minor_version_may_add_are_ignored() -> None:
    document = {**SMALL, "later": 1}

    assert RunReport.from_json(json.dumps(document)) == RunReport.from_json(json.dumps(SMALL))
