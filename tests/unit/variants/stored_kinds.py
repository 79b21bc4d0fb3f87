"""What is true of each kind of stored checkpoint that the tests make."""

from __future__ import annotations

from tests.stored_checkpoints import COMPRESSED, MAKERS

_GPTQ = "GPTQ{}, {} bits in groups of 32 (made by gptqmodel:2.2.0; calibrated with c4); as stored"
_SCHEMES = {
    "FP8": "float-quantized, 8 bits, activations too (calibration not stated)",
    "FP8_BLOCK": "float-quantized, 8 bits, activations too",
    "FP8_DYNAMIC": "float-quantized, 8 bits, activations too",
    "MXFP4": "mxfp4-pack-quantized, 4 bits in groups of 32, activations too",
    "MXFP4A16": "mxfp4-pack-quantized, 4 bits in groups of 32",
    "MXFP6A16": "mxfp6-pack-quantized, 6 bits in groups of 32",
    "MXFP8A16": "mxfp8-quantized, 8 bits in groups of 32",
    "NVFP4": "nvfp4-pack-quantized, 4 bits in groups of 16, activations too (calibration not stated)",
    "NVFP4A16": "nvfp4-pack-quantized, 4 bits in groups of 16",
    **{f"W{bits}A16": f"pack-quantized, {bits} bits in groups of 32" for bits in (2, 3, 4, 8)},
    "W4A16_ASYM": "pack-quantized, 4 bits in groups of 32",
    "W8A8": "int-quantized, 8 bits, activations too",
}
SUMMARIES = {
    "awq": "AWQ, 4 bits in groups of 32 (calibration not stated); as stored",
    "bitsandbytes-4bit": "bitsandbytes nf4, 4 bits in groups of 64; as stored",
    "bitsandbytes-4bit-double": "bitsandbytes nf4, scales quantized again, 4 bits in groups of 64; as stored",
    "bitsandbytes-8bit": "bitsandbytes LLM.int8(), 8 bits, activations too; as stored",
    "bitsandbytes-fp4": "bitsandbytes fp4, 4 bits in groups of 64; as stored",
    **{f"compressed-tensors-{scheme}": f"compressed-tensors {told}; as stored" for scheme, told in _SCHEMES.items()},
    "compressed-tensors-mixed": "compressed-tensors pack-quantized, mixed bits (4, 8) in groups of 32; as stored",
    "compressed-tensors-mixed-floats": (
        "compressed-tensors mixed-precision, mixed bits (4, 8), activations too; as stored"
    ),
    "fp8": "FP8, blocks of 32x32, activation scales dynamic, 8 bits; as stored",
    "fp8-matrix": "FP8, activation scales static, 8 bits (calibration not stated); as stored",
    **dict.fromkeys(("gptq", "gptq-asymmetric", "gptq-asymmetric-v2", "gptq-named-v2"), _GPTQ.format("", 4)),
    **{f"gptq-{bits}bit": _GPTQ.format("", bits) for bits in (2, 3, 8)},
    "gptq-act-order": _GPTQ.format(", act-order", 4),
    "quanto-float8": "quanto qfloat8_e4m3fn, 8 bits; as stored",
    **{f"quanto-int{bits}": f"quanto qint{bits}, {bits} bits; as stored" for bits in (2, 4, 8)},
    "torchao-float8": "torchao Float8WeightOnly, 8 bits; as stored",
    "torchao-int8": "torchao Int8WeightOnly, 8 bits; as stored",
    "torchao-int8-dynamic": "torchao Int8DynamicActivationInt8Weight, 8 bits, activations too; as stored",
    "torchao-nvfp4": "torchao NVFP4WeightOnly, 4 bits; as stored",
}
MIXED = ("compressed-tensors-mixed", "compressed-tensors-mixed-floats")
BITS = {
    **dict.fromkeys(MAKERS, 4),
    **dict.fromkeys((f"compressed-tensors-{kind}" for kind in ("FP8", "FP8_BLOCK", "FP8_DYNAMIC", "MXFP8A16")), 8),
    **dict.fromkeys(("compressed-tensors-W8A16", "compressed-tensors-W8A8", "fp8", "fp8-matrix", "gptq-8bit"), 8),
    **dict.fromkeys(("bitsandbytes-8bit", "quanto-float8", "quanto-int8"), 8),
    **dict.fromkeys(("torchao-float8", "torchao-int8", "torchao-int8-dynamic"), 8),
    "compressed-tensors-MXFP6A16": 6,
    **dict.fromkeys(("compressed-tensors-W3A16", "gptq-3bit"), 3),
    **dict.fromkeys(("compressed-tensors-W2A16", "gptq-2bit", "quanto-int2"), 2),
}
"""Of a weight; of the checkpoints of mixed bits those of their MLPs."""

ACTIVATIONS = [name for name, summary in SUMMARIES.items() if "activations too" in summary]
WEIGHT_ONLY = [name for name in MAKERS if name not in ACTIVATIONS]
WITH_KERNELS = ["bitsandbytes-4bit", "bitsandbytes-4bit-double", "bitsandbytes-fp4", "torchao-float8", "torchao-int8"]
WITHOUT_KERNELS = ["awq", "compressed-tensors-NVFP4A16", "compressed-tensors-W4A16", "fp8", "gptq", "gptq-asymmetric"]
BY_DEFINITION = [
    *(f"compressed-tensors-{scheme}" for scheme in COMPRESSED),
    "fp8",
    "fp8-matrix",
    "torchao-float8",
    "torchao-int8",
    "torchao-int8-dynamic",
]
"""Those whose tensors ``tests.stored_numbers`` reads without any library."""

TABLES = {"bitsandbytes-4bit-double": 1}
"""Bits of a weight more than other kinds take: each layer has a table of 256 scales, and these layers are small."""
