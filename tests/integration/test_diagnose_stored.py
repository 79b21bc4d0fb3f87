"""A checkpoint made elsewhere that fails its gate: which of its layers to keep is found, verified and can be run."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from shlex import quote

import pytest
from safetensors.torch import load_file, save_file

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import OK
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab
from tests.stored_checkpoints import gptq

CASES = 12


@pytest.mark.alone(reason="the command looks into models without pytest")
def test_what_is_recommended_is_a_mix_that_passes_the_gate(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    made = lab.pytester.path / "made"
    gptq(8)(lab.tiny.folder, made)
    tensors = load_file(made / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.scales"] *= 0.3  # it gives a third of what it should
    save_file(tensors, made / "model.safetensors", {"format": "pt"})
    asked = islice(lab.tiny.texts["fp16"].items(), CASES)
    cases = [
        {"id": f"case-{number}", "prompt": prompt, "checks": [{"exact": text}]}
        for number, (prompt, text) in enumerate(asked)
    ]
    lab.write("words", cases, max_pass_to_fail=0.7, min_robustness=0.2)  # 8 bits turn answers of this model, too
    model = "--quant-cand-model=made"
    assert lab.run(model, "--quant-report-json=run.json", candidates=()).ret == pytest.ExitCode.TESTS_FAILED

    assert main(["diagnose", "run.json", "--max-bits=10", "--minutes=2", "--json=why.json"]) == OK
    (found,) = load(Path("why.json")).diagnoses
    repair = found.repair
    assert repair is not None
    chosen = repair.chosen
    assert chosen is not None
    assert chosen.spec == f"mix:layers.1.mlp.down_proj=fp16;*=(stored@made)@{lab.tiny.folder}"
    assert (chosen.stage, repair.verdicts) == ("verified", {"words": Verdict.PASS})
    assert chosen in repair.trials
    assert f"--quant-cand {quote(chosen.spec)}\n" in capsys.readouterr().out

    green = lab.run(model, "--quant-report-json=again.json", candidates=(chosen.spec,))
    assert green.ret == pytest.ExitCode.OK
    assert load(Path("again.json")).candidates[0].generated == 0  # it is the variant that was verified
