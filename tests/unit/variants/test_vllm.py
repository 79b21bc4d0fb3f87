"""What vLLM is asked to run, settled without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pytest_quantgate.errors import QuantgateError, SpecError, UsageError
from pytest_quantgate.generation.offline_environment import prepare_environment
from pytest_quantgate.variants import device, variant
from pytest_quantgate.variants.device import Placement, hardware_of, parse_device, split_devices
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, prepare_variant, run_another_way


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where vLLM is installed."""
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(variant, "find_spec", lambda name: found if name == "vllm" else importlib.util.find_spec(name))


def prepared(folder: Path, spec: str, place: str = "cpu", dtype: str = "auto", kernels: str = "vllm") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device=place, compute_dtype=dtype, kernels=kernels)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("nf4", "it is quantized while it is loaded"),
        ("rtn:4bit", "name a checkpoint that is quantized already, stored@FOLDER"),
        ("ruin:2bit", "vLLM runs weights as a checkpoint holds them: fp32, fp16, bf16, stored and gptq"),
        ("fp16+kv:int8", "keys and values are not quantized to int8 by vLLM"),
        ("fp16+lora:adapter", "merge it into the model, or leave out --quant-kernels vllm"),
    ],
)
def test_what_vllm_does_not_run_is_refused_with_what_it_does(folder: Path, spec: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        prepared(folder, spec)
    assert part in str(caught.value)
    assert f"variant '{spec.replace('4bit', '4bit-g64')}'" in str(caught.value)


def test_it_must_be_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant, "find_spec", lambda name: None if name == "vllm" else importlib.util.find_spec(name))
    with pytest.raises(SpecError, match=r"vllm is not installed\n  pip install vllm"):
        prepared(folder, "fp16")


@pytest.mark.usefixtures("installed")
def test_plain_weights_are_computed_in_their_own_precision_and_in_no_other(folder: Path) -> None:
    assert prepared(folder, "bf16").placement == Placement("cpu", "bfloat16", "vllm")
    assert prepared(folder, "fp32").placement.compute_dtype == "float32"
    with pytest.raises(UsageError, match="fp16 in float32 would not be rounded to float16"):
        prepared(folder, "fp16", dtype="float32")


@pytest.mark.usefixtures("installed")
def test_its_answers_are_told_from_those_of_other_kernels(folder: Path) -> None:
    own, other = prepared(folder, "fp32"), prepared(folder, "fp32", kernels="auto")
    differing = {name for name in own.identity.fields if own.identity.fields[name] != other.identity.fields.get(name)}
    assert differing == {"engine", "kernels", "version:vllm"}
    assert own.offline
    assert not other.offline


@pytest.mark.usefixtures("installed")
def test_over_how_many_devices_it_is_spread_is_part_of_its_identity_and_which_is_not(folder: Path) -> None:
    one, two = prepared(folder, "fp32"), prepared(folder, "fp32", "cpu+cpu")
    assert two.identity.fields["tensor_parallel"] == "2"
    assert "tensor_parallel" not in one.identity.fields
    assert two.identity.fields["device"] == one.identity.fields["device"]
    assert variant.on_device(two, "cpu").identity == two.identity


@pytest.mark.usefixtures("installed")
def test_variables_that_choose_its_kernels_are_part_of_its_identity(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = prepared(folder, "fp32").identity
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert prepared(folder, "fp32").identity == usual
    monkeypatch.setenv("VLLM_ATTENTION_BACKEND", "FLASHINFER")
    assert prepared(folder, "fp32").identity != usual
    assert prepared(folder, "fp32", kernels="auto").identity.fields.get("environment") is None


@pytest.mark.usefixtures("installed")
def test_a_second_run_has_another_schedule_and_no_other_kernels(folder: Path) -> None:
    usual = prepared(folder, "fp32")
    assert run_another_way(usual, kernels=False).schedule.max_rows is not None
    with pytest.raises(SpecError, match=r"vLLM chooses its kernels itself\n.*without --quant-noise-kernels"):
        run_another_way(usual, kernels=True)


def test_devices_joined_by_a_plus_are_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 4)
    monkeypatch.setattr(device, "_gpu_name", lambda number: f"GPU {number // 4}")
    assert parse_device("cuda:2 + cuda:3") == "cuda:2+cuda:3"
    assert split_devices("cuda:0+cuda:1,cuda:2+cuda:3") == ("cuda:0+cuda:1", "cuda:2+cuda:3")
    place = Placement("cuda:2+cuda:3", "float16", "vllm")
    assert place.device_type == "cuda"
    assert hardware_of(place) == "cuda: GPU 0"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("cuda:0+cuda:0", "cuda:0 is named 2 times"),
        ("cuda:0+cuda:1,cuda:1", "cuda:1 is named 2 times"),
        ("cpu+cuda:0", "these devices are not of one kind"),
        ("cuda:0+cuda:3", "these devices are not of one kind: cuda:0 (cuda: GPU 0), cuda:3 (cuda: GPU 1)"),
        ("cuda:0+gpu", "'gpu' is not a device"),
        ("cuda:0,cuda:1+cuda:2", "groups of different sizes"),
    ],
)
def test_devices_that_cannot_hold_one_model_are_refused(monkeypatch: pytest.MonkeyPatch, text: str, part: str) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 4)
    monkeypatch.setattr(device, "_gpu_name", lambda number: f"GPU {number // 3}")
    with pytest.raises(UsageError) as caught:
        split_devices(text)
    assert part in str(caught.value)


def test_other_kernels_do_not_spread_a_model(folder: Path) -> None:
    with pytest.raises(QuantgateError, match=r"one model on several devices[\s\S]*add --quant-kernels vllm"):
        prepared(folder, "fp16", "cpu+cpu", kernels="auto")


def test_a_process_sees_its_devices_alone() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "4,GPU-7,6,5"}
    prepare_environment("cuda:1+cuda:3", 1, 2, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-7,5"
    environment = {}
    prepare_environment("cuda:2", 1, 1, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "2"


def test_processes_share_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("pytest_quantgate.generation.offline_environment.available_bytes", lambda _: 26 << 30)
    environment = {"VLLM_LOGGING_LEVEL": "DEBUG"}
    prepare_environment("cpu+cpu", 3 << 30, 2, environment)
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "2", "two fifths of 20 GiB, for two models on two devices each"
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["VLLM_LOGGING_LEVEL"] == "DEBUG", "what the user has set stays"
