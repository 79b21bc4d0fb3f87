"""`quantgate diagnose` and --quant-diagnose on real runs of the tiny model."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands import diagnose as command
from pytest_quantgate.commands.running import BAD_USAGE, OK
from pytest_quantgate.diagnosis import diagnose as room
from pytest_quantgate.diagnosis.diagnose import APART, NOT_AS_RECORDED, Workshop
from pytest_quantgate.diagnosis.model import Curve, Diagnosis, Grid, Value
from pytest_quantgate.diagnosis.pair import with_loaded
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.errors import UsageError
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import CaseRecord
from pytest_quantgate.report.store import load, write
from pytest_quantgate.variants.variant import LoadedModel, Variant
from tests.integration.conftest import Lab

UNREPAIRED = ("--quant-diagnose", "--quant-diagnose-minutes=0")
DEGRADED = ["case-3", "case-4", "case-5"]
MEASURED = ("target_rank", "margin", "lens_probability", "attention_divergence", "neuron_overlap", "layer_cosine")


@pytest.fixture
def ran(lab: Lab) -> RunReport:
    """Three cases that nf4 preserves and three that it breaks, kept as run.json."""
    lab.write("words", lab.many(6, degraded=3))
    lab.run("--quant-report-json=run.json")
    return load(Path("run.json"))


def diagnosis_of(*options: str, file: str = "run.json") -> Diagnosis:
    """What the command finds and writes."""
    assert main(["diagnose", file, "--json", "why.json", *options]) == OK
    (found,) = load(Path("why.json")).diagnoses
    return found


def measures(found: Diagnosis) -> list[Value | Curve | Grid]:
    return [*found.values, *found.curves, *found.grids]


@pytest.mark.alone(reason="the command looks into models without pytest")
@pytest.mark.usefixtures("ran")
def test_a_stored_run_is_diagnosed_and_its_repair_verified(capsys: pytest.CaptureFixture[str]) -> None:
    found = diagnosis_of()
    out, err = capsys.readouterr()
    assert f"diagnosis of words on nf4: {found.mode.value}" in out
    assert "words on nf4: activations of nf4, 6 cases\n" in err
    assert sorted(found.sample.degraded) == sorted(DEGRADED)
    assert len(found.sample.preserved) == 3
    names = {each.measure for each in measures(found)}
    assert names >= {*MEASURED, "patching", "domino", "one_component", "answer_tokens", "attention_entropy_steps"}
    (rank,) = [
        each.value
        for each in found.values
        if (each.measure, each.group, each.side) == ("target_rank", "degraded", "reference")
    ]
    assert rank == 1  # greedy decoding took it
    repair = found.repair
    assert repair is not None
    verified = [each for each in repair.trials if each.stage == "verified"]
    assert all((each.degraded, each.preserved) == (3, 3) for each in verified)
    if repair.chosen is None:
        assert repair.reason
    else:
        assert repair.chosen in verified
        assert repair.verdicts["words"].value == "PASS"


@pytest.mark.alone(reason="the command looks into models without pytest")
@pytest.mark.usefixtures("ran")
def test_one_model_at_a_time_measures_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    together = diagnosis_of("--no-repair")
    monkeypatch.setattr(room, "fit_together", lambda *_: False)
    looked_into: list[Any] = []

    def looked(models: Callable[..., Any], *variants: Variant, note: Callable[[str], None]) -> Any:
        assert [each() for each in looked_into] == [None] * len(looked_into)  # the one before is no more in memory

        def use(loaded: LoadedModel) -> Any:
            looked_into.append(weakref.ref(loaded.model))
            return models(loaded)

        return with_loaded(use, *variants, note=note)

    monkeypatch.setattr(room, "with_loaded", looked)
    apart = diagnosis_of()
    assert len(looked_into) == 2
    assert APART in apart.notes
    assert apart.repair is None
    assert "domino" not in {each.measure for each in apart.curves}
    for measure in MEASURED:
        numbers = [[each for each in measures(found) if each.measure == measure] for found in (together, apart)]
        assert numbers[0] == numbers[1] != []


def changed(record: CaseRecord, **tokens: tuple[int, ...]) -> CaseRecord:
    """The case with other tokens recorded of some variants."""

    def answered(outcome: Outcome, token_ids: tuple[int, ...]) -> Outcome:
        return replace(outcome, completion=replace(outcome.completion, token_ids=token_ids))

    outcomes = {
        spec: answered(outcome, tokens[spec]) if spec in tokens else outcome
        for spec, outcome in record.outcomes.items()
    }
    return replace(record, outcomes=outcomes)


@pytest.mark.alone(reason="the command looks into models without pytest")
def test_what_is_not_as_it_was_is_told(ran: RunReport, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [changed(each, fp16=(99, 98), nf4=(97,)) if each.case.id == "case-3" else each for each in ran.cases]
    record = replace(ran.candidates[0], identity={**ran.candidates[0].identity, "version:torch": "1.0"})
    write(replace(ran, cases=tuple(cases), candidates=(record,)), Path("other.json"))
    found = diagnosis_of("--no-repair", file="other.json")
    assert found.sample.left_out == {NOT_AS_RECORDED: 1}
    assert sorted(found.sample.degraded) == sorted(DEGRADED[1:])
    assert found.notes[0].startswith("nf4 is not quite what the run judged: library torch: 1.0 → ")

    write(replace(ran, cases=tuple(changed(each, fp16=(), nf4=()) for each in ran.cases)), Path("none.json"))
    assert main(["diagnose", "none.json"]) == BAD_USAGE
    assert "words on nf4: none of the degraded cases can be looked at: " in capsys.readouterr().err


def test_a_run_that_failed_says_why(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=2))
    lab.write("fine", lab.many(1))
    result = lab.run(*UNREPAIRED, "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report = load(Path("run.json"))
    (found,) = report.diagnoses
    assert (found.slice, found.candidate, found.repair) == ("words", "nf4", None)
    result.stdout.fnmatch_lines([f"diagnosis of words on nf4: {found.mode.value}"])
    assert not any(word.startswith("--quant-diagnose") for word in report.base_command)


@pytest.mark.alone(reason="who looks into models is the same with workers")
@pytest.mark.parametrize(("options", "minutes"), [((), 10.0), (("--quant-diagnose-minutes=2.5",), 2.5)])
def test_the_minutes_of_a_search_are_the_user_s(
    options: tuple[str, ...], minutes: float, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def look(*_: object, workshop: Workshop, **__: object) -> None:
        asked.append(workshop.limits)
        raise UsageError("that is all")

    monkeypatch.setattr(room, "diagnose", look)
    lab.write("words", lab.many(2, degraded=1))
    lab.pytester.makeini("[pytest]\nquant_diagnose = true")
    assert lab.run(*options).ret == pytest.ExitCode.TESTS_FAILED
    assert asked == [RepairLimits(minutes=minutes)]


@pytest.mark.alone(reason="who looks into models is the same with workers")
def test_every_view_is_written_before_the_models_are_looked_into(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def look(*_: object, **__: object) -> None:
        written.extend(sorted(path.name for path in Path().glob("run.*")))
        raise UsageError("that is all")

    monkeypatch.setattr(room, "diagnose", look)
    lab.write("words", lab.many(2, degraded=1))
    views = [f"--quant-report-{view}=run.{view}" for view in ("json", "html", "markdown")]
    assert lab.run("--quant-diagnose", *views).ret == pytest.ExitCode.TESTS_FAILED
    assert written == ["run.html", "run.json", "run.markdown"]


@pytest.mark.alone(reason="nothing is diagnosed")
def test_a_run_that_failed_by_other_tests_names_what_looks_all_the_same(lab: Lab) -> None:
    lab.write("words", [*lab.many(2), lab.degraded("lost")], max_pass_to_fail=0.5, min_robustness=0.5)
    lab.pytester.makepyfile("def test_other(): assert False")
    result = lab.run("--quant-diagnose")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "quantgate: no diagnosis: --quant-diagnose: every gate with degraded cases passed",
            "  name what to look at all the same: quantgate diagnose RUN.json --slice SLICE --candidate SPEC",
        ]
    )


@pytest.mark.alone(reason="nothing is diagnosed")
def test_the_ini_key_of_the_minutes_waits_for_a_diagnosis(lab: Lab) -> None:
    lab.pytester.makeini("[pytest]\nquant_diagnose_minutes = 3")
    lab.write("words", lab.many(2))
    assert lab.run().ret == pytest.ExitCode.OK


def test_a_run_that_passed_is_left_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "diagnosed", None)
    lab.write("words", [*lab.many(2), lab.degraded("lost")], max_pass_to_fail=0.5, min_robustness=0.5)
    result = lab.run("--quant-diagnose", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    assert load(Path("run.json")).diagnoses == ()


@pytest.mark.alone(reason="where answers come from and who looks into models is the same with workers")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("a library's"),
            "quantgate: no diagnosis of words on nf4: internal error: RuntimeError: a library's",
        ),
        (KeyboardInterrupt(), "quantgate: the diagnosis was interrupted; the verdicts stand"),
        (UsageError("it is odd", hint="look"), "quantgate: no diagnosis of words on nf4: it is odd"),
    ],
)
def test_what_goes_wrong_is_told_and_hides_no_verdict(
    error: BaseException, told: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(room, "diagnose", fail)
    lab.write("words", lab.many(3, degraded=2))
    result = lab.run("--quant-diagnose", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([told, "*FAILED words.slice.yaml::gate*nf4*"])
    assert load(Path("run.json")).diagnoses == ()


@pytest.mark.alone(reason="it is refused before anything is collected")
def test_an_architecture_that_is_described_wrongly_is_refused_with_its_place(lab: Lab) -> None:
    lab.pytester.makeconftest(
        """
        def pytest_quantgate_register_architectures(registry):
            registry.register("LlamaForCausalLM", "no layout")
        """
    )
    lab.write("words", lab.many(1))
    result = lab.run("--quant-diagnose")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*conftest.py:2: pytest_quantgate_register_architectures failed: *"])
