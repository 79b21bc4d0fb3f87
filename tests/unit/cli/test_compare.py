from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_quantgate.commands.compare import compare
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import VariantRecord
from pytest_quantgate.report.tables import PAGE
from tests.unit.report.build import FAILED, PASSED, counted, record, run

Form = Literal["terminal", "markdown", "json"]
FORMS: tuple[Form, ...] = ("terminal", "markdown", "json")


def compared(first: str | Path, second: str | Path, form: Form = "terminal", width: int = 80) -> str:
    return compare(str(first), str(second), form=form, width=width, color=False)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def keep(folder: Path, name: str, report: RunReport) -> Path:
    path = folder / name
    path.write_text(report.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def llama(folder: Path) -> Path:
    slices = ("ifeval", counted("ifeval", pp=224, ff=633, pf=83, fp=60)), ("math", counted("math", pp=9, pf=1))
    return keep(folder, "llama.json", replace(run(*slices), model="llama"))


@pytest.fixture(scope="module")
def mistral(folder: Path) -> Path:
    slices = ("ifeval", counted("ifeval", pp=198, ff=667, pf=69, fp=66)), ("math", counted("math", pp=8, pf=2))
    return keep(folder, "mistral.json", replace(run(*slices), model="mistral"))


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    """A run of two candidates."""
    records = [record("format", f"c{n}", PASSED, PASSED) for n in range(40)]
    records = [
        replace(each, outcomes={**each.outcomes, "int2": FAILED if n < 20 else PASSED})
        for n, each in enumerate(records)
    ]
    report = run(("format", records))
    worse = replace(report.gates[0], candidate="int2")
    return keep(
        folder,
        "both.json",
        replace(
            report,
            candidates=(replace(report.candidates[0], bits=4.0), VariantRecord("int2", "0f", bits=2.0)),
            gates=(*report.gates, worse),
        ),
    )


def test_the_papers_tables_stand_on_a_terminal(llama: Path, mistral: Path) -> None:
    text = compared(llama, mistral)

    for title in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5"):
        assert f"({title})" in text
    assert "They differ in: model" in text
    assert "233  206  439   21.7%" in text  # PASS→PASS
    assert "tests over all cases" in text
    assert "PASS→FAIL by slice" in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_what_is_paired_is_said_and_the_papers_test_is_labelled(llama: Path, mistral: Path) -> None:
    text = flat(compared(llama, mistral))

    assert "Both runs asked 1010 same cases, so statuses are paired: of 1010 scored in both" in text
    assert (
        "As the paper computes it, which takes the same prompts for different ones: 84/1010 against 71/1010: z" in text
    )
    assert "exact McNemar" in text


def test_the_papers_figures_stand_in_every_form(folder: Path) -> None:
    """Counts of section 4.2, with the figures that the definitions give (METRICS.md)."""
    first = keep(folder, "a.json", run(("ifeval", counted("ifeval", pp=224, ff=633, pf=83, fp=60))))
    second = keep(folder, "b.json", run(("ifeval", counted("ifeval", pp=198, ff=667, pf=69, fp=66))))

    for form in ("terminal", "markdown"):
        text = flat(compared(first, second, form))
        assert "83/1000 against 69/1000: z 1.1813, p 0.2375, Cohen's h 0.0529." in text
        for figure in ("0.0654", "0.8634", "85.7% (", "86.5% (", "30.7% (", "26.7% (", "28.4% (", "26.4% ("):
            assert figure in text
    (group,) = json.loads(compared(first, second, "json"))["groups"]
    assert round(group["z"]["z"], 4) == 1.1813
    assert round(group["h"], 4) == 0.0529


def test_json_is_sorted_and_versioned_and_the_same_every_time(llama: Path, mistral: Path) -> None:
    text = compared(llama, mistral, "json")
    value = json.loads(text)

    assert text == compared(llama, mistral, "json")
    assert list(value) == sorted(value)
    assert value["format"] == "pytest-quantgate comparison"
    assert value["schema_version"] == 1
    assert [group["slice"] for group in value["groups"]] == [None, "ifeval", "math"]
    assert value["first"]["facts"]["model"] == "llama"
    assert {test["question"] for test in value["tests"]} == {
        "pass_to_fail",
        "balance_first",
        "balance_second",
        "violation_rate",
    }


def test_two_candidates_of_one_run_are_compared_by_their_specs(both: Path) -> None:
    text = flat(compared(f"{both}#nf4", f"{both}#int2"))

    assert f"A: {both}, smollm2, nf4 against fp16" in text
    assert f"B: {both}, smollm2, int2 against fp16" in text
    assert "0 degraded in A alone and 20 in B alone" in text
    assert "where the fall begins" in text


def test_a_run_against_itself_differs_in_nothing(llama: Path) -> None:
    text = flat(compared(llama, llama))

    assert "Same model, variants and versions: two runs of one thing." in text
    assert "0 degraded in A alone and 0 in B alone" in text


def test_cases_of_one_run_alone_are_counted_and_named(folder: Path, llama: Path) -> None:
    smaller = keep(folder, "smaller.json", run(("ifeval", counted("ifeval", pp=200, ff=600, pf=50))))
    text = flat(compared(llama, smaller))

    assert "Only A has 160: ifeval::case-850, ifeval::case-851," in text
    assert "and 155 more." in text
    assert "Only B has" not in text


def test_runs_without_a_common_slice_are_compared_as_different_prompts(folder: Path) -> None:
    first = keep(folder, "x.json", run(("x", counted("x", pp=20, pf=2))))
    second = keep(folder, "y.json", run(("y", counted("y", pp=20, pf=3))))
    text = flat(compared(first, second))

    assert "two-proportion z" in text
    assert "so the runs are taken as independent" in text
    assert "The runs have no case in common: what is compared here are different prompts." in text
    assert "As the paper computes it" not in text


def test_clusters_come_with_a_word_on_what_the_p_values_assume(folder: Path) -> None:
    path = keep(folder, "clusters.json", run(("format", counted("format", pp=30, pf=6, size=3))))

    assert "Some cases share a cluster: intervals allow for that" in flat(compared(path, path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("both.json", r"has 2 candidates: nf4, int2\n  name one of them: quantgate compare '.*both\.json#nf4'"),
        ("both.json#nf5", r"has no candidate 'nf5'\n  did you mean 'nf4'\?"),
        ("both.json#zzzzzz", r"has no candidate 'zzzzzz'\n  known: int2, nf4"),
        ("missing.json", "cannot be read: .*No such file"),
        ("", "cannot be read: .*Is a directory"),
        ("binary.json", "cannot be read: .*utf-8"),
        ("torn.json", "this is not a run report"),
        ("null\0.json", "cannot be read"),
        (f"{'n' * 300}.json", "cannot be read: .*File name too long"),
        (f"{'n' * 300}.json#nf4", "cannot be read: .*File name too long"),
    ],
)
def test_a_side_that_cannot_be_is_told(name: str, words: str, both: Path) -> None:
    folder = both.parent
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    (folder / "torn.json").write_text(both.read_text(encoding="utf-8")[:5000], encoding="utf-8")

    for pair in ((f"{folder}{os.sep}{name}", f"{both}#nf4"), (f"{both}#nf4", f"{folder}{os.sep}{name}")):
        with pytest.raises(QuantgateError, match=words):
            compared(*pair)


def test_a_file_whose_name_holds_the_mark_is_found(folder: Path) -> None:
    path = keep(folder, "run#1.json", run(("format", counted("format", pp=3))))

    assert "run#1.json" in compared(path, f"{path}#nf4")


def test_a_spec_may_hold_the_mark(folder: Path) -> None:
    spec = "http://127.0.0.1:8000/v1#model"
    path = keep(folder, "served.json", run(("format", counted("format", pp=3, candidate=spec)), candidate=spec))

    assert spec in flat(compared(f"{path}#{spec}", path))


def test_a_run_without_a_candidate_is_told(folder: Path) -> None:
    path = keep(folder, "none.json", replace(run(), candidates=()))

    with pytest.raises(QuantgateError, match="has no candidates"):
        compared(path, path)


def test_a_report_of_an_older_version_says_how_to_get_a_new_one(folder: Path, both: Path) -> None:
    path = folder / "old.json"
    path.write_text(both.read_text(encoding="utf-8").replace('"schema_version": 4', '"schema_version": 1'))

    told = r"old\.json: .*schema version 1, and .* reads versions 2, 3 and 4: it is too old\n.*--quant-report-json"
    with pytest.raises(QuantgateError, match=told):
        compared(path, path)


EVIL = "a|b`c` **x** @you <b>\x1b[2J\u202e\ud800\n# no"


@pytest.mark.parametrize("form", FORMS)
def test_names_from_outside_are_shown_and_never_obeyed(form: Form, folder: Path) -> None:
    records = counted(EVIL, pp=20, pf=3, candidate=EVIL)
    more = [replace(each, slice="other") for each in records]
    report = run((EVIL, records), ("other", more), candidate=EVIL)
    identity = {**report.candidates[0].identity, EVIL: "1"}
    report = replace(report, model=EVIL, created=EVIL)
    other = replace(report, candidates=(replace(report.candidates[0], identity=identity),), cases=report.cases[1:])
    first, second = keep(folder, "evil1.json", report), keep(folder, "evil2.json", other)
    text = compared(first, second, form)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# no" not in text
    assert text.encode()


def test_markdown_of_many_slices_stays_as_short_as_github_takes_it(folder: Path) -> None:
    names = [f"slice number {n} with a long name {'x' * 80}" for n in range(600)]
    report = run()
    cases = tuple(replace(each, slice=name) for name in names for each in counted("s", pp=1, pf=1))
    path = keep(folder, "many.json", replace(report, cases=cases))
    text = compared(path, path, "markdown")

    assert len(text) <= PAGE
    assert "more rows are left out here; JSON has them all" in text


SMALL = json.loads(run(("format", [record("format", "a", PASSED, FAILED)])).to_json())


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, member in members for each in _paths(member, (*path, key)))]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_value_of_a_wrong_type_never_ends_in_a_traceback(data: st.DataObject, tmp_path: Path) -> None:
    used = {key: value for key, value in SMALL.items() if key not in ("breakdown", "indicators", "cliff")}
    path = data.draw(st.sampled_from(_paths(used)[1:]))
    wrong = data.draw(st.sampled_from([None, True, -1, 10**400, "text", [None], {"a": None}, [], {}]))
    document = json.loads(json.dumps(SMALL))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = wrong
    file = tmp_path / "run.json"
    file.write_text(json.dumps(document), encoding="utf-8")

    for form in FORMS:
        with suppress(QuantgateError):
            assert compared(file, file, form)


@pytest.mark.parametrize("depth", [100, 400, 900, 5_000])
def test_arguments_that_are_nested_deeply_never_end_in_a_traceback(depth: int, tmp_path: Path) -> None:
    text = json.dumps(SMALL).replace('"strict": false', f'"strict": {"[" * depth}{"]" * depth}')
    file = tmp_path / "run.json"
    file.write_text(text, encoding="utf-8")

    for form in FORMS:
        with suppress(QuantgateError):
            assert compared(file, file, form)
