"""What is added to a variant's weights: quantized keys and values, an adapter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytest_quantgate.variants import kv
from pytest_quantgate.variants.adapter import REQUIRES, Adapter, check_fit, read_adapter
from pytest_quantgate.variants.headers import PLAIN_DTYPES, TensorHeader
from pytest_quantgate.variants.modules import EMBEDDING, HEAD, modules_of
from pytest_quantgate.variants.registry import Description, describe
from pytest_quantgate.variants.spec import VariantSpec


def describe_all(spec: VariantSpec, folder: Path) -> tuple[Description, Adapter | None]:
    """What a spec means for a checkpoint folder, with all that is added to its weights.

    Raises:
        SpecError: As for ``registry.describe``.
        ModelError: The checkpoint or the adapter cannot be read.
    """
    description = describe(spec, folder)
    parts, identity, requires = [description.summary], dict(description.identity), dict(description.requires)
    adapter = None
    if spec.kv is not None:
        parts.append(kv.described(spec.kv, folder))
        identity["kv"] = kv.fact(spec.kv, folder)
    if spec.here.lora is not None:
        adapter = read_adapter(spec.here.lora)
        parts.append(adapter.summary)
        identity["adapter"] = adapter.digest
        requires |= REQUIRES
    return replace(description, summary="; ".join(parts), identity=identity, requires=requires), adapter


def check_adapter(adapter: Adapter, tensors: Iterable[TensorHeader], where: str) -> None:
    """Refuses an adapter for another model, where the checkpoint's files tell the shapes of its layers.

    Raises:
        ModelError: With what does not fit.
    """
    tensors = tuple(tensors)
    if not modules_of(tensors) or any(tensor.dtype not in PLAIN_DTYPES for tensor in tensors):
        return
    shapes = {tensor.name.removesuffix(".weight"): tensor.shape for tensor in tensors}
    embedding = next((shape for name, shape in shapes.items() if name.endswith(EMBEDDING)), ())
    shapes.setdefault(HEAD, embedding)  # tied to it
    check_fit(adapter, {name: shape for name, shape in shapes.items() if not name.endswith(EMBEDDING)}, where)
