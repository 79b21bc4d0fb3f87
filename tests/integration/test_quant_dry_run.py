from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantgate.generation import budget
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.variants import device, memory, source
from pytest_quantgate.variants.source import ModelSource
from tests.integration.conftest import Lab

pytestmark = pytest.mark.alone(reason="a dry run starts no workers, see test_xdist.py")


def test_counts_tokens_memory_and_what_is_cached(lab: Lab) -> None:
    lab.write("words", [*lab.many(3), lab.unscored("long")])
    result = lab.run("--quant-dry-run", candidates=("nf4", "fp4"))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "quantgate: fp16: *; answered by quantgate's own decoding in float32, needs about * GiB on cpu, and *",
            "quantgate: nf4: *; answered by quantgate's own decoding in float32, weights spread out once, needs *",
            "quantgate: its own decoding: on a CPU *slower, and * torch.compile had not answered 32 prompts in three *",
            "  slice *cases *prompts *longest *too long *answers *fp16 *nf4 *fp4",
            "  words * 4 * 284 * 260 * 1 * 16 *",
            "quantgate: the model's context is 128 tokens*",
            "quantgate: dry run: no problem found*",
            "*no tests ran*",
        ]
    )


def test_on_a_gpu_it_says_that_other_engines_were_not_measured(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    for module in (memory, budget):
        monkeypatch.setattr(module, "available_bytes", lambda _device: 11 << 30)
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run", "--quant-device=cuda", candidates=("rtn:4bit",))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "quantgate: rtn:4bit-g64: *; answered by quantgate's own decoding in float16, *",
            "quantgate: its own decoding: * not measured on GPUs by this project; *engines.py --device cuda:0 does *",
        ]
    )
    result.stdout.no_fnmatch_line("*on a CPU*")


def test_only_selected_cases_count(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    result = lab.run("--quant-dry-run", "-k", "case-1")
    result.stdout.fnmatch_lines(["  words * 1 * 8 * 8 * 0 * 4 * 1 * 1"])


def test_a_damaged_tokenizer_is_a_problem(lab: Lab) -> None:
    model = Path(shutil.copytree(lab.tiny.folder, lab.pytester.path / "model"))
    (model / "tokenizer.json").write_text("{")
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run", f"--quant-model={model}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *tokenizer.json: *"])
    for lines in (result.stdout, result.stderr):
        lines.no_fnmatch_line("*Traceback*")


def test_a_model_that_had_to_be_converted_is_not_called_untouched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def converted(*_: object, note: Callable[[str], None]) -> ModelSource:
        note("x.gguf: converting")
        return ModelSource("x.gguf", lab.tiny.folder)

    lab.write("words", lab.many(1))
    monkeypatch.setattr(source, "resolve_model", converted)
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: x.gguf: converting", "quantgate: dry run: *made ready as told above*"])
    result.stdout.no_fnmatch_line("*nothing was loaded*")


def test_a_candidate_without_slices_is_a_problem(lab: Lab) -> None:
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no slice was found*"])


def test_an_earlier_report_and_its_folder_are_left_alone(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    (lab.pytester.path / "run.json").touch()
    lab.run("--quant-dry-run", "--quant-report-json=run.json")
    lab.run("--quant-dry-run", "--quant-report-json=new/run.json")
    assert (lab.pytester.path / "run.json").exists()
    assert not (lab.pytester.path / "new").exists()


@pytest.mark.parametrize("option", ["--quant-report-json", "--quant-report-html", "--quant-report-markdown"])
@pytest.mark.parametrize("place", ["/proc/run", "/proc/deep/run"])
def test_a_report_that_could_not_be_written_is_a_problem(lab: Lab, option: str, place: str) -> None:
    lab.write("words", lab.many(1))
    for more in (("--quant-dry-run",), ()):
        result = lab.run(*more, f"{option}={place}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {option} {place}: no report can be written there: *"])
        result.stdout.no_fnmatch_line("fp16: *")  # nobody is asked


def test_two_reports_at_one_place_are_a_problem(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run", "--quant-report-json=run", "--quant-report-html=./run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-report-html *run: --quant-report-json names the same file: *"])


def test_a_checkpoint_that_must_be_made_first_is_told(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(1))
    specs = ("gptq:4bit-g64", "mix:down_proj=gptq:8bit-g64;*=nf4")
    result = lab.run("--quant-dry-run", candidates=specs)
    assert result.ret == pytest.ExitCode.OK
    made = "its checkpoint is not made yet: the run makes it before it is asked, once, which takes minutes or longer"
    result.stdout.fnmatch_lines(
        [f"quantgate: gptq:{bits}bit-g64: {made}, and keeps it in {empty_cache}/gptq/*" for bits in (4, 8)]
    )
    assert not (empty_cache / "gptq").exists()
    lab.run("--quant-dry-run", candidates=("nf4", "fp16")).stdout.no_fnmatch_line(f"*{made}*")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--quant-model=/no/such/folder", "ERROR: /no/such/folder: no such model*"),
        ("--quant-model=words.slice.yaml", "ERROR: *words.slice.yaml: a file that is not GGUF*"),
    ],
)
def test_problems_are_told_and_the_status_is_that_of_bad_usage(lab: Lab, argument: str, message: str) -> None:
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run", argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_model_that_does_not_fit_is_a_problem(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _device: 1000)
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: variant 'fp16': it needs about*", "ERROR: variant 'nf4': it needs about*"])


@pytest.mark.alone(reason="nothing is distributed where nothing runs")
def test_models_that_do_not_fit_beside_each_other_are_a_problem(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _device: 3 << 29)  # 1.5 GiB, and each needs 1
    lab.write("words", lab.many(1))
    assert lab.run("--quant-dry-run").ret == pytest.ExitCode.OK
    result = lab.run("--quant-dry-run", "--quant-device=cpu,cpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: variant 'fp16': it needs about * on cpu for each of 2 processes, and *"])


def test_keys_and_values_have_what_decoding_would_give_them(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda _device: 11 << 30)  # of which the tiny model needs 1
    lab.write("words", lab.many(1))
    for named, left in (("cpu", "4.0"), ("cpu,cpu", "1.8")):
        result = lab.run("--quant-dry-run", f"--quant-device={named}")
        result.stdout.fnmatch_lines([f"quantgate: nf4: *, needs about 1.0 GiB on cpu, and has about {left} GiB for *"])


def test_what_cannot_run_here_is_a_problem_and_nothing_is_answered(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(2))
    refused = (
        "variant 'torchao:int4': of torchao's kernels for it only those for CUDA are used, and the device is a CPU"
    )
    dry = lab.run("--quant-dry-run", "--quant-device=cpu", candidates=("torchao:int4",))
    assert dry.ret == pytest.ExitCode.USAGE_ERROR
    dry.stderr.fnmatch_lines(
        [f"ERROR: {refused}", "  use a CUDA device *, or what needs no such device: torchao:int8, *"]
    )
    dry.stdout.no_fnmatch_line("*no problem found*")
    run = lab.run("--quant-device=cpu", candidates=("torchao:int4",))
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines([f"quantgate: error: {refused}", "*2 unscored*"])
    run.stdout.no_fnmatch_line("fp16: *answers*")
    with CompletionCache(default_cache_path()) as cache:
        assert cache.info().completions == 0
    assert default_cache_path().is_relative_to(empty_cache)


def test_a_device_that_cannot_be_used_is_a_problem_and_nothing_is_estimated(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("CUDA error: system not yet initialized\nCompile with `TORCH_USE_CUDA_DSA`")

    monkeypatch.setattr(device, "cuda_device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.mem_get_info", fail)
    lab.write("words", lab.many(1))
    result = lab.run("--quant-dry-run", "--quant-device=cuda:0,cuda:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for name in ("cuda:0", "cuda:1"):  # once, whatever runs there
        told = [line for line in result.stderr.lines if f"{name} cannot be used" in line]
        assert told == [f"ERROR: --quant-device: {name} cannot be used: CUDA error: system not yet initialized"]
    result.stdout.fnmatch_lines(["quantgate: fp16: *; answered by quantgate's own decoding in float16"])
    result.stdout.no_fnmatch_line("*GiB*")
    result.stdout.no_fnmatch_line("*no problem found*")


def test_slice_errors_are_problems(lab: Lab) -> None:
    (lab.pytester.path / "words.slice.yaml").write_text("slice: words")
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["words.slice.yaml:1: *"])
    result.stderr.fnmatch_lines(["ERROR: errors during collection: 1"])


def test_neither_a_refusal_nor_a_dry_run_imports_torch(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makepyfile("def test_one(): assert False")
    probe = (
        "import sys, pytest\n"
        "refused = pytest.main([*sys.argv[1:], '--quant-min-cases=30'])\n"
        "shown = pytest.main([*sys.argv[1:], '--quant-dry-run'])\n"
        "print('ended', int(refused), int(shown))\n"
        "print('imported', [name for name in ('torch', 'transformers', 'bitsandbytes') if name in sys.modules])\n"
    )
    options = ["-p", "no:hypothesispytest", f"--quant-model={lab.tiny.folder}", "--quant-cand", "nf4"]
    done = subprocess.run([sys.executable, "-c", probe, *options], capture_output=True, text=True, check=False)
    assert f"ended {pytest.ExitCode.USAGE_ERROR:d} {pytest.ExitCode.OK:d}" in done.stdout, done.stdout + done.stderr
    assert "imported []" in done.stdout
