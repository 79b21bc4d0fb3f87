"""Candidates made of parts: quantized keys and values, mixes, adapters. They are gated, cached and anchored as any."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from pytest_quantgate.variants.adapter import CONFIG, WEIGHTS
from tests.integration.conftest import Lab
from tests.integration.goldens import record_of, report_of

pytestmark = [
    pytest.mark.usefixtures("at_home", "empty_cache"),
]

REPORT = "--quant-report-json=run.json"
CANDIDATES = ("fp16+kv:int2", "mix:mix.json", "fp16+lora:adapter", "mix:down_proj=rtn:2bit-g32;*=nf4")
MIX = {"layers.0": "fp16", "*": "rtn:8bit-g32"}


def adapter(lab: Lab) -> None:
    """An adapter that turns every answer."""
    folder = lab.pytester.mkdir("adapter")
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    torch.manual_seed(0)
    name = "base_model.model.model.layers.1.mlp.down_proj"
    save_file(
        {f"{name}.lora_A.weight": torch.randn(2, 128), f"{name}.lora_B.weight": torch.randn(64, 2)}, folder / WEIGHTS
    )


def test_they_are_gated_anchored_and_answer_from_the_cache(lab: Lab) -> None:
    lab.write("words", lab.of_many_lengths(8))  # which pass however they read
    (lab.pytester.path / "mix.json").write_text(json.dumps(MIX))
    adapter(lab)
    first = lab.run("--quant-reanchor=new", candidates=CANDIDATES)
    assert first.ret == pytest.ExitCode.OK
    second = lab.run(REPORT, candidates=CANDIDATES)
    report = report_of(lab)
    for record in (report.reference, *report.candidates):
        assert (record.problem, record.generated, record.cached) == (None, 0, 8)
    for spec in ("fp16", *CANDIDATES):
        assert record_of(report, spec).same == 8
    kv, mixed, adapted, _ = report.candidates
    assert kv.identity["kv"] == "int2 in groups of 16, 4 bits with scales"
    assert mixed.audit is not None
    assert (mixed.audit.modules_replaced, mixed.audit.modules_total) == (7, 15)
    assert mixed.identity["mix"] == "layers.0=fp16;*=rtn:8bit-g32"
    assert len(adapted.identity["adapter"]) == 64
    turned = {
        spec: sum(case.outcomes[spec].completion.text != case.outcomes["fp16"].completion.text for case in report.cases)
        for spec in CANDIDATES
    }
    assert turned["fp16+kv:int2"] > 0
    assert turned["fp16+lora:adapter"] > 0
    assert second.ret == pytest.ExitCode.OK


def test_what_is_wrong_with_a_map_is_told_before_anything_runs(lab: Lab) -> None:
    lab.write("words", [lab.preserved("case")])
    (lab.pytester.path / "mix.json").write_text('{\n"down_proj": "nf5"\n}')
    result = lab.run(candidates=("mix:mix.json",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*mix.json:2: down_proj: is not a known variant ('nf5'); did you mean 'nf4'[?]"])


def described_in_the_ini_file(lab: Lab) -> None:
    """A slice in a folder below that of an ini file whose specs name files beside it."""
    lab.write("words", lab.of_many_lengths(4), file="sub/words.slice.yaml")
    (lab.pytester.path / "mix.json").write_text(json.dumps(MIX))
    adapter(lab)
    shutil.copytree(lab.tiny.folder, lab.pytester.path / "models/tiny")
    lab.pytester.makeini(
        "[pytest]\nquant_model = models/tiny\nquant_ref = fp16+lora:adapter\n"
        "quant_cand =\n  mix:mix.json\n  stored@models/tiny\n"
    )


def test_files_that_the_ini_file_names_are_seen_from_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    described_in_the_ini_file(lab)
    assert lab.run_pytest("--quant-reanchor=new").ret == pytest.ExitCode.OK
    monkeypatch.chdir(lab.pytester.path / "sub")
    assert lab.run_pytest(f"--quant-report-json={lab.pytester.path}/run.json").ret == pytest.ExitCode.OK
    report = report_of(lab)
    specs = ["fp16+lora:adapter", "mix:mix.json", "stored@models/tiny"]
    assert [each.spec for each in (report.reference, *report.candidates)] == specs
    for record in (report.reference, *report.candidates):
        assert (record.problem, record.generated, record.cached) == (None, 0, 4)
        assert record_of(report, record.spec).same == 4


def test_files_that_the_command_line_names_are_seen_from_the_current_folder(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    described_in_the_ini_file(lab)
    monkeypatch.chdir(lab.pytester.path / "sub")
    for words in (["--quant-cand=mix:mix.json"], ["-o", "quant_cand=mix:mix.json"]):
        result = lab.run_pytest(*words)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*mix.json:1: no such file*"])
    assert lab.run_pytest("--quant-cand=mix:../mix.json").ret == pytest.ExitCode.OK


def test_one_spec_that_would_name_two_files_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    described_in_the_ini_file(lab)
    monkeypatch.chdir(lab.pytester.path / "sub")
    result = lab.run_pytest("--quant-cand=fp16+lora:adapter")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    where = "ERROR: --quant-cand and ../tox.ini:3: quant_ref"
    why = "fp16+lora:adapter is seen from two folders and names two things: write its paths absolute"
    result.stderr.fnmatch_lines([f"{where}: {why}"])


@pytest.mark.alone(reason="nothing is run")
def test_a_model_for_candidates_of_the_ini_file_is_seen_from_where_it_is_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    described_in_the_ini_file(lab)
    monkeypatch.chdir(lab.pytester.path / "models")
    result = lab.run_pytest("../sub", "--quant-cand-model=tiny", "--co", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"*case-0[[]mix:mix.json@{lab.pytester.path}/models/tiny[]]"])
