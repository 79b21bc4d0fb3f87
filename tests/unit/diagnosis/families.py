"""Tiny models of random weights, one of each family of decoders whose layers are found by structure."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import torch
import transformers

LAYERS: Final = 4
HEADS: Final = 4
WIDTH: Final = 32
NEURONS: Final = 48
VOCABULARY: Final = 60
TOKENS: Final = (7, 3, 11, 3, 29, 41, 5, 17, 2)  # more than a sliding window holds

_SHAPE: Final[dict[str, Any]] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": NEURONS,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
_SLIDING: Final = ["sliding_attention", "full_attention"] * (LAYERS // 2)
_MORE: Final[dict[str, dict[str, Any]]] = {
    "Llama": {},
    "Mistral": {"sliding_window": 4},
    "Qwen2": {"use_sliding_window": True, "sliding_window": 4, "layer_types": _SLIDING},
    "Qwen3": {"head_dim": 16},
    "Gemma": {"head_dim": 8},
    "Gemma2": {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 4,
        "layer_types": _SLIDING,
        "final_logit_softcapping": 3.0,
        "attn_logit_softcapping": 2.0,
    },
    "Gemma3": {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4, "layer_types": _SLIDING},
    "Phi": {"qk_layernorm": True},
    "Phi3": {"sliding_window": 4},
    "SmolLM3": {"no_rope_layer_interval": 2},  # every second layer has no positions
}
FAMILIES: Final = tuple(_MORE)


@cache
def tiny(family: str, seed: int = 0) -> Any:
    """A model of 4 layers, made once; a test that changes it makes its own with another seed."""
    config = getattr(transformers, f"{family}TextConfig" if family == "Gemma3" else f"{family}Config")
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}ForCausalLM")(config(**_SHAPE, **_MORE[family]))
    return model.eval().requires_grad_(requires_grad=False)


def llama(**sizes: int) -> Any:
    """A Llama of other sizes, by the names of its configuration; a new one at each call."""
    torch.manual_seed(0)
    model: Any = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_SHAPE | sizes))
    return model.eval().requires_grad_(requires_grad=False)
