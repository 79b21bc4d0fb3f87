"""Candidates that are other models: quantized elsewhere, GGUF files, other weights; and models without a template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file

from pytest_quantgate.cli import main
from pytest_quantgate.commands import rerun
from tests.gguf_files import write_gguf
from tests.integration.conftest import Lab, Tiny
from tests.stored_checkpoints import gptq
from tests.tiny_model import TEMPLATE, build_tiny_model


@pytest.fixture(scope="module")
def quantized(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, as GPTQ stores it."""
    folder = tmp_path_factory.mktemp("gptq")
    gptq()(tiny.folder, folder)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other weights."""
    return build_tiny_model(tmp_path_factory.mktemp("other"), seed=3)


def written(lab: Lab) -> Any:
    return json.loads((lab.pytester.path / "run.json").read_text())


def test_a_checkpoint_made_elsewhere_is_gated(lab: Lab, quantized: Path) -> None:
    lab.write("words", lab.of_many_lengths(4))
    result = lab.run("--quant-report-json=run.json", candidates=(f"stored@{quantized}",))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            f"quantgate: reference fp16 ({lab.tiny.folder}, float32, native kernels), candidate stored@{quantized} (*",
            "candidate stored@* against reference*",
        ]
    )
    report = written(lab)
    (candidate,) = report["candidates"]
    assert candidate["model"] == str(quantized)
    assert candidate["bits"] == 4
    assert candidate["audit"]["modules_replaced"] == 14
    assert "model" not in report["reference"]
    again = lab.run("--quant-report-json=run.json", candidates=(f"stored@{quantized}",))
    assert again.ret == pytest.ExitCode.OK
    assert written(lab)["candidates"][0]["generated"] == 0


@pytest.mark.usefixtures("empty_cache")
def test_layers_of_a_checkpoint_made_elsewhere_stand_among_plain_ones(lab: Lab, quantized: Path) -> None:
    lab.write("words", lab.of_many_lengths(4))
    maps = lab.pytester.mkdir("maps")
    made = Path(shutil.copytree(quantized, maps / "made"))
    (maps / "mix.json").write_text(json.dumps({"layers.0": "fp16", "*": "stored@made"}))
    inline = f"mix:layers.0=fp16;*=(stored@{quantized})"
    result = lab.run("--quant-report-json=run.json", candidates=("mix:maps/mix.json", inline))
    assert result.ret == pytest.ExitCode.OK
    filed, spelled = written(lab)["candidates"]
    assert filed["audit"]["modules_replaced"] == 7
    assert "stored@maps/made: GPTQ, 4 bits in groups of 32" in filed["summary"]
    assert filed["identity"] == spelled["identity"]
    assert (filed["generated"], spelled["generated"]) == (4, 0)
    tensors = load_file(made / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.scales"] *= 2
    save_file(tensors, made / "model.safetensors", {"format": "pt"})
    again = lab.run("--quant-report-json=run.json", candidates=("mix:maps/mix.json", inline))
    assert again.ret == pytest.ExitCode.OK
    assert [each["generated"] for each in written(lab)["candidates"]] == [4, 0]


@pytest.mark.alone(reason="nothing is run")
def test_a_part_that_was_scaled_together_with_its_norms_is_a_problem_of_the_dry_run(lab: Lab, quantized: Path) -> None:
    scaled = Path(shutil.copytree(quantized, lab.pytester.path / "scaled"))
    tensors = load_file(scaled / "model.safetensors")
    tensors["model.norm.weight"] *= 2
    save_file(tensors, scaled / "model.safetensors", {"format": "pt"})
    lab.write("words", lab.many(1))
    dry = lab.run("--quant-dry-run", candidates=("mix:layers.0=fp16;*=(stored@scaled)",))
    assert dry.ret == pytest.ExitCode.USAGE_ERROR
    why = "its norms are not those of the model of the mix, such as model.norm.weight: *"
    dry.stderr.fnmatch_lines([f"ERROR: variant 'mix:layers.0=fp16;[*]=(stored@scaled)': stored@scaled: {why}"])


def test_another_model_alone_is_the_candidate_as_it_is_stored(lab: Lab, other: Path) -> None:
    lab.write("words", [lab.failing("never"), lab.degraded("lost")])
    result = lab.run(f"--quant-cand-model={other}", "--quant-report-json=run.json", candidates=())
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAILED words.slice.yaml::gate[[]stored@{other}[]]*"])
    assert written(lab)["model"] == str(lab.tiny.folder)
    assert written(lab)["candidates"][0]["audit"] is None


def test_every_candidate_without_its_own_gets_the_model_of_the_ini_file(lab: Lab, other: Path, quantized: Path) -> None:
    shutil.copytree(other, lab.pytester.path / "models" / "other")
    lab.write("words", lab.of_many_lengths(2), file="quant/words.slice.yaml")
    lab.pytester.makeini(
        f"[pytest]\nquant_model = {lab.tiny.folder}\nquant_cand_model = models/other\n"
        f"quant_cand =\n  fp16\n  stored@{quantized}\n"
    )
    result = lab.run_pytest("quant", "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*case-0[[]fp16@models/other[]] PASSED*", f"*case-0[[]stored@{quantized}[]] PASSED*"], consecutive=False
    )


@pytest.mark.usefixtures("empty_cache")
def test_two_gguf_files_of_one_model_are_candidates_of_one_run(lab: Lab) -> None:
    for name, kind, mixture in (
        ("small", Kind.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
        ("large", Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    ):
        write_gguf(lab.pytester.path / f"{name}.gguf", [kind], mixture, template=TEMPLATE)
    lab.write("words", lab.of_many_lengths(2))
    dry = lab.run("--quant-dry-run", candidates=("stored@small.gguf,stored@large.gguf",))
    assert dry.ret == pytest.ExitCode.OK
    dry.stdout.fnmatch_lines(
        [
            "quantgate: small.gguf: converting to safetensors*",
            "quantgate: large.gguf: converting to safetensors*",
            "quantgate: stored@small.gguf: GGUF Q4_0: 6.94 bits per weight (9 F32, 21 Q4_0 tensors), made elsewhere*",
            "quantgate: stored@large.gguf: GGUF Q8_0: *",
            "quantgate: small.gguf has another tokenizer: 38 tokens of all prompts, the longest takes 19 of *",
        ]
    )
    result = lab.run("--quant-report-json=run.json", candidates=("stored@small.gguf,stored@large.gguf",))
    assert result.ret == pytest.ExitCode.OK
    assert [each["bits"] for each in written(lab)["candidates"]] == [4, 8]


@pytest.mark.usefixtures("at_home")
def test_its_golden_has_a_name_that_every_file_system_takes(lab: Lab, other: Path) -> None:
    shutil.copytree(other, lab.pytester.path / "models" / "other")
    lab.write("words", lab.of_many_lengths(2))
    spec = "stored@models/other"
    lab.run("--quant-reanchor=new", candidates=(spec,))
    names = [path.name for path in (lab.pytester.path / "golden" / "words").iterdir()]
    assert sorted(names) == ["fp16.jsonl", "stored%40models%2Fother.jsonl"]
    assert "models/other" in (lab.pytester.path / "golden" / "words" / names[names.index("fp16.jsonl") - 1]).read_text()
    result = lab.run("-v", candidates=(spec,))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"*drift[[]{spec}[]] PASSED*"])


def test_a_run_of_another_model_runs_again(
    lab: Lab, other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.write("words", lab.of_many_lengths(2), file="quant/words.slice.yaml")
    lab.run("quant", f"--quant-cand-model={other}", "--quant-report-json=run.json", candidates=())
    monkeypatch.setattr(rerun, "run", lambda command: lab.pytester.runpytest_inprocess(*command[3:]).ret)
    capsys.readouterr()
    assert main(["rerun", "run.json", "--yes"]) == pytest.ExitCode.OK
    assert f"--quant-cand-model={other}" in capsys.readouterr().out


def test_a_model_that_is_not_there_is_one_candidates_trouble(lab: Lab, quantized: Path) -> None:
    lab.write("words", lab.of_many_lengths(2))
    candidates = ("stored@gone.gguf", f"stored@{quantized}", f"nf4@{quantized}", "mix:*=(stored@lost.gguf)")
    result = lab.run("-v", candidates=candidates)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*gate[[]stored@gone.gguf[]] FAILED*",
            f"*gate[[]stored@{quantized}[]] PASSED*",
            f"*gate[[]nf4@{quantized}[]] FAILED*",
            "*gate[[]mix:[*]=(stored@lost.gguf)[]] FAILED*",
            "*gone.gguf: no such model*",
            "*its model is already quantized with GPTQ, 4 bits in groups of 32*",
            "*lost.gguf: no such model*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_base_model_is_asked_in_plain_text_and_that_is_said(lab: Lab) -> None:
    base = Path(shutil.copytree(lab.tiny.folder, lab.pytester.path / "base"))
    (base / "chat_template.jinja").unlink()
    lab.write("words", lab.of_many_lengths(3))
    result = lab.run_pytest("--quant-model=base", "--quant-cand=fp32", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*base has no chat template: prompts are the plain texts"])
    report = written(lab)
    assert report["reference"]["identity"]["chat_template"] == "none"
    (first, *_) = report["cases"]
    assert first["outcomes"]["fp16"]["prompt_tokens"] == len(first["case"]["messages"][0]["content"].split())
