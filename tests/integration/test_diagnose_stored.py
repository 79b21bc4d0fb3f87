"""A checkpoint made elsewhere that fails its gate: which of its layers to keep is found, verified and can be run."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from shlex import quote

import pytest
from safetensors.torch import load_file, save_file

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import OK
from pytest_quantgate.diagnosis.model import Repair
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab, Tiny
from tests.stored_checkpoints import gptq

CASES = 12
BROKEN = "model.layers.1.mlp.down_proj"


@pytest.fixture(scope="module")
def broken(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in 8 bits, but for one layer that gives a third of what it should."""
    folder = tmp_path_factory.mktemp("gptq")
    gptq(8)(tiny.folder, folder)
    change(folder, f"{BROKEN}.scales", 0.3)
    return folder


def change(folder: Path, name: str, factor: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name] *= factor
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def failed(lab: Lab, *arguments: str) -> None:
    """A run of a slice whose right answers are the reference's, and which the candidate fails."""
    asked = islice(lab.tiny.texts["fp16"].items(), CASES)
    cases = [
        {"id": f"case-{number}", "prompt": prompt, "checks": [{"exact": text}]}
        for number, (prompt, text) in enumerate(asked)
    ]
    lab.write("words", cases, max_pass_to_fail=0.3, min_robustness=0.3)
    result = lab.run("--quant-report-json=run.json", *arguments, candidates=())
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def repair() -> Repair:
    assert main(["diagnose", "run.json", "--max-bits=10", "--minutes=2", "--json=why.json"]) == OK
    (found,) = load(Path("why.json")).diagnoses
    assert found.repair is not None
    return found.repair


@pytest.mark.alone(reason="the command looks into models without pytest")
@pytest.mark.parametrize("option", ["--quant-cand=stored@made", "--quant-cand-model=made"])
def test_what_is_recommended_is_a_mix_that_passes_the_gate(
    lab: Lab, broken: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(broken, lab.pytester.path / "made")
    failed(lab, option)
    found = repair()
    chosen = found.chosen
    assert chosen is not None
    assert chosen.spec == f"mix:layers.1.mlp.down_proj=fp16;*=(stored@made)@{lab.tiny.folder}"
    assert (chosen.stage, found.verdicts) == ("verified", {"words": Verdict.PASS})
    assert chosen in found.trials
    assert f"--quant-cand {quote(chosen.spec)}\n" in capsys.readouterr().out
    others = [] if option.startswith("--quant-cand=") else [option]
    green = lab.run("--quant-report-json=again.json", *others, candidates=(chosen.spec,))
    assert green.ret == pytest.ExitCode.OK
    assert load(Path("again.json")).candidates[0].generated == 0  # it is the variant that was verified


@pytest.mark.alone(reason="the command looks into models without pytest")
def test_where_layers_were_scaled_together_with_norms_that_is_said(lab: Lab, broken: Path) -> None:
    change(Path(shutil.copytree(broken, lab.pytester.path / "made")), "model.norm.weight", 2.0)
    failed(lab, "--quant-cand=stored@made")
    found = repair()
    assert (found.chosen, found.trials) == (None, ())
    assert "its norms are not those of the model of the mix, such as model.norm.weight: " in found.reason
