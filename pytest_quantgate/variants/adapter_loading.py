"""Putting an adapter on a loaded model. Imports torch: import it only to load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from pytest_quantgate.errors import AuditError, ModelError, QuantgateError
from pytest_quantgate.variants.adapter import PREFIX, WEIGHTS, Adapter, check_fit
from pytest_quantgate.variants.dense import is_ordinary
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import dtype_of, quiet
from pytest_quantgate.variants.memory import is_out_of_memory
from pytest_quantgate.variants.source import message_of


def put_on(model: PreTrainedModel, adapter: Adapter, placement: Placement, where: str) -> None:
    """Puts an adapter on a model that is finished, in the compute dtype.

    On a CPU it is merged into the layers that hold ordinary weights, so that the adapted model runs as fast as any;
    beside a quantizer's own layers, and on CUDA, it is computed as in a deployment.

    Args:
        model: The model; changed in place.
        adapter: The adapter.
        placement: Where the model runs.
        where: The variant, for the message.

    Raises:
        ModelError: It does not fit, or peft does not know the quantizer's layers.
        AuditError: It changes no weight, so that the model would be answered for under another name.
    """
    shapes = {
        name: (int(module.out_features), int(module.in_features))
        for name, module in model.named_modules()
        if isinstance(getattr(module, "in_features", None), int)
        and isinstance(getattr(module, "out_features", None), int)
    }
    check_fit(adapter, shapes, where)
    dtype = dtype_of(placement.compute_dtype)
    try:
        tensors = load_file(adapter.folder / WEIGHTS, device=placement.device)
        weights = {PREFIX + name.removeprefix(PREFIX): tensor.to(dtype) for name, tensor in tensors.items()}
        _refuse_idle(adapter, weights, where)
        with quiet():
            _load(model, adapter, weights)
    except QuantgateError:
        raise
    except Exception as error:  # peft and transformers raise anything
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"the adapter in {adapter.folder} cannot be put on the model: {message_of(error)}",
            where=where,
            hint="where its quantized layers are the reason, --quant-kernels dense makes them ordinary ones",
        ) from error
    if placement.device_type == "cpu":
        _merge(model)
    ready: Any = model  # its methods carry no types
    ready.eval().requires_grad_(requires_grad=False)


def _refuse_idle(adapter: Adapter, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Refuses an adapter that adds nothing to what any layer gives out; what is no number counts as something."""
    for layer in adapter.layers:
        below, above = (weights[f"{PREFIX}{layer}.lora_{side}.weight"].float() for side in "AB")
        if (adapter.alpha * (above @ below)).any():
            return
    raise AuditError(
        f"the adapter in {adapter.folder} changes no weight: lora_B times lora_A by lora_alpha is 0 in every layer",
        where=where,
        hint="name the adapter that training left; one that was not trained yet begins with zeros",
    )


def _load(model: Any, adapter: Adapter, weights: dict[str, torch.Tensor]) -> None:
    from peft import LoraConfig

    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]  # it takes fractions too
        target_modules=list(adapter.layers),
        use_rslora=adapter.by_root,
        fan_in_fan_out=adapter.transposed,
        inference_mode=True,
    )
    found = model.load_adapter(peft_config=config, adapter_state_dict=weights)
    wrong = sorted({*found.missing_keys, *found.unexpected_keys, *map(str, found.mismatched_keys)})
    if wrong:
        msg = f"its tensors and the model's layers do not belong together, such as {wrong[0]}"
        raise ValueError(msg)


def _merge(model: nn.Module) -> None:
    """Add the adapter to the weights of ordinary layers, but for weights that an embedding shares."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for name, module in list(model.named_modules()):
        if not isinstance(module, BaseTunerLayer):
            continue
        layer = module.get_base_layer()
        if is_ordinary(layer) and id(layer.weight) not in embeddings:
            module.merge()
            model.set_submodule(name, layer)
