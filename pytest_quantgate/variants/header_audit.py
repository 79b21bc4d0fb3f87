"""The audit of a checkpoint that another engine loads: by what its files' headers say, before it is started."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from pytest_quantgate.variants.audit import REFERENCE_BYTES, Audit, Coverage, check_audit
from pytest_quantgate.variants.checkpoint import read_tensors, storage_in
from pytest_quantgate.variants.gguf import types_in
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.modules import HEAD, covers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.stored_layout import as_plain, layers_of

_MATRIX: Final = 2


def audit_headers(folder: Path, description: Description, spec: str) -> Audit | None:
    """What a checkpoint's files hold, refused where it is not quantized as its spec says.

    Args:
        folder: The checkpoint; of ``gptq`` the one that was made.
        description: What the spec means for it.
        spec: The variant, for the message.

    Returns:
        The same facts as of a loaded model; None for plain weights, and for those of a GGUF file, which were spread out
        when it was converted.

    Raises:
        AuditError: As for ``check_audit``.
        ModelError: The checkpoint cannot be read.
    """
    if description.max_bits is None or types_in(folder) is not None:
        return None
    storage, tensors = storage_in(folder), read_tensors(folder)
    layers = () if storage is None else layers_of(storage, tensors, str(folder))
    quantized = {layer.name for layer in layers}
    plain = as_plain(tensors, layers)
    rest = [tensor for tensor in plain if tensor.name.removesuffix(".weight") not in quantized]
    linear = [tensor for tensor in rest if _is_linear(tensor)]
    sizes = [(each.weights, each.stored_bytes) for each in layers] or [(each.count, each.nbytes) for each in linear]
    weights = sum(count for count, _ in sizes)
    head = 0 if any(covers(HEAD, name) for name in quantized) else 1  # not in the files where it is tied
    audit = Audit(
        modules_total=len(layers) + len(linear) + head,
        modules_replaced=len(layers),
        bits_per_weight=8 * sum(stored for _, stored in sizes) / weights if weights else 0.0,
        memory_bytes=sum(layer.stored_bytes for layer in layers) + sum(tensor.nbytes for tensor in rest),
        reference_bytes=REFERENCE_BYTES * sum(tensor.count for tensor in plain),
    )
    left = Counter[str]()
    for tensor in rest:
        if _should_be_quantized(_module(tensor), description.skipped):
            left[_module(tensor)] += tensor.count
    done = sum(layer.weights for layer in layers)
    coverage = Coverage(done + left.total(), done, max(left, key=left.__getitem__, default=""))
    check_audit(audit, coverage, description.max_bits, spec)
    return audit


def _module(tensor: TensorHeader) -> str:
    return tensor.name.rpartition(".")[0]


def _is_embedding(module: str) -> bool:
    own = module.rpartition(".")[2]
    return "embed" in own or own in {"wte", "wpe"}


def _is_linear(tensor: TensorHeader) -> bool:
    """Whether a tensor is the weight of a linear layer other than the output head."""
    module = _module(tensor)
    if len(tensor.shape) != _MATRIX or not tensor.name.endswith(".weight"):
        return False
    return not _is_embedding(module) and not covers(HEAD, module)


def _should_be_quantized(module: str, skipped: tuple[str, ...]) -> bool:
    return not _is_embedding(module) and not any(covers(skip, module) for skip in (HEAD, *skipped))
