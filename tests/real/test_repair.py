"""From a red gate to a repair that passes it, on weights that were trained, as a user goes."""

from __future__ import annotations

from itertools import islice
from shlex import quote

import pytest
import yaml

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import OK
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.store import load
from tests.served import TINY_INSTRUCT

CASES = 8
SPEC = "rtn:4bit"


def test_what_is_recommended_passes_the_gate_as_any_other_variant(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUANTGATE_CACHE_DIR", str(pytester.path / "cache"))
    sums = yaml.safe_load((TINY_INSTRUCT.parent / "slices" / "math.slice.yaml").read_text(encoding="utf-8"))
    sums["cases"] = list(islice(sums["cases"], CASES))
    sums["gate"]["min_cases"] = CASES
    pytester.path.joinpath("math.slice.yaml").write_text(yaml.safe_dump(sums), encoding="utf-8")
    run = ["-p", "no:cacheprovider", "--quant-model", str(TINY_INSTRUCT)]
    red = pytester.runpytest_subprocess(*run, "--quant-cand", SPEC, "--quant-report-json=run.json")
    assert red.ret == pytest.ExitCode.TESTS_FAILED

    # bits to spare: what is found must not depend on how far a search comes in its minutes
    assert main(["diagnose", "run.json", "--max-bits=7.5", "--minutes=5", "--json=why.json"]) == OK
    (found,) = load(pytester.path / "why.json").diagnoses
    repair = found.repair
    assert repair is not None
    chosen = repair.chosen
    assert chosen is not None
    assert chosen in repair.trials
    assert repair.verdicts == {"math": Verdict.PASS}
    assert repair.before.bits < chosen.bits <= 7.5
    same = ("decoded", chosen.kept, chosen.bits)
    decoded, *_ = (each for each in repair.trials if (each.stage, each.kept, each.bits) == same)
    whole = [(each.turned_back, each.degraded, each.lost, each.preserved) for each in (decoded, chosen)]
    assert whole[0] == whole[1]  # what was tried in memory is what its spec does
    assert f"--quant-cand {quote(chosen.spec)}\n" in capsys.readouterr().out

    green = pytester.runpytest_subprocess(*run, "--quant-cand", chosen.spec)
    assert green.ret == pytest.ExitCode.OK
