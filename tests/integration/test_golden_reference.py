"""--quant-ref golden:SPEC: the reference's anchored answers stand for it, and it is never loaded."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.variants import variant as variants
from tests.integration.conftest import Lab
from tests.integration.goldens import edit, edit_identity, golden_file, record_of, report_of, rows, states

pytestmark = pytest.mark.usefixtures("at_home")

REF = "--quant-ref=golden:fp16"
REPORT = "--quant-report-json=run.json"
TOLERANT = ("--quant-max-pass-to-fail=1", "--quant-min-robustness=0")


@pytest.fixture
def anchored(lab: Lab, at_home: None) -> Lab:  # noqa: ARG001  (nothing is written elsewhere)
    """Three cases, anchored on fp16 alone; nf4 fails the last."""
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.4, min_robustness=0.0)

    def anchor() -> None:
        assert lab.run("--quant-reanchor=new", candidates=("fp16",)).ret == pytest.ExitCode.OK

    lab.once("anchored on fp16", anchor)
    return lab


@pytest.fixture
def never_loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Specs of the variants that were prepared; fp16 cannot be."""
    prepared: list[str] = []
    real = variants.prepare_variant

    def prepare(spec: str, *arguments: Any, **more: Any) -> Any:
        prepared.append(spec)
        assert spec != "fp16"
        return real(spec, *arguments, **more)

    monkeypatch.setattr(variants, "prepare_variant", prepare)
    return prepared


def test_a_candidate_is_gated_without_loading_the_reference(anchored: Lab, never_loaded: list[str]) -> None:
    result = anchored.run(REF, REPORT)
    result.assert_outcomes(passed=3)
    assert set(never_loaded) == {"nf4"}
    result.stdout.fnmatch_lines(
        [
            "quantgate: reference golden:fp16 (anchored answers, nothing is run), candidate nf4 *",
            "nf4: *",
            "*words::case-2[[]nf4[]]  PASS→FAIL",
            "golden:fp16: PASS, 4 tokens* nf4: FAIL, 4 tokens*",
            "candidate nf4 against reference golden:fp16 *",
            "  words on golden:fp16, anchored 20*: 3 same",
        ]
    )
    result.stdout.no_fnmatch_line("*fp16: *answers*")
    report = report_of(anchored)
    assert report.reference.spec == "golden:fp16"
    assert report.reference.identity["spec"] == "fp16"
    assert report.reference.digest
    assert (report.reference.summary, report.reference.kernels) == (None, "native")  # as they were anchored
    assert (report.reference.cached, report.reference.generated, report.reference.bits) == (0, 0, 16)
    (gate,) = report.gates
    assert gate.verdict is Verdict.PASS
    assert (gate.statistics.counts.pp, gate.statistics.counts.pf) == (2, 1)
    assert report.drifts == ()


def test_it_says_the_same_as_with_the_reference(anchored: Lab) -> None:
    anchored.run(REPORT)
    there = report_of(anchored).gates[0]
    anchored.run(REF, REPORT)
    golden = report_of(anchored).gates[0]
    assert (there.verdict, there.reasons) == (golden.verdict, golden.reasons)
    assert there.statistics.counts == golden.statistics.counts


def test_the_candidate_has_its_own_golden_as_usual(anchored: Lab) -> None:
    result = anchored.run(REF, "--quant-reanchor=new", "--quant-accept=case-2=known")
    assert result.ret == pytest.ExitCode.OK
    assert set(rows(anchored)) == {"case-0", "case-1", "case-2"}
    before = golden_file(anchored, "fp16").read_bytes()
    anchored.run(REF, "--quant-reanchor=all", "-v").stdout.fnmatch_lines(["*::drift[[]nf4[]] PASSED*"])
    assert golden_file(anchored, "fp16").read_bytes() == before


def test_the_variant_itself_can_be_held_against_its_golden(anchored: Lab) -> None:
    anchored.run(REF, candidates=("fp16",)).assert_outcomes(passed=5)


def test_answers_are_graded_again_by_the_checks_of_today(anchored: Lab) -> None:
    edit(anchored, "case-0", lambda row: row["results"][0].update(followed=False), "fp16")
    anchored.run(REF, REPORT)
    report = report_of(anchored)
    assert report.gates[0].statistics.counts.pp == 2
    assert states(record_of(report, "golden:fp16")) == {"case-0": "drifted"}


def test_a_case_without_a_valid_anchor_is_unscored_with_its_reason(lab: Lab) -> None:
    cases = lab.many(8)
    lab.write("words", [*cases, lab.preserved("asked-anew")], max_unscored=0.5)
    lab.run("--quant-reanchor=new", candidates=("fp16",))
    lab.write("words", [*cases, lab.preserved("asked-anew"), lab.preserved("fresh")], max_unscored=0.5)
    result = lab.run(REF, REPORT)
    result.stdout.fnmatch_lines_random(
        [
            "words on nf4: asked-anew: the golden of fp16 has no answer to it: what it asks and its checks changed *",
            "words on nf4: fresh: the golden of fp16 has no answer to it: it is not anchored",
        ]
    )
    report = report_of(lab)
    assert report.gates[0].statistics.unscored == 2
    assert states(record_of(report, "golden:fp16")) == {"asked-anew": "expired", "fresh": "new"}


def test_answers_of_several_turns_come_from_the_golden_too(lab: Lab) -> None:
    words = [next(lab.tiny.prompts()) for _ in range(2)]
    turns = [{"prompt": each, "checks": [{"word_count": {"max": 9}}]} for each in words]
    lab.write("words", [{"id": "chat", "turns": turns}])
    lab.run("--quant-reanchor=new", candidates=("fp16",)).assert_outcomes(passed=2)
    assert len(rows(lab, "fp16")["chat"]["answers"]) == 2
    lab.run(REF).assert_outcomes(passed=2)


@pytest.mark.parametrize("answers", [0, 2])
def test_a_golden_with_another_number_of_answers_than_turns_answers_nothing(lab: Lab, answers: int) -> None:
    words = [next(lab.tiny.prompts()) for _ in range(2)]
    turns = [{"prompt": each, "checks": [{"word_count": {"max": 9}}]} for each in words]
    lab.write("words", [{"id": "chat", "turns": turns}, lab.preserved("one")])
    lab.run("--quant-reanchor=new", candidates=("fp16",)).assert_outcomes(passed=3)

    def merged(row: dict[str, Any]) -> None:
        row["answers"] = row["answers"][:1] * (1 + answers)

    for case in ("chat", "one"):
        edit(lab, case, merged, "fp16")
    result = lab.run(REF, REPORT, "-rs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = {0: "1 answer to its 2 turns", 2: "3 answers to its 2 turns"}[answers]
    result.stdout.fnmatch_lines([f"*the golden of fp16 has {told}: take the file back from version control*"])
    report = report_of(lab)
    assert report.gates[0].verdict is Verdict.INCONCLUSIVE
    assert report.gates[0].statistics.unscored == (2 if answers else 1)


def test_controls_stand_beside_it(anchored: Lab) -> None:
    result = anchored.run(REF, "--quant-control=ruin:2bit", REPORT)
    result.stdout.fnmatch_lines(["*golden:fp16 (graded again)*"])
    assert {each.candidate for each in report_of(anchored).controls} == {"ruin:2bit", "golden:fp16 (graded again)"}


def test_another_model_behind_the_golden_is_told(anchored: Lab) -> None:
    edit_identity(anchored, "fp16", weights="another model's", **{"version:torch": "1.0"})
    result = anchored.run(REF, REPORT)
    result.stdout.fnmatch_lines(["  words on golden:fp16*", "    other than when it was anchored: *weights*"])
    assert len(record_of(report_of(anchored), "golden:fp16").changes) == 1


def test_a_slice_without_that_golden_is_refused_with_the_command_that_makes_it(anchored: Lab) -> None:
    anchored.write("others", [anchored.preserved("one")])
    for more in ((), ("--quant-dry-run",)):
        result = anchored.run(REF, *more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                "ERROR: others.slice.yaml:*: slice others has no golden of fp16: golden/others/fp16.jsonl is not there",
                "  make it where fp16 can run: pytest * --quant-ref fp16 --quant-cand fp16 --quant-slice others *",
            ]
        )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--quant-ref=golden:fp61",), "--quant-ref: variant 'fp61': is not a known variant"),
        (("--quant-ref=golden:",), "--quant-ref: variant '': a variant is missing"),
        ((REF, "--quant-noise-floor"), "--quant-ref golden:fp16: a reference from goldens is not run*"),
        ((REF, "--quant-noise-kernels"), "--quant-ref golden:fp16: a reference from goldens is not run*"),
        (("--quant-cand=golden:nf4",), "--quant-cand: variant 'golden*"),
    ],
)
def test_what_cannot_be_is_refused(lab: Lab, arguments: tuple[str, ...], told: str) -> None:
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])


def test_a_dry_run_counts_the_answers_that_are_anchored(anchored: Lab) -> None:
    result = anchored.run(REF, "--quant-dry-run")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*golden:fp16 *nf4*", "  words *3  *3*"])
