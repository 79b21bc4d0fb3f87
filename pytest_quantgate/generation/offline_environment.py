"""What vLLM reads from the environment of its process, settled before anything is imported that reads it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

from pytest_quantgate.generation.budget import CPU_SHARE
from pytest_quantgate.variants.device import members
from pytest_quantgate.variants.memory import available_bytes

_GIB: Final = 1 << 30


def prepare_environment(device: str, needed: int, processes: int, environment: MutableMapping[str, str]) -> None:
    """Settles what vLLM reads from the environment; called before it is imported.

    Args:
        device: As a placement has it; of CUDA devices only these are then seen.
        needed: Bytes that the weights take, on a CPU.
        processes: How many processes share the device: of a CPU, its processors and its memory.
        environment: That of this process; changed in place. What the user has set of vLLM's own stays.
    """
    settings = {
        "HF_HUB_OFFLINE": "1",  # everything is here
        "VLLM_NO_USAGE_STATS": "1",  # a gate tells nobody what it runs
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }
    if members(device)[0] == "cpu":
        holders = processes * len(members(device))
        room = int(CPU_SHARE * (available_bytes("cpu") - processes * needed)) // holders // _GIB
        settings |= {"VLLM_CPU_KVCACHE_SPACE": str(max(1, room)), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // holders)))
    else:
        seen = environment.get("CUDA_VISIBLE_DEVICES")
        numbers = [int(each.partition(":")[2]) for each in members(device)]
        names = [str(number) for number in numbers] if seen is None else [seen.split(",")[each] for each in numbers]
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(names)
    if len(members(device)) == 1:
        settings["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # this process is there for nothing else
    for name, value in settings.items():
        environment.setdefault(name, value)
