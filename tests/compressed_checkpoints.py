"""Checkpoints of compressed-tensors, as llm-compressor leaves them: its schemes, rounded to nearest, its packing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.stored_files import GROUP, copy_tokenizer, load_plain

_TOKENS = torch.arange(2, 60)[None]  # what static scales of activations are calibrated with


def compressed_tensors(presets: Mapping[str, str]) -> Callable[[Path, Path], None]:
    """A maker of checkpoints.

    Args:
        presets: Names of schemes by the modules that they are for.
    """

    def make(plain: Path, folder: Path) -> None:
        from compressed_tensors.compressors import ModelCompressor
        from compressed_tensors.quantization import (
            QuantizationConfig,
            apply_quantization_config,
            preset_name_to_scheme,
        )

        model = load_plain(plain)
        inputs = _largest_inputs(model)
        groups = {preset: preset_name_to_scheme(preset, [target]) for target, preset in presets.items()}
        for scheme in groups.values():
            for each in filter(None, (scheme.weights, scheme.input_activations)):
                if each.group_size == 128:
                    each.group_size = GROUP
                if each.block_structure:
                    each.block_structure = [GROUP, GROUP]
        told = QuantizationConfig(config_groups=groups, ignore=["lm_head"], quantization_status="frozen")
        apply_quantization_config(model, told)
        for name, module in model.named_modules():
            if hasattr(module, "weight_scale"):
                _set_scales(module, inputs[name])
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(folder)
        compressor.update_config(str(folder))
        copy_tokenizer(plain, folder)

    return make


def _largest_inputs(model: Any) -> dict[str, torch.Tensor]:
    """By linear layer the largest magnitude that comes into it."""
    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
            found[name] = inputs[0].abs().max().float()

        return hook

    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    hooks = [module.register_forward_pre_hook(keep(name)) for name, module in linear.items()]
    with torch.inference_mode():
        model(_TOKENS)
    for hook in hooks:
        hook.remove()
    return {name: each.clone() for name, each in found.items()}


def _set_scales(module: Any, largest_input: torch.Tensor) -> None:
    """Scales of a layer's weights, and where they are static, of its activations, by the library's own formulas."""
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    args, weight = module.quantization_scheme.weights, module.weight.float()
    whole = None
    if hasattr(module, "weight_global_scale"):
        whole = generate_gparam(weight.min(), weight.max())
        module.weight_global_scale.data.copy_(whole)
    low, high = _limits(weight, args)
    scale, zero = calculate_qparams(low, high, args, global_scale=whole)
    module.weight_scale.data.copy_(scale.reshape(module.weight_scale.shape))
    if not args.symmetric:
        module.weight_zero_point.data.copy_(zero.reshape(module.weight_zero_point.shape))
    acts = module.quantization_scheme.input_activations
    if hasattr(module, "input_global_scale"):
        module.input_global_scale.data.copy_(generate_gparam(-largest_input, largest_input))
    if hasattr(module, "input_scale"):
        module.input_scale.data.copy_(calculate_qparams(-largest_input, largest_input, acts)[0])


def _limits(weight: torch.Tensor, args: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the largest weight of whatever shares a scale."""
    rows, columns = weight.shape
    high, wide = {
        "tensor": (rows, columns),
        "channel": (1, columns),
        "group": (1, args.group_size),
        "tensor_group": (1, args.group_size),
        "block": args.block_structure,
    }[args.strategy]
    blocks = weight.reshape(rows // high, high, columns // wide, wide)
    return blocks.amin((1, 3)), blocks.amax((1, 3))
