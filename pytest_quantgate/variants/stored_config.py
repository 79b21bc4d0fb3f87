"""How a checkpoint that was quantized elsewhere stores its weights, told from its own configuration.

What the configuration says is checked before any library sees it: it is a stranger's file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_quantgate.errors import ModelError
from pytest_quantgate.printable import visible
from pytest_quantgate.variants.data_name import data_name
from pytest_quantgate.variants.stored_fields import AGAIN, KEY, LONGEST, Fields, shown

QUANTO_MAP: Final = "quanto_qmap.json"
"""What optimum-quanto writes beside config.json."""

KNOWN: Final = (
    "GPTQ, AWQ, compressed-tensors (llm-compressor), bitsandbytes, torchao, quanto, FP8 (fine-grained) and MXFP4"
)
NOT_STATED: Final = "calibration not stated"
"""What is told of a quantizer that looks at data, where the files do not say at which."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How weights are stored.

    Attributes:
        method: Its name in the configuration, such as ``gptq``.
        title: The method for people, with its kind of numbers.
        bits: Of a weight, without scales; None where layers differ.
        mixed: The bits of weights where layers differ, ascending; empty where the configuration does not tell.
        group: Weights that share a scale; None where it is a row, or not told.
        activations: Whether activations are quantized too.
        maker: The program that made it, as the files say; empty where they do not.
        calibration: What it was calibrated with, likewise.
        calibrated: Whether its quantizer looks at data, so that there was a calibration.
        requires: Importable module to installable distribution.
        details: What loading needs to know further: of GPTQ how zeros are stored, and whether all are the middle one;
            of FP8 the rows and columns of a block, where there are blocks.
    """

    method: str
    title: str
    bits: float | None
    group: int | None = None
    activations: bool = False
    maker: str = ""
    calibration: str = ""
    calibrated: bool = False
    mixed: tuple[int, ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line for people, a stranger's words in it made visible."""
        among = f" ({', '.join(map(str, self.mixed))})" if self.mixed else ""
        bits = f"mixed bits{among}" if self.bits is None else f"{self.bits:g} bits"
        group = "" if self.group is None else f" in groups of {self.group}"
        acts = ", activations too" if self.activations else ""
        not_stated = NOT_STATED if self.calibrated else ""
        made = "; ".join(
            filter(
                None,
                [
                    f"made by {self.maker}" if self.maker else "",
                    f"calibrated with {self.calibration}" if self.calibration else not_stated,
                ],
            )
        )
        return visible(f"{self.title}, {bits}{group}{acts}{f' ({made})' if made else ''}")


def storage_of(config: Mapping[str, Any], quanto_map: Mapping[str, Any] | None, where: str) -> Storage | None:
    """How the weights of a checkpoint are stored.

    Args:
        config: Its config.json.
        quanto_map: Its ``quanto_qmap.json``; None where it has none.
        where: config.json, for messages.

    Returns:
        None for plain weights.

    Raises:
        ModelError: The configuration is wrong, or of a quantizer that is not known here.
    """
    if quanto_map is not None:
        return _quanto(Fields(quanto_map, where.replace("config.json", QUANTO_MAP)))
    value = config.get(KEY)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ModelError(f"{KEY} is not an object", where=where, hint=AGAIN)
    fields = Fields(value, where)
    method = fields.text("quant_method")
    if not method and (value.get("load_in_4bit") or value.get("load_in_8bit")):
        method = "bitsandbytes"  # older ones do not name it
    read = _METHODS.get(method)
    if read is None:
        name = method or "a method that it does not name"
        raise ModelError(
            f"this checkpoint is quantized with {name}, which cannot be loaded here",
            where=where,
            hint=f"known are {KNOWN}; or name the unquantized model that it was made from",
        )
    fields.check_patterns()
    return read(fields)


def _maker(fields: Fields) -> str:
    """The program that wrote the checkpoint, where ``meta`` says so."""
    named = _meta(fields).get("quantizer")
    name = named[0] if isinstance(named, list) and named else named
    return name if isinstance(name, str) and len(name) <= LONGEST else ""


def _calibration(fields: Fields) -> str:
    named = fields.values.get("dataset") or _meta(fields).get("dataset")
    if isinstance(named, list) and named:
        return f"{len(named)} texts of its maker's"
    return data_name(named) if isinstance(named, str) and len(named) <= LONGEST else ""


def _meta(fields: Fields) -> Mapping[str, Any]:
    meta = fields.values.get("meta")
    return meta if isinstance(meta, dict) else {}


def _one_or_mixed(bits: Iterable[int]) -> tuple[int | None, tuple[int, ...]]:
    """The bits that all layers have; where they differ None, and all of them."""
    found = tuple(sorted(set(bits)))
    return (found[0], ()) if len(found) == 1 else (None, found)


def _gptq(fields: Fields) -> Storage:
    layout = fields.text("checkpoint_format", fields.text("format", "gptq"))
    if layout not in ("gptq", "gptq_v2"):
        raise ModelError(
            f"its GPTQ weights are laid out as {layout}, and only gptq and gptq_v2 can be read here",
            where=fields.where,
            hint="save it in the layout gptq, or name the unquantized model that it was made from",
        )
    return Storage(
        "gptq",
        f"GPTQ{', act-order' if fields.flag('desc_act') else ''}",
        fields.bits("bits", choice=(2, 3, 4, 8)),
        fields.group("group_size"),
        maker=_maker(fields),
        calibration=_calibration(fields),
        calibrated=True,
        details={"zero_offset": 0 if layout == "gptq_v2" else 1, "symmetric": fields.flag("sym")},
    )


def _awq(fields: Fields) -> Storage:
    layout = fields.text("version", "gemm").lower()
    if layout != "gemm":
        raise ModelError(
            f"its AWQ weights are laid out as {layout}, and only gemm can be read here",
            where=fields.where,
            hint="save it in the layout gemm, or name the unquantized model that it was made from",
        )
    names = ("w_bit", "q_group_size") if "w_bit" in fields.values else ("bits", "group_size")
    return Storage(
        "awq",
        "AWQ",
        fields.bits(names[0], choice=(4,)),
        fields.group(names[1]),
        maker=_maker(fields),
        calibration=_calibration(fields),
        calibrated=True,
    )


def _bitsandbytes(fields: Fields) -> Storage:
    requires = {"bitsandbytes": "bitsandbytes"}
    if fields.flag("load_in_8bit"):
        return Storage("bitsandbytes", "bitsandbytes LLM.int8()", 8, activations=True, requires=requires)
    kind = fields.text("bnb_4bit_quant_type", "fp4")
    if kind not in ("nf4", "fp4"):
        raise fields.wrong(f"bnb_4bit_quant_type is {shown(kind)}")
    double = ", scales quantized again" if fields.flag("bnb_4bit_use_double_quant") else ""
    return Storage("bitsandbytes", f"bitsandbytes {kind}{double}", 4, 64, requires=requires)


def _compressed_tensors(fields: Fields) -> Storage:
    for key in ("transform_config", "sparsity_config", "moe_sparsity_config"):
        told = fields.object(key)
        if told is not None and told.values and told.values.get("format") != "dense":
            raise ModelError(
                f"it has a {key}, which is not undone here",
                where=fields.where,
                hint="gate it as a served model, or name the unquantized model that it was made from",
            )
    if fields.object("kv_cache_scheme") is not None:
        raise ModelError(
            "it has a kv_cache_scheme: what it does to keys and values would be judged as the weights' doing",
            where=fields.where,
            hint="gate it as a served model, or a copy whose configuration has no kv_cache_scheme, with +kv:fp8",
        )
    groups = fields.object("config_groups")
    if groups is None:
        raise fields.wrong("config_groups is missing")
    found: set[tuple[int, int | None]] = set()
    activations = static = False
    for group in groups.objects():
        weights = group.object("weights")
        if weights is not None:
            found.add((weights.bits("num_bits"), weights.group("group_size")))
        inputs = group.object("input_activations")
        if inputs is not None:
            activations = True
            static = static or inputs.values.get("dynamic") is not True  # "local" has a static scale as well
    if not found:
        raise fields.wrong("config_groups quantize no weights")
    bits, mixed = _one_or_mixed(each[0] for each in found)
    sizes = {each[1] for each in found}
    return Storage(
        "compressed-tensors",
        f"compressed-tensors {fields.text('format', 'dense')}",
        bits,
        sizes.pop() if len(sizes) == 1 else None,
        activations=activations,
        calibrated=static,
        mixed=mixed,
        requires={"compressed_tensors": "compressed-tensors"},
    )


def _torchao(fields: Fields) -> Storage:
    kind = fields.object("quant_type")
    default = kind.object("default") if kind is not None else None
    if default is None:
        raise fields.wrong("quant_type is not one that torchao writes")
    name = default.text("_type")
    bits = re.search(r"(\d)Weight", name)  # not those of activations, which some names begin with
    data = default.object("_data")
    return Storage(
        "torchao",
        f"torchao {name.removesuffix('Config')}",
        int(bits[1]) if bits else None,
        data.group("group_size") if data is not None else None,
        activations="Activation" in name,
        requires={"torchao": "torchao"},
    )


def _quanto(fields: Fields) -> Storage:
    kinds: set[str] = set()
    for module in fields.objects():
        if module.text("activations", "none") != "none":
            raise fields.wrong("activations quantized by quanto cannot be loaded")
        kinds.add(module.text("weights"))
    if not all(re.fullmatch(r"qint[248]|qfloat8(_e4m3fn|_e5m2)?", kind) for kind in kinds):
        raise fields.wrong(f"weights of {shown(sorted(kinds))}")
    bits, mixed = _one_or_mixed(8 if "8" in kind else int(kind[-1]) for kind in kinds)
    return Storage(
        "quanto",
        f"quanto {', '.join(sorted(kinds))}",
        bits,
        mixed=mixed,
        requires={"optimum.quanto": "optimum-quanto"},
    )


def _fp8(fields: Fields) -> Storage:
    block = fields.values.get("weight_block_size")
    if block is not None and not (
        isinstance(block, list) and len(block) == 2 and all(type(each) is int and each > 0 for each in block)  # noqa: PLR2004
    ):
        raise fields.wrong(f"weight_block_size is {shown(block)}")
    size = f", blocks of {block[0]}x{block[1]}" if block else ""
    scheme = fields.text("activation_scheme")
    scales = f", activation scales {scheme}" if scheme else ""
    details = {"block": tuple(block)} if block else {}
    return Storage("fp8", f"FP8{size}{scales}", 8, calibrated=scheme == "static", details=details)


def _mxfp4(fields: Fields) -> Storage:  # noqa: ARG001  (it says nothing more)
    return Storage("mxfp4", "MXFP4", 4, 32)


_METHODS: Final[Mapping[str, Callable[[Fields], Storage]]] = {
    "gptq": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "bitsandbytes_4bit": _bitsandbytes,
    "bitsandbytes_8bit": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "torchao": _torchao,
    "fp8": _fp8,
    "mxfp4": _mxfp4,
}
