from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_quantgate.errors import UsageError
from pytest_quantgate.variants import device
from pytest_quantgate.variants.device import (
    Placement,
    compute_capability,
    cuda_device_count,
    hardware_of,
    parse_device,
    place,
    split_devices,
)
from pytest_quantgate.variants.registry import backend_of
from pytest_quantgate.variants.spec import parse_spec


def with_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: count)


def placed(monkeypatch: pytest.MonkeyPatch, text: str, name: str, dtype: str, kernels: str = "auto") -> Placement:
    with_devices(monkeypatch, 1)
    spec = parse_spec(text)
    return place(backend_of(spec.name).describe(spec), name, dtype, kernels)


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_device_text_means_one_device(monkeypatch: pytest.MonkeyPatch, text: str, count: int, expected: str) -> None:
    with_devices(monkeypatch, count)
    assert parse_device(text) == expected


@pytest.mark.parametrize(
    ("text", "count", "part"),
    [
        ("cud", 0, "did you mean 'cuda'? here can be used: auto, cpu; for a GPU, "),
        (
            "gpu",
            2,
            "'gpu' is not a device\n  did you mean 'cuda'? here can be used: auto, cpu, cuda:0 to cuda:1, or ",
        ),
        ("GPU", 0, "did you mean 'cuda'? here can be used: auto, cpu; for a GPU, "),
        ("CPU", 0, "did you mean 'cpu'?"),
        ("cup", 0, "did you mean 'cpu'?"),
        ("CUDA:0", 1, "did you mean 'cuda:0'? here can be used: auto, cpu, cuda:0"),
        ("cuda0", 1, "did you mean 'cuda:0'?"),
        ("gpu:1", 2, "did you mean 'cuda:1'?"),
        ("0", 1, "did you mean 'cuda:0'?"),
        (
            "tpu:0",
            0,
            "'tpu:0' is not a device\n  devices are CPUs and CUDA's GPUs; here can be used: auto, cpu",
        ),
        (
            "mps",
            0,
            "'mps' is not a device\n  devices are CPUs and CUDA's GPUs; here can be used: auto, cpu",
        ),
        ("cuda:x", 1, "did you mean 'cuda'?"),
        ("cuda:-1", 1, "did you mean 'cuda'?"),
        ("", 1, "not a device"),
        ("cuda", 0, "no CUDA device that torch can use\n  here can be used: auto, cpu; "),
        ("cuda:2", 2, "found 2 CUDA devices\n  here can be used: auto, cpu, cuda:0 to cuda:1, or several with commas"),
        ("cuda:1", 1, "found 1 CUDA device\n  here can be used: auto, cpu, cuda:0"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, text: str, count: int, part: str
) -> None:
    with_devices(monkeypatch, count)
    with pytest.raises(UsageError) as caught:
        parse_device(text)
    assert part in str(caught.value)


def test_the_device_behind_a_comma_is_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_devices(monkeypatch, 2)
    with pytest.raises(UsageError, match=r"'1' is not a device\n  did you mean 'cuda:1'\?"):
        split_devices("cuda:0,1")


def with_torch(monkeypatch: pytest.MonkeyPatch, folder: Path, library: str, version: str) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / library).touch()
    (folder / "version.py").write_text(f"__version__ = '2.13.0'\ncuda: Optional[str] = {version}\n")
    found = SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(device, "find_spec", lambda name: found if name == "torch" else importlib.util.find_spec(name))


@pytest.mark.parametrize(
    ("library", "driver", "expected"),
    [("libtorch_cuda.so", (2, 13), 2), ("libtorch_cuda.so", (0, 0), 0), ("libtorch_cpu.so", (2, 13), 0)],
)
def test_cuda_needs_a_driver_and_a_torch_built_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, driver: tuple[int, int], expected: int
) -> None:
    with_torch(monkeypatch, tmp_path, library, "'13.0'")
    monkeypatch.setattr(device, "_driver_facts", lambda: driver)
    assert cuda_device_count() == expected


@pytest.mark.parametrize(
    ("library", "driver", "missing"),
    [
        ("libtorch_cpu.so", (2, 13), "install a torch for CUDA (this one is a build for the CPU)"),
        ("libtorch_cuda.so", (0, 0), "see whether nvidia-smi tells of one, and CUDA_VISIBLE_DEVICES"),
        ("libtorch_cuda.so", (2, 12), "install a newer driver (it runs CUDA 12 at most, and torch is built for 13)"),
    ],
)
def test_what_is_missing_for_cuda_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, driver: tuple[int, int], missing: str
) -> None:
    with_torch(monkeypatch, tmp_path, library, "'13.0'")
    monkeypatch.setattr(device, "_driver_facts", lambda: driver)
    with pytest.raises(UsageError) as caught:
        parse_device("cuda")
    assert str(caught.value) == (
        "--quant-device: cuda is not there: found no CUDA device that torch can use\n"
        f"  here can be used: auto, cpu; for a GPU, {missing}"
    )


@pytest.mark.parametrize(("version", "expected"), [("'12.8'", 2), ("'13.0'", 0), ("None", 2)])
def test_a_driver_of_an_older_cuda_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, expected: int
) -> None:
    with_torch(monkeypatch, tmp_path, "libtorch_cuda.so", version)
    monkeypatch.setattr(device, "_driver_facts", lambda: (2, 12))
    assert cuda_device_count() == expected


@pytest.mark.parametrize("text", ["fp32", "fp16", "bf16", "nf4", "int8"])
def test_on_a_cpu_arithmetic_is_float32(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert placed(monkeypatch, text, "cpu", "auto").compute_dtype == "float32"


@pytest.mark.parametrize(
    ("text", "dtype"),
    [("fp32", "float32"), ("fp16", "float16"), ("bf16", "bfloat16"), ("nf4", "float16"), ("int8", "float16")],
)
def test_on_cuda_arithmetic_is_the_variants_own(monkeypatch: pytest.MonkeyPatch, text: str, dtype: str) -> None:
    assert placed(monkeypatch, text, "auto", "auto") == Placement("cuda:0", dtype, "native")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "on_cpu", "on_cuda"),
    [
        ("fp16", "native", "native"),
        ("nf4", "dense", "native"),
        ("fp4", "dense", "native"),
        ("int8", "native", "native"),
        ("quanto:int4", "dense", "native"),
        ("torchao:int8", "dense", "native"),
        ("torchao:int8-dynamic", "native", "native"),
        ("rtn:4bit", "dense", "dense"),
    ],
)
def test_weight_only_variants_run_dense_on_a_cpu_and_native_on_cuda(
    monkeypatch: pytest.MonkeyPatch, text: str, on_cpu: str, on_cuda: str
) -> None:
    assert placed(monkeypatch, text, "cpu", "auto").kernels == on_cpu
    assert placed(monkeypatch, text, "auto", "auto").kernels == on_cuda


@pytest.mark.parametrize(
    ("text", "dense", "native"),
    [("nf4", "dense", "native"), ("int8", "native", "native"), ("rtn:4bit", "dense", "dense")],
)
def test_kernels_can_be_chosen_where_there_is_a_choice(
    monkeypatch: pytest.MonkeyPatch, text: str, dense: str, native: str
) -> None:
    for on in ("cpu", "auto"):
        assert placed(monkeypatch, text, on, "auto", "dense").kernels == dense
        assert placed(monkeypatch, text, on, "auto", "native").kernels == native


def test_unknown_kernels_have_nearest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--quant-kernels: 'dens' are no kernels\n  did you mean 'dense'\?"):
        placed(monkeypatch, "nf4", "cpu", "auto", "dens")


def test_the_compute_dtype_can_be_chosen_under_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert placed(monkeypatch, "nf4", "cpu", "bf16") == placed(monkeypatch, "nf4", "cpu", "bfloat16")


def test_an_unknown_compute_dtype_has_a_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="did you mean 'float32'"):
        placed(monkeypatch, "fp16", "cpu", "float3")


def test_a_placement_knows_its_kind_of_device() -> None:
    assert Placement("cuda:1", "float16", "native").device_type == "cuda"
    assert Placement("cpu", "float32", "dense").device_type == "cpu"


def driver_with(name: bytes) -> Callable[[str], object]:
    """A driver whose second device has that name and is of compute capability 8.9; it fails for others."""

    def get(device: object, index: int) -> int:
        device._obj.value = 7  # type: ignore[attr-defined]  # noqa: SLF001  (what ctypes.byref refers to)
        return int(index != 1)

    def get_name(buffer: ctypes.Array[ctypes.c_char], size: int, device: ctypes.c_int) -> int:
        assert len(name) < size
        assert device.value == 7
        buffer.value = name
        return 0

    def get_attribute(value: object, attribute: int, device: ctypes.c_int) -> int:
        assert device.value == 7
        value._obj.value = {75: 8, 76: 9}[attribute]  # type: ignore[attr-defined]  # noqa: SLF001  (as above)
        return 0

    return lambda _: SimpleNamespace(
        cuInit=lambda _: 0, cuDeviceGet=get, cuDeviceGetName=get_name, cuDeviceGetAttribute=get_attribute
    )


@pytest.mark.parametrize(("index", "expected"), [(1, "cuda: NVIDIA H100 80GB HBM3"), (0, "cuda: unknown")])
def test_a_gpu_is_known_by_the_name_that_the_driver_gives(
    monkeypatch: pytest.MonkeyPatch, index: int, expected: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", driver_with(b"NVIDIA H100 80GB HBM3"))
    assert hardware_of(Placement(f"cuda:{index}", "float16", "native")) == expected


@pytest.mark.parametrize(("name", "expected"), [("cuda:1", (8, 9)), ("cuda:0", None)])
def test_what_a_gpu_can_do_is_what_the_driver_says(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", driver_with(b""))
    assert compute_capability(name) == expected


def test_a_gpu_without_a_driver_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_DRIVER", "libnosuchdriver.so.1")
    assert hardware_of(Placement("cuda:0", "float16", "native")) == "cuda: unknown"
    assert compute_capability("cuda:0") is None


def test_a_processor_is_known_by_its_name_in_half_precision_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: Fast 9000: X\n")
    monkeypatch.setattr(device, "_PROCESSORS", facts)
    assert hardware_of(Placement("cpu", "float32", "dense")) == "cpu"
    assert hardware_of(Placement("cpu", "bfloat16", "dense")) == "cpu: Fast 9000: X"
    facts.unlink()
    assert hardware_of(Placement("cpu", "bfloat16", "dense")) != "cpu: "
