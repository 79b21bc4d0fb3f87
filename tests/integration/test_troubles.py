"""Models that do not answer: clear reasons, unscored cases, gates that let nothing pass, and no traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from pytest_quantgate.generation import run as generation
from pytest_quantgate.variants import memory
from tests.integration.conftest import Lab


@pytest.fixture
def model(lab: Lab) -> Path:
    """A copy of the model, to be damaged."""
    return Path(shutil.copytree(lab.tiny.folder, lab.pytester.path / "model"))


def assert_nothing_passed(result: pytest.RunResult, reason: str) -> None:
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"quantgate: error: {reason}",
            "*: INCONCLUSIVE",
            f"  {reason}",
            "FAILED words.slice.yaml::gate*",
            "*1 failed, 2 unscored*",
        ]
    )
    for lines in (result.stdout, result.stderr):
        lines.no_fnmatch_line("*Traceback*")


def test_a_model_that_is_not_there(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    assert_nothing_passed(lab.run("--quant-model=/no/model"), "/no/model: no such model*")


def test_truncated_weights(lab: Lab, model: Path) -> None:
    lab.write("words", lab.many(2))
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert_nothing_passed(lab.run(f"--quant-model={model}"), "*model.safetensors*")


def test_a_model_that_does_not_fit(lab: Lab, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(2))
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")  # nothing of it is cached
    monkeypatch.setattr(memory, "available_bytes", lambda _device: 1000)
    assert_nothing_passed(lab.run(f"--quant-model={model}"), "variant 'fp16': it needs about*")


def test_weights_that_are_not_numbers_leave_every_case_unscored(lab: Lab, model: Path) -> None:
    lab.write("words", lab.many(2))
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    result = lab.run(f"--quant-model={model}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["words on nf4: 2 cases, such as case-0: *not finite numbers", "FAILED *INCONCLUSIVE*"])


def test_a_candidate_that_is_not_quantized_is_refused(lab: Lab, model: Path) -> None:
    lab.write("words", lab.many(2))
    config = json.loads((model / "config.json").read_text())
    layers = "+".join(f"model.layers.{number}" for number in range(config["num_hidden_layers"]))
    result = lab.run(candidates=(f"nf4:skip={layers}",))
    assert_nothing_passed(result, f"variant 'nf4:skip={layers}': nothing was quantized*")


def test_trouble_with_one_candidate_leaves_the_other_alone(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("-v", candidates=("nf4:skip=no_such_module", "nf4"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "words.slice.yaml::case-0[[]nf4:skip=no_such_module[]] UNSCORED*",
            "words.slice.yaml::case-0[[]nf4[]] PASSED*",
            "words.slice.yaml::gate[[]nf4:skip=no_such_module[]] FAILED*",
            "words.slice.yaml::gate[[]nf4[]] PASSED*",
        ]
    )


def test_trouble_fails_the_build_even_for_a_part_of_a_slice(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("-k", "case-1", "--quant-model=/no/model")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_fault_in_a_library_reaches_the_items_and_its_traceback_the_gate(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("cublas is in a mood")

    lab.write("words", lab.many(2))
    monkeypatch.setattr(generation, "answer", broken)
    result = lab.run("-rf")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*UUF*", "*internal error: RuntimeError: cublas is in a mood", "Traceback*", "*2 unscored*"]
    )


def test_a_candidate_too_long_for_a_file_name_ends_like_any_other(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    modules = "+".join(f"model.layers.{number}.no_such_module" for number in range(20))
    result = lab.run(candidates=(f"nf4:skip={modules}",))
    assert_nothing_passed(result, "variant 'nf4:skip=model*")
    result.stdout.no_fnmatch_line("*the report cannot be made*")


def test_other_tests_run_all_the_same(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makepyfile("def test_one(): pass")
    lab.run("--quant-model=/no/model").assert_outcomes(passed=1, failed=1)
