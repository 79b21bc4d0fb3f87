"""--quant-only runs the cases that the last run found degraded, unstable or drifted, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_quantgate.golden.model import Standing
from pytest_quantgate.plugin.goldens import Goldens
from pytest_quantgate.report.records import GoldenRecord
from tests.integration.conftest import Lab
from tests.integration.workers import counts


def remembered(lab: Lab) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((lab.pytester.path / ".pytest_cache/v/quantgate/cases").read_text())
    return found


@pytest.fixture
def ran(lab: Lab) -> Lab:
    """Two slices ran: two cases degraded, one improved, and two stayed as they were."""
    lab.write("words", [lab.preserved("good"), lab.degraded("bad"), lab.improved("better")], max_pass_to_fail=1.0)
    lab.write("others", [lab.preserved("fine"), lab.degraded("worse")], max_pass_to_fail=1.0)
    lab.pytester.makepyfile("def test_one(): pass")
    lab.once("moved", lambda: _ran(lab))
    return lab


def _ran(lab: Lab) -> None:
    assert counts(lab.run("--quant-min-robustness", "0"))["improved"] == 1


def test_a_run_remembers_what_moved(ran: Lab) -> None:
    assert remembered(ran) == {
        "others.slice.yaml::worse[nf4]": ["degraded", "unstable"],
        "words.slice.yaml::bad[nf4]": ["degraded", "unstable"],
        "words.slice.yaml::better[nf4]": ["unstable"],
    }


def test_only_degraded_cases_run_and_no_gate_passes_by_them(ran: Lab) -> None:
    result = ran.run("--quant-only", "degraded")
    assert result.ret == pytest.ExitCode.OK
    assert counts(result) == {"degraded": 2, "skipped": 2, "deselected": 4}
    result.stdout.fnmatch_lines(["quantgate: only what was degraded in the last run: 2 cases"])


def test_unstable_cases_are_degraded_or_improved(ran: Lab) -> None:
    result = ran.run("--quant-only", "unstable")
    assert counts(result) == {"degraded": 2, "improved": 1, "skipped": 2, "deselected": 3}


@pytest.mark.parametrize(
    ("arguments", "counted"),
    [
        (("-k", "bad"), {"degraded": 1, "skipped": 1, "deselected": 5}),
        (("--quant-slice", "others"), {"degraded": 1, "skipped": 1, "deselected": 5}),
        (("words.slice.yaml",), {"degraded": 1, "skipped": 1, "deselected": 2}),
        (("words.slice.yaml::bad", "words.slice.yaml::good"), {"degraded": 1, "skipped": 1, "deselected": 1}),
    ],
)
def test_it_narrows_any_other_selection(ran: Lab, arguments: tuple[str, ...], counted: dict[str, int]) -> None:
    assert counts(ran.run("--quant-only", "degraded", *arguments)) == counted


def test_collect_only_lists_them_and_forgets_nothing(ran: Lab) -> None:
    before = remembered(ran)
    result = ran.run("--quant-only", "degraded", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "others.slice.yaml::worse[nf4]",
        "words.slice.yaml::bad[nf4]",
    ]
    assert remembered(ran) == before


def test_a_part_of_the_run_updates_only_what_it_ran(ran: Lab) -> None:
    ran.write("words", [ran.preserved("good"), ran.preserved("bad"), ran.improved("better")], max_pass_to_fail=1.0)
    ran.run("-k", "bad")
    assert remembered(ran).keys() == {"others.slice.yaml::worse[nf4]", "words.slice.yaml::better[nf4]"}


def test_a_case_that_is_gone_is_forgotten_when_its_slice_runs_whole(ran: Lab) -> None:
    ran.write("words", [ran.preserved("good"), ran.preserved("new"), ran.improved("better")], max_pass_to_fail=1.0)
    ran.run("-k", "new")
    assert "words.slice.yaml::bad[nf4]" in remembered(ran)
    ran.run("words.slice.yaml")
    assert remembered(ran).keys() == {"others.slice.yaml::worse[nf4]", "words.slice.yaml::better[nf4]"}


def test_where_nothing_was_degraded_nothing_runs_and_nothing_passes(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.run()
    result = lab.run("--quant-only", "degraded")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert counts(result) == {"deselected": 2}
    result.stdout.fnmatch_lines(["quantgate: no case was degraded in the last run: there is nothing to run"])


def test_where_none_of_them_is_selected_it_says_so(ran: Lab) -> None:
    result = ran.run("--quant-only", "degraded", candidates=("fp32",))
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["quantgate: 2 cases were degraded in the last run, and none is selected here: *"])


def test_without_a_last_run_it_is_refused(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--quant-only", "degraded")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-only degraded: no run is remembered here yet: run once without it"])


@pytest.mark.parametrize("content", ["", "[]", '{"words.slice.yaml::bad[nf4]": 1}', "{"])
def test_a_memory_that_somebody_else_wrote_is_none(ran: Lab, content: str) -> None:
    (ran.pytester.path / ".pytest_cache/v/quantgate/cases").write_text(content)
    assert ran.run("--quant-only", "degraded").ret == pytest.ExitCode.USAGE_ERROR


def test_without_pytests_cache_it_is_refused_and_other_runs_remember_nothing(lab: Lab) -> None:
    lab.write("words", [lab.degraded("bad")], max_pass_to_fail=1.0, min_robustness=0.0)
    assert lab.run("-p", "no:cacheprovider").ret == pytest.ExitCode.OK
    result = lab.run("--quant-only", "degraded", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-only degraded: *no:cacheprovider*"])


def test_an_unknown_word_names_the_known_ones(lab: Lab) -> None:
    result = lab.run("--quant-only", "broken")
    result.stderr.fnmatch_lines(["ERROR: --quant-only broken: give degraded or unstable or drifted"])


def test_cases_of_suites_are_chosen_by_their_node_ids(lab: Lab) -> None:
    file = lab.pytester.path / ".pytest_cache/v/quantgate/cases"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"core/format.slice.yaml::json-product[nf4]": ["degraded", "unstable"]}))
    chosen = lab.run("--quant-suite", "core", "--quant-only", "unstable", "--collect-only", "-q")
    assert [line for line in chosen.outlines if "::" in line] == list(remembered(lab))


def test_python_tests_of_cases_stay_out(ran: Lab) -> None:
    ran.pytester.makepyfile(
        test_cases="""
        import pytest

        @pytest.mark.quant_slice("words.slice.yaml")
        def test_case(quant_case): pass
        """
    )
    assert counts(ran.run("--quant-only", "degraded")) == {"degraded": 2, "skipped": 2, "deselected": 7}


def test_a_drifted_variant_of_either_side_brings_the_case_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(4))
    record = GoldenRecord("words", "nf4", "golden/words/nf4.jsonl", None, None, 2, (Standing("case-1", "drifted"),))
    written = replace(record, standings=(Standing("case-2", "drifted"),), written=("case-2",))
    reference = replace(record, variant="fp16", standings=(Standing("case-3", "drifted"), Standing("case-0", "new")))

    def records(_: Goldens) -> tuple[GoldenRecord, ...]:
        return record, written, reference

    monkeypatch.setattr(Goldens, "records", property(records, lambda *_: None), raising=False)
    lab.run()
    assert remembered(lab) == {
        "words.slice.yaml::case-1[nf4]": ["drifted"],
        "words.slice.yaml::case-3[nf4]": ["drifted"],
    }
    assert counts(lab.run("--quant-only", "drifted"))["deselected"] == 2


def test_an_interrupted_run_keeps_what_it_did_not_ask(ran: Lab) -> None:
    ran.pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.when == "call" and "worse" in report.nodeid:
                raise KeyboardInterrupt
        """
    )
    ran.write("others", [ran.preserved("fine"), ran.preserved("worse")], max_pass_to_fail=1.0)
    before = remembered(ran)
    ran.run()
    assert remembered(ran).keys() >= before.keys() - {"others.slice.yaml::worse[nf4]"}


def test_an_interrupted_run_forgets_nothing_that_had_drifted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(4))
    drifted = tuple(Standing(f"case-{number}", "drifted") for number in (1, 2))
    record = GoldenRecord("words", "nf4", "golden/words/nf4.jsonl", None, None, 2, drifted)

    def records(goldens: Goldens) -> tuple[GoldenRecord, ...]:
        return (record,) if goldens._run.concluded else ()  # noqa: SLF001  (as a run finds them)

    with monkeypatch.context() as patch:
        patch.setattr(Goldens, "records", property(records, lambda *_: None), raising=False)
        lab.run()
        before = remembered(lab)
        assert before == {f"words.slice.yaml::case-{number}[nf4]": ["drifted"] for number in (1, 2)}
        lab.pytester.makeconftest(
            """
            def pytest_runtest_logreport(report):
                if report.when == "teardown" and "case-2" in report.nodeid:
                    raise KeyboardInterrupt
            """
        )
        assert lab.run().ret == pytest.ExitCode.INTERRUPTED
        assert remembered(lab) == before
    lab.pytester.makeconftest("")
    lab.run()
    assert remembered(lab) == {}
