"""A checkpoint of gpt-oss in MXFP4, rounded and packed by the OCP Microscaling specification (v1.0)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.stored_files import GROUP, copy_tokenizer

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""The magnitudes of the codes 0 to 7; 8 more is the same with a minus."""

_EVEN_FIRST = (0, 2, 4, 6, 1, 3, 5, 7)  # codes: of two that are as near, the specification takes the even one
_LARGEST_EXPONENT = 2  # of an e2m1 number: 6 is 1.5 * 2**2
_BIAS = 127  # of an e8m0 scale


def mxfp4(plain: Path, folder: Path) -> dict[str, torch.Tensor]:
    """The experts of a tiny gpt-oss, the one architecture that is stored so; the tokenizer is the plain model's.

    Returns:
        By parameter of the model the weights that its blocks stand for, ``(experts, inputs, outputs)``.
    """
    from transformers import GptOssConfig, GptOssForCausalLM

    words = json.loads((plain / "config.json").read_text())["vocab_size"]
    make: Any = GptOssForCausalLM
    config = GptOssConfig(
        vocab_size=words,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=128,
        sliding_window=32,
        eos_token_id=1,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    stands_for: dict[str, torch.Tensor] = {}
    for name, weight in make(config).half().state_dict().items():
        if name.endswith(("gate_up_proj", "down_proj")):
            # blocks go along the inputs, the last dimension of what is stored
            chance = torch.randn(weight.shape) * torch.randn(weight.shape).exp() / 50  # blocks of many magnitudes
            codes, exponents, rounded = _round(chance.half().float().transpose(1, 2))
            tensors[f"{name}_blocks"] = codes[..., 0::2] | codes[..., 1::2] << 4  # the first number in the lower half
            tensors[f"{name}_scales"] = (exponents + _BIAS).to(torch.uint8)
            stands_for[name] = rounded.transpose(1, 2)
        else:
            tensors[name] = weight.clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    told = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), "quantization_config": told}))
    copy_tokenizer(plain, folder)
    return stands_for


def _round(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rounds blocks along the last dimension (specification, 6.3).

    Returns:
        Codes ``(..., blocks, 32)``, exponents of the scales ``(..., blocks)``, and what both stand for, shaped as the
        weight.
    """
    blocks = weight.reshape(*weight.shape[:-1], -1, GROUP)
    exponents = blocks.abs().amax(-1).log2().floor().int() - _LARGEST_EXPONENT
    scaled = torch.ldexp(blocks, -exponents[..., None])
    magnitudes, even_first = torch.tensor(E2M1), torch.tensor(_EVEN_FIRST)
    codes = even_first[(scaled.abs()[..., None] - magnitudes[even_first]).abs().argmin(-1)]  # more than 6 becomes 6
    rounded = torch.ldexp(magnitudes[codes].copysign(scaled), exponents[..., None]).flatten(-2)
    return (codes + 8 * scaled.signbit()).to(torch.uint8), exponents, rounded
