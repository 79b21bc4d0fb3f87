"""Small GGUF files with tensors of any type, whose weights are random and exactly known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import quants
from safetensors.numpy import load_file

from tests.gguf_k_types import K_TYPES, quantize_k

WIDTH = 256
LAYERS = 3
HEADS = 4
_BY_LIBRARY = (Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1)
OF_RANDOM_BITS = (Kind.IQ4_NL, Kind.IQ4_XS, Kind.IQ2_XXS, Kind.IQ2_XS, Kind.IQ3_XXS, Kind.IQ3_S)
"""Types that nothing here quantizes to; a block begins with its scale, in 16 bits."""

ALL_TYPES = (*_BY_LIBRARY, *K_TYPES, *OF_RANDOM_BITS)
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def write_gguf(
    path: Path,
    kinds: Sequence[Kind],
    file_type: gguf.LlamaFileType,
    *,
    template: str | None = None,
    seed: int = 0,
    imatrix: Mapping[str, str | int] | None = None,
) -> dict[str, np.ndarray]:
    """Write a Llama of three layers, 256 wide, with a byte-level tokenizer.

    Args:
        path: The file.
        kinds: Types of its matrices, in turn. Files of one type each hold the same weights, unless of random bits.
        file_type: What the file says of itself.
        template: A chat template.
        seed: Of the weights.
        imatrix: What llama.cpp's quantizer says of an importance matrix, by the last parts of its keys.

    Returns:
        The weights that its matrices stand for, by their names.
    """
    draw = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(file_type)
    for key, value in (imatrix or {}).items():
        if isinstance(value, str):
            writer.add_string(f"quantize.imatrix.{key}", value)
        else:
            writer.add_int32(f"quantize.imatrix.{key}", value)
    _add_tokenizer(writer, template)
    dense: dict[str, np.ndarray] = {}

    def plain(name: str, values: np.ndarray) -> None:
        writer.add_tensor(name, values.astype(np.float32))

    plain("token_embd.weight", draw.normal(0, 0.5, (_VOCABULARY, WIDTH)))
    plain("output_norm.weight", np.ones(WIDTH))
    plain("output.weight", draw.normal(0, 0.5, (_VOCABULARY, WIDTH)))
    turn = cycle(kinds)
    for layer in range(LAYERS):
        plain(f"blk.{layer}.attn_norm.weight", np.ones(WIDTH))
        plain(f"blk.{layer}.ffn_norm.weight", np.ones(WIDTH))
        for matrix in MATRICES:
            kind, name = next(turn), f"blk.{layer}.{matrix}.weight"
            data = _blocks(kind, draw)
            writer.add_tensor(name, data, raw_dtype=kind)
            dense[name] = quants.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return dense


def write_checkpoint(path: Path, folder: Path, kind: Kind, file_type: gguf.LlamaFileType) -> None:
    """Write the Llama of a checkpoint folder, its layers in one type that the library quantizes to.

    The tokenizer is a byte-level one of as many tokens: who asks the model must do so by the checkpoint's own ids.

    Args:
        path: The file.
        folder: A folder with one file of weights, head and embedding tied.
        kind: Type of its layers; all else is stored in 32 bits.
        file_type: What the file says of itself.
    """
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_file_type(file_type)
    _add_tokenizer(writer, "{{ messages[0]['content'] }}", config["vocab_size"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, weight in load_file(folder / "model.safetensors").items():
        values = weight.astype(np.float32)
        if name.endswith(("q_proj.weight", "k_proj.weight")):  # turned for their rotation
            turned = heads if name.endswith("q_proj.weight") else kv_heads
            values = values.reshape(turned, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        stored = names.get_name(name, try_suffixes=(".weight",))
        assert stored is not None, name
        if name.endswith("_proj.weight"):
            writer.add_tensor(stored, quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(stored, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_BYTES = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
_TOKENS = [*_BYTES, "th", "<|end|>"]
_VOCABULARY = len(_TOKENS)


def _add_tokenizer(writer: gguf.GGUFWriter, template: str | None, words: int = _VOCABULARY) -> None:
    others = [f"<|{number}|>" for number in range(words - _VOCABULARY)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*_TOKENS, *others])
    writer.add_token_types([1] * (_VOCABULARY - 1) + [3] * (1 + len(others)))
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(_VOCABULARY - 1)
    writer.add_bos_token_id(_VOCABULARY - 1)
    if template is not None:
        writer.add_chat_template(template)


def _blocks(kind: Kind, draw: np.random.Generator) -> np.ndarray:
    """A matrix, packed."""
    if kind not in OF_RANDOM_BITS:
        values = draw.normal(0, 0.1, (WIDTH, WIDTH)).astype(np.float32)
        return quantize_k(values, kind) if kind in K_TYPES else quants.quantize(values, kind)
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = draw.integers(0, 256, (WIDTH * WIDTH // length, size), dtype=np.uint8)
    scales = draw.uniform(0.0005, 0.002, (len(blocks), 1)).astype(np.float16)
    blocks[:, :2] = scales.view(np.uint8)
    return blocks.reshape(WIDTH, -1)
