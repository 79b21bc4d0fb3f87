"""``+lora:FOLDER``: an adapter as peft saves it, read and checked without torch.

Only what is understood is taken: LoRA of linear layers, in safetensors. Which layers those are is told by the names of
the tensors; patterns in the configuration, which peft would read as regular expressions, are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any, Final

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import read_json
from pytest_quantgate.variants.digests import file_digest
from pytest_quantgate.variants.headers import PLAIN_DTYPES, TensorHeader, read_headers

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
REQUIRES: Final = {"peft": "peft"}
PREFIX: Final = "base_model.model."
"""What peft writes before the names of the model's modules."""

_PICKLES: Final = ("adapter_model.bin", "adapter_model.pt")
_SIDES: Final = re.compile(r"([\w.]+)\.lora_(A|B)\.weight", re.ASCII)
_MATRIX: Final = 2
_LORA: Final = "LORA"
_SHOWN: Final = 3
_SPEC: Final = "+lora:"

# Keys that change nothing in what a finished adapter computes, or that the tensors tell better.
_ANY: Final = frozenset(
    {
        "auto_mapping",  # the class of the model, where it was made without a task_type; nothing is imported by it
        "base_model_name_or_path",
        "ensure_weight_tying",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "lora_dropout",
        "megatron_core",
        "peft_version",
        "qalora_group_size",
        "revision",
        "target_modules",
    }
)
_READ: Final = frozenset({"fan_in_fan_out", "lora_alpha", "peft_type", "r", "use_rslora"})
# Values beside nothing at all that mean plain LoRA; other starting points change the weights below the adapter.
_PLAIN: Final[Mapping[str, tuple[object, ...]]] = {
    "bias": ("none",),
    "init_lora_weights": (True, "gaussian", "eva", "orthogonal"),
    "task_type": ("CAUSAL_LM",),
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter: to the output of some linear layers ``scale * B(A(input))`` is added.

    Attributes:
        folder: Where it is.
        rank: Width between A and B.
        alpha: ``scale`` is alpha by rank, or by its root.
        by_root: Which of the two (rank-stabilised LoRA).
        transposed: The layers keep their weights the other way round (GPT-2).
        layers: Full name of each layer to its ``(out_features, in_features)``.
        base: The model that it was made for, as its configuration says; None where that says nothing.
        digest: SHA-256 (hex) of both files.
        bytes: Of all tensors in float32.
    """

    folder: Path
    rank: int
    alpha: float
    by_root: bool
    transposed: bool
    layers: Mapping[str, tuple[int, int]]
    base: str | None
    digest: str
    bytes: int

    @property
    def summary(self) -> str:
        """One phrase for people."""
        count = len(self.layers)
        made = "" if self.base is None else f", made for {self.base}"
        return f"LoRA adapter of rank {self.rank} on {count:,} layer{'s'[: count > 1]}{made}"


def read_adapter(text: str) -> Adapter:
    """Reads and checks an adapter's configuration and the header of its weights.

    Args:
        text: Its folder, as the user named it.

    Raises:
        ModelError: It is not there, damaged, of a kind that is not supported, or has pickled weights only.
    """
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise ModelError(
            "no such adapter: not a folder on this machine",
            where=f"{_SPEC}{text}",
            hint=f"name a folder that holds {CONFIG} and {WEIGHTS}; download an adapter of the hub first",
        )
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else None
    if config is None:
        raise ModelError(f"{CONFIG} is missing", where=str(folder), hint="name the folder that peft saved")
    rank, alpha = _check_config(config, folder / CONFIG)
    tensors = read_headers(_weights(folder))
    layers = _layers(tensors, rank, folder / WEIGHTS)
    base = config.get("base_model_name_or_path")
    try:
        digest = digest_of([file_digest(folder / name) for name in (CONFIG, WEIGHTS)])
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    return Adapter(
        folder=folder,
        rank=rank,
        alpha=alpha,
        by_root=bool(config.get("use_rslora")),
        transposed=bool(config.get("fan_in_fan_out")),
        layers=layers,
        base=quoted(base)[1:-1] if isinstance(base, str) and base else None,
        digest=digest,
        bytes=4 * sum(tensor.count for tensor in tensors),
    )


def check_fit(adapter: Adapter, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuses an adapter that was made for another model.

    Args:
        adapter: The adapter.
        shapes: ``(out_features, in_features)`` of each linear layer of the model.
        where: The variant, for the message.

    Raises:
        ModelError: With what does not fit.
    """
    wrong = []
    for name, shape in adapter.layers.items():
        if name not in shapes:
            wrong.append(f"the model has no linear layer {name}")
        elif shapes[name] != shape:
            wrong.append(f"{name} is {_shown(shapes[name])} and the adapter is for {_shown(shape)}")
    if wrong:
        raise ModelError(
            f"the adapter in {adapter.folder} does not fit the model: {_some(wrong)}",
            where=where,
            hint="use it with the model it was made for" + ("" if adapter.base is None else f", {adapter.base}"),
        )


def _check_config(config: Mapping[str, Any], path: Path) -> tuple[int, float]:
    """Rank and alpha.

    Raises:
        ModelError: It is not a plain LoRA adapter.
    """
    if config.get("peft_type") != _LORA:
        raise ModelError(
            f"peft_type is {quoted(config.get('peft_type'))}, and only LoRA adapters are supported",
            where=str(path),
            hint="merge the adapter into its model with peft, and name the merged model",
        )
    for key, value in config.items():
        plain = not value or any(value is each or value == each for each in _PLAIN.get(key, ()))
        if key not in _ANY | _READ and not plain:
            raise ModelError(
                f"{quoted(key)} is {quoted(value)}, and only plain LoRA of linear layers is supported",
                where=str(path),
                hint="merge the adapter into its model with peft, and name the merged model",
            )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1:
        raise ModelError(f"r is {quoted(rank)}, not a whole number, 1 or more", where=str(path))
    try:
        number = float(alpha) if isinstance(alpha, int | float) else nan
    except OverflowError:
        number = nan
    if not isfinite(number):
        raise ModelError(f"lora_alpha is {quoted(alpha)}, not a number", where=str(path))
    return rank, number


def _weights(folder: Path) -> Path:
    path = folder / WEIGHTS
    if path.is_file():
        return path
    pickled = next((name for name in _PICKLES if (folder / name).is_file()), None)
    if pickled is not None:
        raise ModelError(
            f"only pickled weights ({pickled}), and loading a pickle can run any code",
            where=str(folder),
            hint="where you trust them, save the adapter again with peft, which writes safetensors",
        )
    raise ModelError(f"{WEIGHTS} is missing", where=str(folder), hint="name the folder that peft saved")


def _layers(tensors: Iterable[TensorHeader], rank: int, path: Path) -> dict[str, tuple[int, int]]:
    """The shape of each layer that the tensors are for.

    Raises:
        ModelError: A tensor that is not one side of a LoRA layer, or sides that do not fit together.
    """
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        match = _SIDES.fullmatch(tensor.name.removeprefix(PREFIX))
        if match is None:
            raise ModelError(
                f"the tensor {quoted(tensor.name)} is no part of plain LoRA",
                where=str(path),
                hint="merge the adapter into its model with peft, and name the merged model",
            )
        if tensor.dtype not in PLAIN_DTYPES or len(tensor.shape) != _MATRIX:
            raise ModelError(f"the tensor {quoted(tensor.name)} is not a matrix of numbers", where=str(path))
        sides.setdefault(match[1], {})[match[2]] = tensor.shape
    layers = {}
    for name, found in sides.items():
        if found.keys() != {"A", "B"}:
            raise ModelError(f"{name} has only one of lora_A and lora_B", where=str(path), hint=_AGAIN)
        (above, inside), (outside, below) = found["A"], found["B"]
        if not above == below == rank:
            raise ModelError(
                f"{name} has ranks {above} and {below}, and {CONFIG} says {rank}", where=str(path), hint=_AGAIN
            )
        layers[name] = (outside, inside)
    return layers


_AGAIN: Final = "copy or save the adapter again"


def _shown(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def _some(wrong: list[str]) -> str:
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + more
