"""How much memory keys and values may take."""

from __future__ import annotations

from pytest_quantgate.variants.memory import available_bytes

CPU_SHARE = 0.4  # the rest is for activations, and for everything else that runs on the machine
CUDA_SHARE = 0.8  # a device is rarely shared


def key_value_budget(device: str, processes: int = 1, *, to_load: int = 0) -> int:
    """Bytes for keys and values of all rows that decode together.

    Args:
        device: Where the model is: ``cpu``, ``cuda`` or ``cuda:N``.
        processes: How many processes share the device's memory; all of them together take no more than one would.
        to_load: Bytes that each of them will take before it answers; 0 where its model is loaded.
    """
    share = CPU_SHARE if device == "cpu" else CUDA_SHARE
    return int(max(0, available_bytes(device) - processes * to_load) * share) // processes
