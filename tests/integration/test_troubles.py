"""Models that do not answer: clear reasons, unscored cases, gates that let nothing pass, and no traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from pytest_quantgate.generation import run as generation
from pytest_quantgate.variants import device, memory
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


@pytest.mark.alone(reason="workers look for the device themselves")
def test_a_device_that_cannot_be_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("CUDA error: system not yet initialized")

    lab.write("words", lab.many(2))
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.mem_get_info", fail)
    assert_nothing_passed(lab.run("--quant-device=cuda"), "--quant-device: cuda:0 cannot be used: CUDA error: system *")


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


def test_what_cannot_run_here_is_told_before_the_others_answer(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--quant-device=cpu", candidates=("nf4", "torchao:int4"))
    reason = "error: variant 'torchao:int4': of torchao's kernels for it only those for CUDA are used, *"
    result.stdout.fnmatch_lines(
        [f"*{reason}; the others are asked without it", "*fp16: *answers*", f"quantgate: {reason}"]
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


def test_what_a_model_folder_says_cannot_act_on_the_terminal(lab: Lab, model: Path) -> None:
    lab.write("words", lab.many(2))
    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").write_text("{{ raise_exception('\x1b]0;title\x07') }}")
    refused = lab.run(f"--quant-model={model}", "-rs", "--junitxml=junit.xml")
    assert refused.ret == pytest.ExitCode.TESTS_FAILED
    (model / "chat_template.jinja").write_text(template)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "\x1b]0;title\x07"}))
    for result in (refused, lab.run(f"--quant-model={model}", "-rs")):
        result.stdout.fnmatch_lines([r"*\x1b]0;title\x07*"])
        assert not {"\x1b", "\x07"} & set(result.stdout.str())


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("generation_config.json", {"eos_token_id": "</s>"}, "*eos_token_id is '</s>', neither a token id nor*"),
        ("generation_config.json", {"eos_token_id": [[1]]}, "*eos_token_id is [[][[]1]], neither a token id nor*"),
        ("config.json", {"num_hidden_layers": 1}, "*weights that the model does not use: model.layers.1.*"),
    ],
)
def test_files_that_do_not_fit_together(
    lab: Lab, model: Path, file: str, change: dict[str, object], reason: str
) -> None:
    lab.write("words", lab.many(2))
    content = json.loads((model / file).read_text())
    (model / file).write_text(json.dumps(content | change))
    assert_nothing_passed(lab.run(f"--quant-model={model}"), reason)


def test_a_tokenizer_of_another_model(lab: Lab, model: Path) -> None:
    lab.write("words", lab.many(2))
    weights = load_file(model / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name][:10].copy()
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "vocab_size": 10}))
    assert_nothing_passed(lab.run(f"--quant-model={model}"), "*the tokenizer gives token * and the model knows 10*")
