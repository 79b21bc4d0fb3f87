"""Whether the layers of another model can stand in a mix: of the same architecture, shapes and norms.

What files tell is checked before anything is loaded, the rest when both models are; ``norms`` says why norms are looked
at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.checkpoint import CONFIG, read_json, read_tensors
from pytest_quantgate.variants.headers import PLAIN_DTYPES
from pytest_quantgate.variants.norms import ROUNDING, SAME, check_norms, other_norms
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.stored import bits_in
from pytest_quantgate.variants.stored_fields import shown

if TYPE_CHECKING:
    import torch
    from torch import nn

ABOVE: Final = "give it another spec, or fp16, in a pattern of its own above"
"""What to do about a layer that its spec leaves as it is."""

_ARCHITECTURE: Final = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
)
_MATRIX: Final = 2
_SIDES: Final = ("out_features", "in_features")


def check_files(part: VariantSpec, own: Path, folder: Path, names: Collection[str]) -> None:
    """Refuses a part whose model cannot lend its layers to that of the mix, as far as files tell.

    Args:
        part: A spec with a model of its own.
        own: The folder of that model.
        folder: That of the model of the whole.
        names: The layers that the map gives to the part; none where the files do not tell them.

    Raises:
        SpecError: They are of different architectures, a layer has another shape, or is not quantized in a checkpoint
            that otherwise is; or norms differ by more than rounding.
        ModelError: A file cannot be read.
    """
    ours, theirs = read_json(folder / CONFIG), read_json(own / CONFIG)
    for key in _ARCHITECTURE:
        one, other = ours.get(key), theirs.get(key)
        if isinstance(one, int | str) and isinstance(other, int | str) and one != other:
            raise SpecError(
                f"its model is another one than that of the mix: its {key} is {shown(other)}, and not {shown(one)}",
                hint=SAME,
            )
    shapes, wanted = _shapes(own), _shapes(folder)
    for name in names:
        if name in shapes and name in wanted:
            _check_shape(name, shapes[name], wanted[name])
    held = bits_in(own) if part.name == STORED else None
    left = [] if held is None else [name for name in names if name not in held]
    if left:
        raise SpecError(f"it leaves {some(left)} as it is, and the map gives it to {part}", hint=ABOVE)
    check_norms(own, folder)


def check_loaded(donor: nn.Module, model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses layers that do not fit the model that they are moved to.

    Args:
        donor: The model of the part, as its backend loaded it.
        model: That of the whole, on the same device.
        shapes: ``(out_features, in_features)`` that the whole has of each layer that is to be moved.

    Raises:
        SpecError: A layer is not there or has another shape, or norms differ by more than rounding.
    """
    known: dict[str, Any] = dict(donor.named_modules())
    for name, wanted in shapes.items():
        layer = known.get(name)
        if layer is None:
            raise SpecError(f"its model has no layer {name}", hint=SAME)
        # a backend of another plugin may not say what its layers take
        found = tuple(getattr(layer, side, count) for side, count in zip(_SIDES, wanted, strict=True))
        _check_shape(name, found, wanted)
    norms = dict(donor.named_parameters())
    for name, ours in model.named_parameters():
        if ours.dim() != 1 or not name.endswith(".weight"):
            continue
        theirs = norms.get(name)
        if theirs is None or theirs.shape != ours.shape or _far(theirs, ours):
            raise other_norms(name)


def some(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each matrix that a checkpoint holds as it is."""
    return {
        tensor.name.removesuffix(".weight"): tensor.shape
        for tensor in read_tensors(folder)
        if len(tensor.shape) == _MATRIX and tensor.dtype in PLAIN_DTYPES
    }


def _check_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        sizes = [" x ".join(map(str, each)) for each in (found, wanted)]
        raise SpecError(f"{name} of its model is {sizes[0]}, and {sizes[1]} in the model of the mix", hint=SAME)


def _far(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two norms differ by more than rounding."""
    return float((one.float() - other.float()).norm()) > ROUNDING * float(other.float().norm())
