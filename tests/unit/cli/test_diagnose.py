"""`quantgate diagnose`: what it writes, what it refuses, and that one fault stops nothing else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config, GPT2LMHeadModel

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.cli import main
from pytest_quantgate.commands import broken, diagnose
from pytest_quantgate.commands.running import BAD_USAGE, OK, PROBLEMS
from pytest_quantgate.diagnosis import diagnose as room
from pytest_quantgate.diagnosis.model import Diagnosis, Mode, Repair, Sample, Trial
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.errors import ModelError
from pytest_quantgate.gate.model import GateResult
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.report.model import RunReport, VariantRecord
from pytest_quantgate.report.store import load, write
from pytest_quantgate.variants import source
from tests.unit.cli.broken_run import several
from tests.unit.diagnosis.answered import CONTEXT, END, byte_tokenizer
from tests.unit.report.build import FAILED, PASSED, UNSCORED, counted, record, run

TINY = Path(__file__).parents[3] / "fixtures" / "tiny_instruct" / "model"
UNREADABLE = "localhost:9/v1#some-model"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[RunReport], None]:
    """Keeps a run as run.json in the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda report: write(report, Path("run.json"))


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Diagnoses are made without looking; gives the slices and candidates of those that were."""
    made: list[tuple[str, str]] = []

    def diagnosed(_report: RunReport, gate: GateResult, *_: object) -> Diagnosis:
        made.append((gate.slice, gate.candidate))
        return Diagnosis(gate.slice, "fp16", gate.candidate, Mode.MIXED, (), Sample(("case-8",), ()))

    monkeypatch.setattr(diagnose, "diagnosed", diagnosed)
    monkeypatch.setattr(diagnose, "variant_of", lambda *_: None)
    return made


def test_every_broken_gate_is_told_and_written(
    stored: Callable[[RunReport], None],
    no_models: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagnose, "page_of", lambda report: f"a page of {len(report.diagnoses)}")  # charts take seconds
    stored(several())
    assert main(["diagnose", "run.json", "--json", "why.json", "--html", "why.html"]) == OK
    assert no_models == [("worse", "nf4"), ("bad", "nf4")]
    out = capsys.readouterr().out
    assert out.index("diagnosis of worse on nf4: mixed") < out.index("diagnosis of bad on nf4: mixed")
    written = load(Path("why.json"))
    assert [each.slice for each in written.diagnoses] == ["worse", "bad"]
    assert replace(written, diagnoses=(), report_path=None) == several()
    assert Path("why.html").read_text() == "a page of 2"


def test_a_later_diagnosis_takes_the_place_of_an_earlier_one(
    stored: Callable[[RunReport], None], no_models: list[tuple[str, str]]
) -> None:
    stored(several())
    main(["diagnose", "run.json", "--json", "why.json"])
    assert main(["diagnose", "why.json", "--slice", "worse", "--json", "again.json"]) == OK
    assert len(no_models) == 3
    assert [each.slice for each in load(Path("again.json")).diagnoses] == ["bad", "worse"]


@pytest.mark.usefixtures("no_models")
def test_what_cannot_be_diagnosed_stops_nothing_else(
    stored: Callable[[RunReport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    served = f"http://{UNREADABLE}"
    records = [
        replace(each, node_ids={**each.node_ids, served: "x"}, outcomes={**each.outcomes, served: FAILED})
        for each in counted("words", pp=6, pf=4)
    ]
    both = run(("words", records)), run(("words", records), candidate=served)
    stored(replace(both[0], gates=both[0].gates + both[1].gates, candidates=both[0].candidates + both[1].candidates))
    assert main(["diagnose", "run.json"]) == PROBLEMS
    out, err = capsys.readouterr()
    assert "diagnosis of words on nf4" in out
    assert f"quantgate: run.json: {served} is served: a server does not show its activations\n  run the same" in err
    assert main(["diagnose", "run.json", "--candidate", served]) == BAD_USAGE


@pytest.mark.usefixtures("no_models")
def test_a_gate_that_failed_without_a_degraded_case_is_told_beside_a_diagnosis(
    stored: Callable[[RunReport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stored(run(("gone", [record("gone", "one", PASSED, UNSCORED)]), ("bad", counted("bad", pp=8, pf=2))))
    assert main(["diagnose", "run.json"]) == PROBLEMS
    out, err = capsys.readouterr()
    assert "diagnosis of bad on nf4" in out
    assert "run.json: no case degraded of gone on nf4; 1 of 1 cases are unscored: the prompt does not fit" in err


def test_an_architecture_that_cannot_be_read_is_described_for_a_run_and_not_for_the_command(
    stored: Callable[[RunReport], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer, folder = byte_tokenizer(), tmp_path / "gpt2"
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=8,
        n_layer=1,
        n_head=2,
        bos_token_id=END,
        eos_token_id=END,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    broke = counted("words", pp=6, pf=4, candidate="fp32")
    stored(replace(run(("words", broke), candidate="fp32"), model=str(folder)))
    assert main(["diagnose", "run.json", "--no-repair"]) == BAD_USAGE
    told = capsys.readouterr().err
    assert "GPT2LMHeadModel: no attention block of a known kind was found in its layers" in told
    assert "conftest.py (pytest_quantgate_register_architectures), and run pytest with --quant-diagnose" in told


class Model:
    """Stands for a model that a frame holds."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("a library's"), "quantgate: worse on nf4: internal error: RuntimeError: a library's\n"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "quantgate: worse on nf4: memory ran out\n"),
        (ModelError("it is odd", where="there"), "quantgate: there: it is odd\n"),
    ],
)
def test_a_gate_that_fails_stops_no_other_and_leaves_no_model_behind(
    error: Exception,
    told: str,
    stored: Callable[[RunReport], None],
    no_models: list[tuple[str, str]],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch, capsys = request.getfixturevalue("monkeypatch"), request.getfixturevalue("capsys")
    alive: list[weakref.ref[Model]] = []
    sound = diagnose.diagnosed

    def diagnosed(report: RunReport, gate: GateResult, *more: Any) -> Diagnosis:
        if gate.slice == "worse":
            model = Model()
            alive.append(weakref.ref(model))
            raise deepcopy(error) from KeyError(model)
        gc.collect()
        assert alive[0]() is None
        return sound(report, gate, *more)

    monkeypatch.setattr(diagnose, "diagnosed", diagnosed)
    stored(several())
    assert main(["diagnose", "run.json"]) == PROBLEMS
    out, err = capsys.readouterr()
    assert told in err
    assert "diagnosis of bad on nf4" in out
    assert no_models == [("bad", "nf4")]


def test_what_a_verification_runs_into_loses_no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a library's")

    before = Trial("nf4", (), 4.5, 1_000, 0, 2, 0, 1, "verified", "as it is")
    repair = Repair(before, (), replace(before, stage="decoded"), reason="found")
    made = Diagnosis("bad", "fp16", "nf4", Mode.MIXED, (), Sample(("case-8",), ()), repair=repair)
    monkeypatch.setattr(room, "diagnose", lambda *_, **__: made)
    monkeypatch.setattr(diagnose, "_verified", fail)
    monkeypatch.setattr(diagnose, "_other", lambda *_: ())
    means = diagnose.Means(builtin_registry(), RepairLimits(), SilentProgress())
    report = several()
    nf4: Any = None
    found = diagnose.diagnosed(report, report.gates[1], nf4, nf4, means).repair
    assert found is not None
    assert found.chosen is None
    assert found.reason.endswith("none could be verified: internal error: RuntimeError: a library's")


def reference_is(spec: str) -> RunReport:
    report = several()
    cases = tuple(replace(each, outcomes={spec: each.outcomes["fp16"], **each.outcomes}) for each in report.cases)
    return replace(report, reference=VariantRecord(spec, "0a1b"), cases=cases)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (reference_is("golden:fp16"), "nothing of golden:fp16 is run: its answers are anchored ones\n  run again with"),
        (reference_is(f"http://{UNREADABLE}"), "is served: a server does not show its activations"),
        (reference_is("fp61"), "did you mean 'fp16'?"),
        (replace(several(), base_command=()), "its answers were recorded elsewhere: there is no model to look into"),
        (replace(several(), model="nobody/has-it"), "nobody/has-it: the model is not on this machine\n  nothing is"),
        (
            replace(several(), model="nobody/has-it", revision="12ab" * 10),
            "nobody/has-it: the model is not on this machine, or not at commit 12ab12ab12ab",
        ),
        (replace(several(), model="./nowhere"), "./nowhere: the model is not on this machine"),
        (replace(several(), model="nul\0l"), "the model is not on this machine"),
    ],
)
def test_models_that_cannot_be_looked_into_are_told(
    report: RunReport,
    told: str,
    stored: Callable[[RunReport], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored(report)
    assert main(["diagnose", "run.json", "--slice", "bad"]) == BAD_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


def test_answers_that_were_stopped_early_are_not_diagnosed(
    stored: Callable[[RunReport], None], no_models: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = replace(PASSED, completion=replace(PASSED.completion, finish_reason="decided"))
    stored(run(("bad", [record("bad", "a", stopped, FAILED)]), ("worse", counted("worse", pp=5, pf=5))))
    assert main(["diagnose", "run.json", "--slice", "bad"]) == BAD_USAGE
    assert "run.json: answers to bad were stopped early\n  run again without --quant-stop-early" in (
        capsys.readouterr().err
    )
    assert main(["diagnose", "run.json", "--slice", "worse"]) == OK
    assert no_models == [("worse", "nf4")]


def test_a_model_of_the_hub_is_taken_at_the_commit_that_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / ("12ab" * 10)
    snapshot.symlink_to(TINY)
    asked = []

    def at_hand(name: str, revision: str | None) -> Path:
        asked.append((name, revision))
        return snapshot

    monkeypatch.setattr(source, "folder_at_hand", at_hand)
    report = replace(several(), model="somebody/has-it", revision=snapshot.name, device="cpu")
    found = broken.variant_of(report, "nf4", lambda _: None)
    assert asked == [("somebody/has-it", snapshot.name)]
    assert (found.model.name, found.model.revision, found.device) == ("somebody/has-it", snapshot.name, "cpu")


@pytest.mark.parametrize(("kernels", "expected"), [("vllm", "dense"), ("native", "native")])
def test_a_variant_is_looked_into_as_it_ran_and_one_of_vllm_as_transformers_runs_it(
    kernels: str, expected: str
) -> None:
    made = {"kernels": kernels, "compute_dtype": "bfloat16"}
    report = several()
    candidates = tuple(replace(each, identity=made) for each in report.candidates)
    found = broken.variant_of(
        replace(report, model=str(TINY), device="cpu", candidates=candidates), "nf4", lambda _: None
    )
    assert found.placement.kernels == expected
    assert found.placement.compute_dtype == ("float32" if kernels == "vllm" else "bfloat16")


def test_models_of_parts_are_looked_for_and_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr(source, "folder_at_hand", lambda name, revision=None: asked.append((name, revision)))
    report = replace(several(), model=str(TINY), device="cpu")
    spec = "mix:layers.0=fp16;*=(stored@somebody/has-it)"
    report = replace(report, candidates=tuple(replace(each, spec=spec) for each in report.candidates[:1]))
    with pytest.raises(ModelError, match="somebody/has-it: the model is not on this machine\n  nothing is downloaded"):
        broken.variant_of(report, spec, lambda _: None)
    assert asked == [("somebody/has-it", None)]


def test_a_folder_that_is_no_model_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        broken.variant_of(replace(several(), model=str(tmp_path)), "nf4", lambda _: None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--max-bits", "0"], "--max-bits: it is 0\n  give mean bits"),
        (["--max-bits", "nan"], "--max-bits: it is nan"),
        (["--max-bits", "17"], "--max-bits: it is 17"),
        (["--minutes", "-1"], "--minutes: it is -1\n  give minutes"),
        (["--minutes", "inf"], "--minutes: it is inf"),
        (["--json", "run.json"], "--json run.json: the run itself is that file"),
        (["--json", "a", "--html", "./a"], "--html a: --json is that file"),
        (["--html", "."], "no report can be written there"),
        (["--judge", "nowhere"], "nowhere"),
    ],
)
def test_options_that_cannot_be_right_are_refused_before_a_model_is_looked_for(
    options: list[str], told: str, stored: Callable[[RunReport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stored(several())
    assert main(["diagnose", "run.json", *options]) == BAD_USAGE
    assert told in capsys.readouterr().err
    assert load(Path("run.json")) == several()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "pytest-quantgate run report"}'])
def test_what_is_no_report_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    assert main(["diagnose", str(file)]) == BAD_USAGE
    assert "this is not a run report that can be read" in capsys.readouterr().err
