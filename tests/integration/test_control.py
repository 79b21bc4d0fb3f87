"""Controls: a ruined variant that every slice must see, and a reference that must pass against itself."""

from __future__ import annotations

import shutil

import pytest

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Case, Lab

UNLOADABLE = """
    from pytest_quantgate.errors import ModelError
    from pytest_quantgate.variants.plain import PlainBackend
    from pytest_quantgate.variants.registry import Entry, unregister
    from pytest_quantgate.variants.spec import VariantSpec

    class Backend(PlainBackend):
        def describe(self, spec):
            return super().describe(VariantSpec("fp16"))

        def load(self, *_):
            raise ModelError("it does not load")

    BACKEND = Backend()

    def pytest_quantgate_register_backends(registry):
        registry.register("broken", Entry("conftest:BACKEND"))

    def pytest_unconfigure():
        unregister("broken")
"""
"""A variant that can be prepared, and fails when it is loaded."""


def blind_to_everything(lab: Lab, count: int) -> list[Case]:
    """Cases that any answer passes."""
    return lab.of_many_lengths(count)


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text())


def test_a_slice_that_sees_ruin_is_believed(lab: Lab) -> None:
    lab.write("words", lab.many(5), max_pass_to_fail=0.2)
    result = lab.run("--quant-control", "ruin:2bit,ruin:shuffled-head", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: controls ruin:2bit, ruin:shuffled-head"])
    result.assert_outcomes(passed=6)  # controls have no items of their own
    report = report_of(lab)
    assert [(each.role, each.candidate, each.verdict) for each in report.controls] == [
        ("positive control", "ruin:2bit", Verdict.FAIL),
        ("positive control", "ruin:shuffled-head", Verdict.FAIL),
        ("negative control", "fp16 (graded again)", Verdict.PASS),
    ]
    assert [each.spec for each in report.control_variants] == ["ruin:2bit", "ruin:shuffled-head"]
    assert [each.spec for each in report.candidates] == ["nf4"]
    assert report.control_variants[0].bits == 2
    assert set(report.cases[0].outcomes) == {"fp16", "nf4", "ruin:2bit", "ruin:shuffled-head"}
    assert report.base_command[-2:] == ("--quant-control", "ruin:2bit,ruin:shuffled-head")


def test_a_blind_slice_gives_no_verdict(lab: Lab) -> None:
    lab.write("words", lab.many(5), max_pass_to_fail=0.2)
    lab.write("anything", blind_to_everything(lab, 5), max_pass_to_fail=0.2)
    result = lab.run("--quant-control", "ruin:2bit", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["anything, nf4: INCONCLUSIVE", "  the positive control ruin:2bit must FAIL and is PASS (*blind)*"]
    )
    assert {gate.slice: (gate.verdict, gate.blind) for gate in report_of(lab).gates} == {
        "words": (Verdict.PASS, None),
        "anything": (Verdict.INCONCLUSIVE, "ruin:2bit"),
    }
    assert lab.run("--quant-control", "ruin:2bit", "--quant-inconclusive=pass").ret == pytest.ExitCode.OK


def test_a_control_that_cannot_be_run_shows_nothing(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    result = lab.run("--quant-control", "int8:skip=no_such_module", "--quant-inconclusive=pass")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "quantgate: error: *no_such_module*",
            "FAILED *gate[[]nf4[]] - INCONCLUSIVE: *control int8:skip=no_such_module*",
        ]
    )


@pytest.mark.parametrize("candidate", ["nf4:skip=no_such_module", "broken"])
@pytest.mark.parametrize(
    "options",
    [
        ("--quant-control=ruin:2bit",),
        ("--quant-noise-floor", "--quant-sequential", "--quant-rule=evidence", "--quant-allow-underpowered"),
    ],
)
def test_nobody_else_is_asked_when_no_candidate_answers(lab: Lab, candidate: str, options: tuple[str, ...]) -> None:
    lab.pytester.makeconftest(UNLOADABLE)
    lab.write("words", lab.many(3))
    result = lab.run(*options, "--quant-report-json=run.json", candidates=(candidate,))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAILED *gate[[]{candidate}[]] - INCONCLUSIVE: *", "*1 failed, 3 unscored in *"])
    result.stdout.no_fnmatch_line("ruin:2bit: *answers*")
    result.stdout.no_fnmatch_line("fp16 run another way: *answers*")
    report = report_of(lab)
    assert report.controls == ()
    assert [gate.verdict for gate in report.gates] == [Verdict.INCONCLUSIVE]


def test_one_candidate_that_answers_is_judged_beside_its_controls(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    result = lab.run("--quant-control=ruin:2bit", candidates=("nf4:skip=no_such_module", "nf4"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["positive control ruin:2bit: seen in words", "*1 failed, 4 passed, 3 unscored in *"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fp16", "--quant-control fp16 is the reference too: *"),
        ("nf4", "--quant-control nf4 is a candidate too: *"),
        ("ruin:3bit", "--quant-control: variant 'ruin:3bit': *"),
    ],
)
def test_a_control_is_another_variant(lab: Lab, spec: str, message: str) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--quant-control", spec)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_controls_are_asked_what_gates_judge_and_nothing_else(lab: Lab) -> None:
    lab.write("words", lab.many(3), max_pass_to_fail=0.2)
    lab.write("others", lab.many(2), file="data/others.slice.yaml")
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("data/others.slice.yaml")
        def test_others(quant_case):
            quant_case.assert_not_degraded()
        """
    )
    result = lab.run(
        "words.slice.yaml", "test_controls_are_asked_what_gates_judge_and_nothing_else.py",
        "--quant-control=ruin:2bit", "--quant-report-json=run.json",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.OK
    report = report_of(lab)
    (control,) = report.control_variants
    assert control.cached + control.generated == 3
    assert report.reference.cached + report.reference.generated == 5


@pytest.mark.parametrize("option", ["--quant-control=ruin:2bit", "--quant-noise-floor"])
def test_a_part_of_a_slice_needs_no_controls(lab: Lab, option: str) -> None:
    lab.write("words", lab.many(3))
    lab.write("others", lab.many(2))
    result = lab.run(option, "-k", "words or case-0", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    report = report_of(lab)
    assert {gate.slice: gate.verdict for gate in report.gates} == {
        "words": Verdict.PASS,
        "others": Verdict.INCONCLUSIVE,
    }
    assert {control.slice for control in report.controls} == {"words"}
    result = lab.run(option, "-k", "others and case-0", "--quant-report-json=run.json")
    result.stdout.fnmatch_lines(["*1 passed, 1 skipped*"])
    assert report_of(lab).controls == ()


def test_a_check_that_changes_its_mind_is_caught(lab: Lab) -> None:
    lab.pytester.makeconftest(
        """
        from pathlib import Path
        from pytest_quantgate.checks.finding import Finding

        seen = Path(__file__).with_name("seen")  # workers are processes of their own

        def moody(answer: str) -> Finding:
            first = not (seen / answer).exists()
            (seen / answer).touch()
            return Finding(first, "seen once" if first else "seen before")

        def pytest_quantgate_register_checks(registry):
            registry.register("moody", moody)
        """
    )
    cases = [{**case, "checks": ["moody"]} for case in lab.many(4)]
    lab.write("words", cases, max_pass_to_fail=0.5, min_robustness=0.2)
    lab.pytester.mkdir("seen")
    assert lab.run().ret == pytest.ExitCode.OK
    shutil.rmtree("seen")
    lab.pytester.mkdir("seen")
    result = lab.run("--quant-control", "ruin:2bit")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "words, nf4: INCONCLUSIVE",
            "  the negative control fp16 (graded again) must PASS and is FAIL: PASS→FAIL 4 of 4*",
        ]
    )


def test_evidence_judges_controls_apart_from_candidates(lab: Lab) -> None:
    lab.write("words", lab.many(12), rule="evidence", max_pass_to_fail=0.3, min_robustness=0.5)
    result = lab.run("--quant-control", "ruin:2bit", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    report = report_of(lab)
    found = [each.evidence for each in (*report.gates, *report.controls) if each.evidence is not None]
    assert [each.gates for each in found] == [1, 1, 1]
