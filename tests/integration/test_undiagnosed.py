"""What --quant-diagnose cannot look into, as a user sees it: it is told, and the run ends as it would without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from pytest_quantgate.diagnosis.architecture import unregister
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.store import load
from tests.faulty import Asked, FaultyServer, Reply, chat
from tests.integration.conftest import Lab, Tiny, asked
from tests.tiny_model import CONTEXT, SPECIAL, WORDS, build_tiny_model

DIAGNOSE = ("--quant-diagnose", "--quant-diagnose-minutes=0")
PAGE = Path(__file__).parents[2] / "docs" / "diagnosis.md"


@pytest.fixture(scope="module")
def neox(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Tiny:  # noqa: ARG001  (its cache)
    """A model in the way of Pythia, whose parts no structure that is known tells."""
    folder = build_tiny_model(tmp_path_factory.mktemp("neox"))
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        initializer_range=0.35,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    model: Any = GPTNeoXForCausalLM(config)
    model.half().save_pretrained(folder)
    return asked(folder, "fp16", "nf4")


@pytest.fixture(scope="module")
def nan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a norm that is not numbers."""
    folder = build_tiny_model(tmp_path_factory.mktemp("nan"))
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    return folder


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What the inner run's conftest describes is known to no other test, and what theirs do not to this one."""
    unregister("GPTNeoXForCausalLM")
    yield
    unregister("GPTNeoXForCausalLM")


def described() -> str:
    """The conftest that the docs show."""
    block = re.search(r'```python title="conftest.py"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return block[1]


def both(lab: Lab, *arguments: str, **more: Any) -> tuple[pytest.RunResult, RunReport, RunReport]:
    """A run with a diagnosis and its report, and the report of the same run without."""
    without = lab.run("--quant-report-json=run.json", *arguments, **more)
    plain = load(Path("run.json"))
    result = lab.run("--quant-report-json=run.json", *DIAGNOSE, *arguments, **more)
    assert result.ret == without.ret == pytest.ExitCode.TESTS_FAILED
    return result, load(Path("run.json")), plain


def told_the_same(report: RunReport, plain: RunReport) -> bool:
    """Whether two runs found the same, whatever they were called with, and wherever the answers came from."""
    first, second = (
        (
            each.verdict,
            [(gate.slice, gate.candidate, gate.verdict, gate.reasons) for gate in each.gates],
            [(case.case, {spec: outcome.passed for spec, outcome in case.outcomes.items()}) for case in each.cases],
        )
        for each in (report, plain)
    )
    return first == second


def test_a_server_shows_no_activations(lab: Lab) -> None:
    def says(request: Asked) -> Reply | None:
        return chat("nothing that was asked for") if request.method == "POST" else None

    lab.write("words", lab.many(2))
    with FaultyServer(says) as server:
        address = f"{server.url}#some-model"
        result, report, plain = both(lab, candidates=(address,))
    assert told_the_same(report, plain)
    assert report.diagnoses == ()
    result.stdout.fnmatch_lines(
        [
            f"quantgate: no diagnosis of words on {address}: *is served: a server does not show its activations",
            "  run the same weights here, and diagnose that run: --quant-model MODEL --quant-cand SPEC",
        ]
    )


@pytest.mark.alone(reason="who looks into models is the same with workers")
@pytest.mark.usefixtures("forgotten")
def test_an_architecture_that_cannot_be_read_is_told_with_the_way_out(lab: Lab, neox: Tiny) -> None:
    lab = replace(lab, tiny=neox)
    lab.write("words", lab.many(4, degraded=2))
    result, report, plain = both(lab)
    assert told_the_same(report, plain)
    assert report.diagnoses == ()
    result.stdout.fnmatch_lines(
        [
            "*no diagnosis of words on nf4: GPTNeoXForCausalLM: no attention block *(query_key_value, dense); *",
            "  describe its class in a conftest.py (pytest_quantgate_register_architectures), and run pytest with *",
        ]
    )


@pytest.mark.usefixtures("forgotten")
def test_an_architecture_that_the_user_describes_is_diagnosed(lab: Lab, neox: Tiny) -> None:
    lab = replace(lab, tiny=neox)
    lab.pytester.makeconftest(described())
    lab.write("words", lab.many(4, degraded=2))
    result, report, plain = both(lab)
    assert told_the_same(report, plain)
    (found,) = report.diagnoses
    assert (found.slice, found.candidate, len(found.sample.degraded)) == ("words", "nf4", 2)
    parts = {each.part for each in found.values if each.measure == "one_component"}
    assert parts == {"qkv_proj", "o_proj", "up_proj", "down_proj"}
    result.stdout.fnmatch_lines([f"diagnosis of words on nf4: {found.mode.value}"])


@pytest.mark.alone(reason="who looks into models is the same with workers")
def test_a_candidate_of_no_numbers_is_not_passed_over_beside_one_that_can_be_diagnosed(lab: Lab, nan: Path) -> None:
    lab.write("words", lab.many(4, degraded=2))
    spec = f"fp16@{nan}"
    result, report, plain = both(lab, candidates=("nf4", spec))
    assert told_the_same(report, plain)
    assert [each.candidate for each in report.diagnoses] == ["nf4"]
    result.stdout.fnmatch_lines(
        [
            f"quantgate: no diagnosis: *: no case degraded of words on {spec}; 4 of 4 * their logits are not numbers",
            "  check the weights; and half precision may overflow: run again with --quant-compute-dtype float32",
        ]
    )
