"""Checkpoints as other quantizers leave them, made from a plain one: by their libraries, or packed as these pack."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import BitsAndBytesConfig, TorchAoConfig

from tests.compressed_checkpoints import compressed_tensors
from tests.int32_words import Words, awq_columns, gptq_qweight, gptq_qzeros
from tests.stored_files import GROUP, copy_tokenizer, load_plain, rewrite


def bitsandbytes_4bit(kind: str, *, double: bool = False) -> Callable[[Path, Path], None]:
    """nf4 or fp4, as ``save_pretrained`` writes it; ``double`` quantizes the scales, too."""

    def make(plain: Path, folder: Path) -> None:
        config: Any = BitsAndBytesConfig
        _save(plain, folder, config(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=double))

    return make


def bitsandbytes_8bit(plain: Path, folder: Path) -> None:
    """LLM.int8()."""
    config: Any = BitsAndBytesConfig
    _save(plain, folder, config(load_in_8bit=True))


def torchao(kind: str) -> Callable[[Path, Path], None]:
    """In safetensors, as one of torchao's configurations has it."""

    def make(plain: Path, folder: Path) -> None:
        from torchao import quantization

        config: Any = TorchAoConfig
        _save(plain, folder, config(getattr(quantization, f"{kind}Config")()))

    return make


def torchao_nvfp4(plain: Path, folder: Path) -> None:
    """Weight-only: the one type of 4 bits that torchao makes on a CPU and stores in 4 bits; it takes bfloat16."""
    from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig

    config: Any = TorchAoConfig
    _save(plain, folder, config(NVFP4WeightOnlyConfig()), torch.bfloat16)


def quanto(kind: str) -> Callable[[Path, Path], None]:
    """As optimum-quanto's own ``save_pretrained`` writes it: weights in safetensors, and a map of modules."""

    def make(plain: Path, folder: Path) -> None:
        from optimum.quanto import freeze, quantization_map, quantize

        from pytest_quantgate.variants.quanto_loading import as_packed

        model = load_plain(plain)
        quantize(model, weights=kind, exclude="lm_head")
        with as_packed():  # compiling what would lay the weights out for a GPU takes a minute
            freeze(model)
        model.config.save_pretrained(folder)
        save_file({name: each.clone() for name, each in model.state_dict().items()}, folder / "model.safetensors")
        (folder / "quanto_qmap.json").write_text(json.dumps(quantization_map(model)))
        copy_tokenizer(plain, folder)

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
    rewrite(plain, folder, store, told)


def fp8_of_matrices(plain: Path, folder: Path) -> None:
    """One scale for a matrix, a number without dimensions, and one for its activations."""

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        scale = weight.abs().max() / 448
        return {
            f"{name}.weight": (weight / scale).to(torch.float8_e4m3fn),
            f"{name}.weight_scale_inv": scale,
            f"{name}.activation_scale": torch.tensor(0.01),
        }

    told = {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None}
    rewrite(plain, folder, store, told)


def gptq(
    bits: int = 4,
    *,
    symmetric: bool = True,
    act_order: bool = False,
    layout: str = "gptq",
    told_as: str = "",
) -> Callable[[Path, Path], None]:
    """In groups; ``layout`` says how zeros are stored, ``told_as`` what the configuration says of that."""

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        inputs = weight.shape[1]
        order = (
            torch.randperm(inputs, generator=torch.Generator().manual_seed(0)) if act_order else torch.arange(inputs)
        )
        ordered, zeros, scale = _levels(weight[:, order], bits, symmetric=symmetric)
        levels, g_idx = torch.empty_like(ordered), torch.empty(inputs, dtype=torch.int32)
        levels[:, order], g_idx[order] = ordered, (torch.arange(inputs) // GROUP).int()
        less = 1 if layout == "gptq" else 0
        return {
            f"{name}.qweight": _int32(gptq_qweight(levels.numpy(), bits)),
            f"{name}.qzeros": _int32(gptq_qzeros(zeros.T.numpy(), bits, less=less)),
            f"{name}.scales": scale.T.contiguous().half(),
            f"{name}.g_idx": g_idx,
        }

    told = {
        "quant_method": "gptq",
        "bits": bits,
        "group_size": GROUP,
        "desc_act": act_order,
        "sym": symmetric,
        "checkpoint_format": told_as or layout,
        "dataset": "c4",
        "meta": {"quantizer": ["gptqmodel:2.2.0"]},
    }
    return partial(rewrite, store=store, told=told)


def awq(plain: Path, folder: Path) -> None:
    """4 bits in groups, as AutoAWQ's gemm lays them out."""

    def store(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        levels, zeros, scale = _levels(weight, 4, symmetric=False)
        return {
            f"{name}.qweight": _int32(awq_columns(levels.T.numpy())),
            f"{name}.qzeros": _int32(awq_columns(zeros.T.numpy())),
            f"{name}.scales": scale.T.contiguous().half(),
        }

    told = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}
    rewrite(plain, folder, store, told)


COMPRESSED = (
    "FP8",
    "FP8_BLOCK",
    "FP8_DYNAMIC",
    "MXFP4",
    "MXFP4A16",
    "MXFP6A16",
    "MXFP8A16",
    "NVFP4",
    "NVFP4A16",
    "W2A16",
    "W3A16",
    "W4A16",
    "W4A16_ASYM",
    "W8A16",
    "W8A8",
)
"""Schemes of compressed-tensors, all layers in one."""

MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "awq": awq,
    "bitsandbytes-4bit": bitsandbytes_4bit("nf4"),
    "bitsandbytes-4bit-double": bitsandbytes_4bit("nf4", double=True),
    "bitsandbytes-8bit": bitsandbytes_8bit,
    "bitsandbytes-fp4": bitsandbytes_4bit("fp4"),
    **{f"compressed-tensors-{scheme}": compressed_tensors({"Linear": scheme}) for scheme in COMPRESSED},
    "compressed-tensors-mixed": compressed_tensors({"re:.*attn.*_proj": "W8A16", "re:.*mlp.*_proj": "W4A16"}),
    "compressed-tensors-mixed-floats": compressed_tensors(
        {"re:.*attn.*_proj": "FP8_DYNAMIC", "re:.*mlp.*_proj": "NVFP4A16"}
    ),
    "fp8": fp8,
    "fp8-matrix": fp8_of_matrices,
    "gptq": gptq(),
    "gptq-2bit": gptq(2),
    "gptq-3bit": gptq(3),
    "gptq-8bit": gptq(8),
    "gptq-act-order": gptq(act_order=True),
    "gptq-asymmetric": gptq(symmetric=False),
    "gptq-asymmetric-v2": gptq(symmetric=False, layout="gptq_v2"),
    "gptq-named-v2": gptq(told_as="gptq_v2"),
    "quanto-float8": quanto("qfloat8"),
    "quanto-int2": quanto("qint2"),
    "quanto-int4": quanto("qint4"),
    "quanto-int8": quanto("qint8"),
    "torchao-float8": torchao("Float8WeightOnly"),
    "torchao-int8": torchao("Int8WeightOnly"),
    "torchao-int8-dynamic": torchao("Int8DynamicActivationInt8Weight"),
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


def _int32(values: Words) -> torch.Tensor:
    return torch.from_numpy(values.copy())


def _save(plain: Path, folder: Path, config: Any, dtype: torch.dtype = torch.float16) -> None:
    load_plain(plain, dtype, quantization_config=config, device_map={"": "cpu"}).save_pretrained(folder)
    copy_tokenizer(plain, folder)
