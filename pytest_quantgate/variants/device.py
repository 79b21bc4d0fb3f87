"""Where a variant runs and in which arithmetic, decided without importing torch."""

from __future__ import annotations

import ctypes
import platform
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from pytest_quantgate.errors import UsageError, nearest
from pytest_quantgate.variants.registry import Description

ComputeDtype = Literal["float32", "float16", "bfloat16"]
Kernels = Literal["dense", "native", "vllm"]

KERNELS = ("auto", "native", "dense", "vllm")
"""What ``--quant-kernels`` takes."""

VLLM: Final = "vllm"

DTYPE_BYTES: dict[ComputeDtype, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
_DTYPE_NAMES: dict[str, ComputeDtype] = {
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
}
_DRIVER = "libcuda.so.1"
_NAME_BYTES = 256
_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h
_PROCESSORS = Path("/proc/cpuinfo")
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Placement:
    """How a variant is put to work.

    Attributes:
        device: ``cpu`` or ``cuda:N``; several, joined by ``+``, where the model is spread over them.
        compute_dtype: Dtype of the arithmetic and of everything that is not quantized.
        kernels: ``dense``: quantized weights are spread out once, at load, into ordinary linear layers, so
            that reference and candidate run through the same kernels and differ in weights only.
            ``native``: the quantizer's own kernels. ``vllm``: vLLM's, in a process of its own.
    """

    device: str
    compute_dtype: ComputeDtype
    kernels: Kernels

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        return members(self.device)[0].partition(":")[0]


def members(device: str) -> tuple[str, ...]:
    """The devices that a model is spread over: of most models, one."""
    return tuple(device.split("+"))


def cuda_device_count() -> int:
    """CUDA devices that the driver reports and the installed torch can use; 0 where either is missing."""
    return 0 if _missing_for_cuda() else _driver_facts()[0]


def _missing_for_cuda() -> str:
    """What to do where no CUDA device can be used, and why; empty where one can."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return "install torch"
    folder = Path(torch.origin).parent
    if not any((folder / "lib").glob("libtorch_cuda*")):
        return "install a torch for CUDA (this one is a build for the CPU)"
    count, newest = _driver_facts()
    if not count:
        return "see whether nvidia-smi tells of one, and CUDA_VISIBLE_DEVICES"
    if _cuda_of(folder) > newest:
        return f"install a newer driver (it runs CUDA {newest} at most, and torch is built for {_cuda_of(folder)})"
    return ""


def _cuda_of(folder: Path) -> int:
    """The major version of CUDA that a torch was built for, which a driver of an older one cannot run; 0 if unknown."""
    with suppress(OSError, UnicodeDecodeError):
        told = re.search(r"^cuda\b[^=\n]*= *'(\d+)\.", (folder / "version.py").read_text("utf-8"), re.MULTILINE)
        return int(told[1]) if told else 0
    return 0


def _driver_tells(ask: Callable[[ctypes.CDLL], object]) -> bool:
    """Whether there is a driver, and all that it is asked succeeds.

    Args:
        ask: Calls it, and gives what its calls do: 0 for success.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
        return not (driver.cuInit(0) or ask(driver))
    except (OSError, AttributeError):  # no driver, or something else under its name
        return False


def _driver_facts() -> tuple[int, int]:
    """Devices that the driver reports, and the newest major version of CUDA that it runs; zeros without a driver."""
    count, version = ctypes.c_int(0), ctypes.c_int(0)

    def ask(driver: ctypes.CDLL) -> object:
        return driver.cuDeviceGetCount(ctypes.byref(count)) or driver.cuDriverGetVersion(ctypes.byref(version))

    return (count.value, version.value // 1000) if _driver_tells(ask) else (0, 0)


def hardware_of(placement: Placement) -> str:
    """What of the hardware can turn an answer: the device's type, and its model where models round differently.

    GPU models choose different kernels, and half precision shows the order in which a processor sums. In
    float32 on a CPU that order rarely turns a token, so the processor is left out there and a cache may
    travel between machines.
    """
    if placement.device_type == "cuda":
        return f"cuda: {_gpu_name(int(members(placement.device)[0].partition(':')[2]))}"
    return "cpu" if placement.compute_dtype == "float32" else f"cpu: {_processor_name()}"


def _gpu_name(index: int) -> str:
    """The name that the driver gives a device, such as ``NVIDIA H100 80GB HBM3``."""
    device = ctypes.c_int(0)
    name = ctypes.create_string_buffer(_NAME_BYTES)

    def ask(driver: ctypes.CDLL) -> object:
        return driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetName(name, _NAME_BYTES, device)

    return name.value.decode(errors="replace") if _driver_tells(ask) else _UNKNOWN


def compute_capability(device: str) -> tuple[int, int] | None:
    """What a CUDA device can do, such as (8, 9), as its driver says; None where the driver does not.

    Args:
        device: ``cuda:N``.
    """
    handle, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    index = int(device.partition(":")[2])

    def ask(driver: ctypes.CDLL) -> object:
        return driver.cuDeviceGet(ctypes.byref(handle), index) or any(
            driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
            for value, attribute in zip((major, minor), _CAPABILITY, strict=True)
        )

    return (major.value, minor.value) if _driver_tells(ask) else None


def _processor_name() -> str:
    with suppress(OSError):
        for line in _PROCESSORS.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.machine() or _UNKNOWN


def parse_device(text: str) -> str:
    """The device that a ``--quant-device`` text means.

    Args:
        text: ``auto`` (CUDA when there, else CPU), ``cpu``, ``cuda`` or ``cuda:N``; several joined by ``+`` for one
            model that is spread over them.

    Returns:
        ``cpu`` or ``cuda:N``, or several.

    Raises:
        UsageError: Anything else, or a CUDA device that is not there.
    """
    if "+" in text:
        return "+".join(_of_one_kind([parse_device(each.strip()) for each in text.split("+")]))
    if text == "cpu":
        return text
    match = re.fullmatch(r"auto|cuda(?::(\d{1,4}))?", text, re.ASCII)
    count = cuda_device_count()
    if not match:
        meant = _meant(text)
        guess = f"did you mean {meant!r}? " if meant else "devices are CPUs and CUDA's GPUs; "
        raise UsageError(f"{text!r} is not a device", where="--quant-device", hint=f"{guess}{_usable(count)}")
    if text == "auto" and not count:
        return "cpu"
    index = int(match[1] or 0)
    if index >= count:
        found = f"{count} CUDA device{'s'[: count > 1]}" if count else "no CUDA device that torch can use"
        raise UsageError(f"{text} is not there: found {found}", where="--quant-device", hint=_usable(count))
    return f"cuda:{index}"


def _meant(text: str) -> str | None:
    """The device that a text may mean which is none; None where that is anybody's guess."""
    words = text.strip().lower()
    number = re.fullmatch(r"(?:cuda|gpu|nvidia)?[\s:_]*(\d{1,4})", words, re.ASCII)
    if number is not None:
        return f"cuda:{int(number[1])}"
    if words.startswith(("gpu", "nvidia", "cuda")):  # difflib takes a gpu for a cpu
        return "cuda"
    return next(iter(get_close_matches(words, ("auto", "cpu", "cuda"), n=1)), None)


def _usable(count: int) -> str:
    """What can be used on this machine."""
    gpus = {0: "", 1: ", cuda:0"}.get(count, f", cuda:0 to cuda:{count - 1}, or several with commas")
    return f"here can be used: auto, cpu{gpus}{'' if count else f'; for a GPU, {_missing_for_cuda()}'}"


def split_devices(text: str) -> tuple[str, ...]:
    """The devices that a ``--quant-device`` text with commas means, in order.

    Args:
        text: As for ``parse_device``, or several of these: each then answers its share of the cases. ``cpu`` may be
            repeated, for one process each.

    Raises:
        UsageError: One of them is unknown, not there, or named twice; or they are not of one kind, so that answers
            would depend on who gave them.
    """
    devices = tuple(parse_device(each.strip()) for each in text.split(","))
    _of_one_kind([each for device in devices for each in members(device)])
    if len({len(members(device)) for device in devices}) > 1:
        raise UsageError(
            f"{', '.join(devices)} are groups of different sizes, whose answers may differ",
            where="--quant-device",
            hint="give each group as many devices",
        )
    return devices


def _of_one_kind(devices: Sequence[str]) -> Sequence[str]:
    if len(devices) == 1:
        return devices
    for device in devices:
        if device != "cpu" and devices.count(device) > 1:
            raise UsageError(f"{device} is named {devices.count(device)} times", where="--quant-device")
    kinds = {device: hardware_of(Placement(device, "float16", "native")) for device in devices}
    if len(set(kinds.values())) > 1:
        raise UsageError(
            f"these devices are not of one kind: {', '.join(f'{device} ({kind})' for device, kind in kinds.items())}",
            where="--quant-device",
            hint="devices that share a variant must compute alike: name those of one kind",
        )
    return devices


def place(description: Description, device: str, compute_dtype: str, kernels: str = "auto") -> Placement:
    """Settles device, compute dtype and kernels of a variant.

    Args:
        description: What the variant's backend says of it.
        device: As for ``parse_device``.
        compute_dtype: ``auto``, or ``float32``, ``float16``, ``bfloat16`` (``fp32``, ``fp16``, ``bf16``).
            ``auto`` is float32 on a CPU, so that only the weights differ, and the variant's own on CUDA.
        kernels: ``native``, ``dense``, or ``auto``: dense on a CPU, which nobody deploys on and where unpacking weights
            at every step takes most of the time; native on CUDA, where the deployed kernels are what is judged. A
            variant that cannot be dense is native always, and one without kernels of its own is dense always.
            ``vllm``: those of vLLM, see ``variants.vllm``.

    Raises:
        UsageError: A device, dtype or kernels that are unknown or not there, or several devices for one model whose
            kernels are not vLLM's.
    """
    device = parse_device(device)
    on_cpu = members(device)[0] == "cpu"
    if compute_dtype == "auto":
        # vLLM is asked for what is deployed, wherever it runs; nothing is rounded there but what it rounds itself
        compute_dtype = "float32" if on_cpu and kernels != VLLM else description.cuda_dtype
    if compute_dtype not in _DTYPE_NAMES:
        raise UsageError(
            f"{compute_dtype!r} is not a compute dtype",
            where="--quant-compute-dtype",
            hint=nearest(compute_dtype, ("auto", *_DTYPE_NAMES)),
        )
    if kernels not in KERNELS:
        raise UsageError(f"{kernels!r} are no kernels", where="--quant-kernels", hint=nearest(kernels, KERNELS))
    if kernels == VLLM:
        return Placement(device, _DTYPE_NAMES[compute_dtype], VLLM)
    if len(members(device)) > 1:
        raise UsageError(
            f"{device} is one model on several devices, which is vLLM's",
            where="--quant-device",
            hint=f"add --quant-kernels {VLLM}; or write commas, and each device takes a share of the cases",
        )
    wanted = kernels == "dense" or (kernels == "auto" and on_cpu)
    dense = description.dense and (wanted or not description.native)
    return Placement(device, _DTYPE_NAMES[compute_dtype], "dense" if dense else "native")
