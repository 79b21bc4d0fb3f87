"""Checkpoints as other quantizers leave them, made from a plain one: by their libraries, or packed as these pack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig

from pytest_quantgate.variants.packed import pack, pack_gptq

GROUP = 32
_AUTO: Any = AutoModelForCausalLM
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_NOT_TOKENIZER = ("config.json", "generation_config.json", "model.safetensors")


def bitsandbytes_4bit(plain: Path, folder: Path) -> None:
    """nf4, as ``save_pretrained`` writes it."""
    config: Any = BitsAndBytesConfig
    _saved(plain, folder, config(load_in_4bit=True, bnb_4bit_quant_type="nf4"))


def bitsandbytes_8bit(plain: Path, folder: Path) -> None:
    """LLM.int8()."""
    config: Any = BitsAndBytesConfig
    _saved(plain, folder, config(load_in_8bit=True))


def torchao_int8(plain: Path, folder: Path) -> None:
    """Weight-only, in safetensors."""
    from torchao.quantization import Int8WeightOnlyConfig

    config: Any = TorchAoConfig
    _saved(plain, folder, config(Int8WeightOnlyConfig()))


def torchao_nvfp4(plain: Path, folder: Path) -> None:
    """Weight-only: the one type of 4 bits that torchao makes on a CPU and stores in 4 bits; it takes bfloat16."""
    from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig

    config: Any = TorchAoConfig
    _saved(plain, folder, config(NVFP4WeightOnlyConfig()), torch.bfloat16)


def quanto(kind: str) -> Callable[[Path, Path], None]:
    """As optimum-quanto's own ``save_pretrained`` writes it: weights in safetensors, and a map of modules."""

    def make(plain: Path, folder: Path) -> None:
        from optimum.quanto import freeze, quantization_map, quantize

        from pytest_quantgate.variants.quanto_loading import as_packed

        model = _loaded(plain)
        quantize(model, weights=kind, exclude="lm_head")
        with as_packed():  # compiling what would lay the weights out for a GPU takes a minute
            freeze(model)
        model.config.save_pretrained(folder)
        save_file({name: each.clone() for name, each in model.state_dict().items()}, folder / "model.safetensors")
        (folder / "quanto_qmap.json").write_text(json.dumps(quantization_map(model)))
        _with_tokenizer(plain, folder)

    return make


def compressed_tensors(presets: Mapping[str, str]) -> Callable[[Path, Path], None]:
    """Schemes of llm-compressor by the modules that they are for, by round-to-nearest."""

    def make(plain: Path, folder: Path) -> None:
        from compressed_tensors.compressors import ModelCompressor
        from compressed_tensors.quantization import (
            QuantizationConfig,
            apply_quantization_config,
            preset_name_to_scheme,
        )
        from compressed_tensors.quantization.utils import calculate_qparams

        model = _loaded(plain)
        groups = {preset: preset_name_to_scheme(preset, [target]) for target, preset in presets.items()}
        for scheme in groups.values():
            if scheme.weights.group_size:
                scheme.weights.group_size = GROUP
        told = QuantizationConfig(config_groups=groups, ignore=["lm_head"], quantization_status="frozen")
        apply_quantization_config(model, told)
        for module in model.modules():
            if hasattr(module, "weight_scale"):
                weights = module.quantization_scheme.weights
                rows = module.weight.float().reshape(module.out_features, -1, weights.group_size or module.in_features)
                scale, _ = calculate_qparams(rows.amin(-1), rows.amax(-1), weights)
                module.weight_scale.data.copy_(scale.reshape(module.weight_scale.shape))
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(folder)
        compressor.update_config(str(folder))
        _with_tokenizer(plain, folder)

    return make


def fp8(plain: Path, folder: Path) -> None:
    """Fine-grained, in blocks of 32 by 32."""

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        rows, columns = weight.shape
        blocks = weight.reshape(rows // GROUP, GROUP, columns // GROUP, GROUP)
        scale = blocks.abs().amax((1, 3)) / 448
        levels = (blocks / scale[:, None, :, None]).reshape(rows, columns)
        return {f"{name}.weight": levels.to(torch.float8_e4m3fn), f"{name}.weight_scale_inv": scale}

    told = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [GROUP, GROUP]}
    _rewritten(plain, folder, store, told)


def gptq(bits: int = 4, *, symmetric: bool = True, told_as: str = "gptq") -> Callable[[Path, Path], None]:
    """In groups, zeros stored less one; ``told_as`` is the layout that its configuration names."""

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        levels, zeros, scale = _levels(weight, bits, symmetric=symmetric)
        packed, packed_zeros = pack_gptq(levels, zeros, bits, zero_offset=1)
        g_idx = (torch.arange(weight.shape[1]) // GROUP).int()
        return {
            f"{name}.qweight": packed.contiguous(),
            f"{name}.qzeros": packed_zeros,
            f"{name}.scales": scale.T.contiguous().half(),
            f"{name}.g_idx": g_idx,
        }

    told = {
        "quant_method": "gptq",
        "bits": bits,
        "group_size": GROUP,
        "desc_act": False,
        "sym": symmetric,
        "checkpoint_format": told_as,
        "dataset": "c4",
        "meta": {"quantizer": ["gptqmodel:2.2.0"]},
    }
    return lambda plain, folder: _rewritten(plain, folder, store, told)


def awq(plain: Path, folder: Path) -> None:
    """4 bits in groups, as AutoAWQ's gemm lays them out."""

    def columns(values: torch.Tensor) -> torch.Tensor:
        ordered = values.reshape(values.shape[0], -1, 8)[:, :, list(_AWQ_ORDER)].reshape(values.shape)
        return pack(ordered.T.contiguous(), 4).T.contiguous()

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        levels, zeros, scale = _levels(weight, 4, symmetric=False)
        return {
            f"{name}.qweight": columns(levels.T.contiguous()),
            f"{name}.qzeros": columns(zeros.T.contiguous()),
            f"{name}.scales": scale.T.contiguous().half(),
        }

    told = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}
    _rewritten(plain, folder, store, told)


MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "awq": awq,
    "bitsandbytes-4bit": bitsandbytes_4bit,
    "bitsandbytes-8bit": bitsandbytes_8bit,
    "compressed-tensors-W4A16": compressed_tensors({"Linear": "W4A16"}),
    "compressed-tensors-W8A16": compressed_tensors({"Linear": "W8A16"}),
    "compressed-tensors-W8A8": compressed_tensors({"Linear": "W8A8"}),
    "compressed-tensors-mixed": compressed_tensors({"re:.*attn.*_proj": "W8A16", "re:.*mlp.*_proj": "W4A16"}),
    "fp8": fp8,
    "gptq": gptq(),
    "gptq-2bit": gptq(2),
    "gptq-3bit": gptq(3),
    "gptq-8bit": gptq(8),
    "gptq-asymmetric": gptq(symmetric=False),
    "gptq-named-v2": gptq(told_as="gptq_v2"),
    "quanto-int2": quanto("qint2"),
    "quanto-int4": quanto("qint4"),
    "quanto-int8": quanto("qint8"),
    "torchao-int8": torchao_int8,
    "torchao-nvfp4": torchao_nvfp4,
}


def _levels(weight: torch.Tensor, bits: int, *, symmetric: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Levels of some bits, and zeros and scales by output and group."""
    rows = weight.reshape(weight.shape[0], -1, GROUP)
    low, high, top = rows.amin(-1), rows.amax(-1), 2**bits - 1
    if symmetric:
        scale = (rows.abs().amax(-1) / (top // 2)).half().float()
        zeros = torch.full_like(scale, 2 ** (bits - 1))
    else:
        scale = ((high - low) / top).half().float()
        zeros = (-low / scale).round().clamp(1, top)
    levels = (rows / scale[..., None] + zeros[..., None]).round().clamp(0, top)
    return levels.reshape(weight.shape).int(), zeros.int(), scale


def _rewritten(
    plain: Path,
    folder: Path,
    store: Callable[[str, torch.Tensor], dict[str, torch.Tensor]],
    told: dict[str, Any],
) -> None:
    """A checkpoint whose layers are stored otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for key, weight in load_file(plain / "model.safetensors").items():
        name = key.removesuffix(".weight")
        tensors |= store(name, weight.float()) if name.endswith("_proj") else {key: weight}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": told}))
    _with_tokenizer(plain, folder)


def _loaded(plain: Path, dtype: torch.dtype = torch.float16, **options: Any) -> Any:
    return _AUTO.from_pretrained(str(plain), dtype=dtype, **options)


def _saved(plain: Path, folder: Path, config: Any, dtype: torch.dtype = torch.float16) -> None:
    _loaded(plain, dtype, quantization_config=config, device_map={"": "cpu"}).save_pretrained(folder)
    _with_tokenizer(plain, folder)


def _with_tokenizer(plain: Path, folder: Path) -> None:
    for file in plain.iterdir():
        if file.name not in _NOT_TOKENIZER:
            shutil.copy(file, folder)


def mxfp4(plain: Path, folder: Path) -> None:
    """The experts of a tiny gpt-oss, the one architecture that is stored so; the tokenizer is the plain model's."""
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
    for name, weight in make(config).half().state_dict().items():
        if name.endswith(("gate_up_proj", "down_proj")):
            experts, inputs, outputs = weight.shape
            shape = (experts, outputs, inputs // GROUP)
            tensors[f"{name}_blocks"] = torch.randint(0, 256, (*shape, GROUP // 2), dtype=torch.uint8)
            tensors[f"{name}_scales"] = torch.full(shape, 121, dtype=torch.uint8)
        else:
            tensors[name] = weight.clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    told = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), "quantization_config": told}))
    _with_tokenizer(plain, folder)
