"""A tiny Llama of random weights, for tests that need the true path and no skill: it answers in made-up words."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<|pad|>", "<|unknown|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
WORDS = tuple(map("".join, product("bdfklmnprst", "aeiou", "lmnrst")))
CONTEXT = 128
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build_tiny_model(folder: Path, *, seed: int = 0, context: int = CONTEXT) -> Path:
    """Write a whole checkpoint: 2 layers of 64, fp16 weights, a tokenizer of whole words, a chat template.

    Args:
        folder: Where to; made when missing.
        seed: Of the weights.
        context: Most positions that the model says it can attend to.
    """
    torch.manual_seed(seed)
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.35,  # wide, so that quantization turns some answers and not all
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    model: Any = LlamaForCausalLM(config)
    model.half().save_pretrained(folder)
    pad, unknown, end, *roles = SPECIAL
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast: Any = PreTrainedTokenizerFast  # its constructor carries no types
    tokenizer = fast(
        tokenizer_object=core,
        pad_token=pad,
        unk_token=unknown,
        eos_token=end,
        additional_special_tokens=roles,
        chat_template=TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.save_pretrained(folder)
    return folder
