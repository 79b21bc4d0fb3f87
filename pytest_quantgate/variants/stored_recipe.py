"""What llm-compressor writes beside a checkpoint: which modifiers made it, and by which data, where it says so.

It is shown to people and decides nothing: what cannot be read is not stated, and no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_quantgate.cases.nodes import Node
from pytest_quantgate.cases.problems import Problems
from pytest_quantgate.cases.yaml_nodes import read_yaml
from pytest_quantgate.variants.data_name import data_name
from pytest_quantgate.variants.stored_config import Storage
from pytest_quantgate.variants.stored_fields import LONGEST

RECIPE: Final = "recipe.yaml"

_MOST_BYTES: Final = 1 << 16  # a recipe has a few hundred
_MOST_SHOWN: Final = 8
_MODIFIER: Final = re.compile(r"\w{1,60}Modifier", re.ASCII)
# QuantizationModifier needs data for static activations only, which the configuration tells
_CALIBRATED: Final = ("AWQModifier", "AutoRoundModifier", "GPTQModifier", "SmoothQuantModifier", "SparseGPTModifier")
_SAYS_SO: Final = "requires_calibration_data"


def with_recipe(storage: Storage, folder: Path) -> Storage:
    """How a checkpoint's weights are stored, with what its recipe adds: its maker, and its calibration.

    Args:
        storage: What its configuration tells.
        folder: Where the recipe is, if there is one.
    """
    document = _read(folder / RECIPE)
    mappings = [] if document is None else list(_mappings(document))
    made: dict[str, None] = {}
    calibrated = storage.calibrated
    for mapping in mappings:
        for name, node in mapping.items():
            if _MODIFIER.fullmatch(name):
                arguments = node.value if isinstance(node.value, dict) else {}
                made[f"{name} {_text(arguments, 'scheme')}".strip()] = None
                calibrated |= _looks_at_data(name, arguments)
    if not made:
        return storage
    shown = [*list(made)[:_MOST_SHOWN], *(["..."] if len(made) > _MOST_SHOWN else [])]
    named = (data_name(_text(mapping, "dataset")) for mapping in mappings)
    return replace(
        storage,
        maker=f"llm-compressor: {', '.join(shown)}",
        calibration=next(filter(None, named), ""),
        calibrated=calibrated,
    )


def _read(path: Path) -> Node | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        return read_yaml(content.decode(), Problems(str(path))) if len(content) <= _MOST_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None


def _mappings(node: Node) -> Iterator[Mapping[str, Node]]:
    """All mappings of a document, in its order."""
    if isinstance(node.value, dict):
        yield node.value
        for inner in node.value.values():
            yield from _mappings(inner)
    elif isinstance(node.value, list):
        for inner in node.value:
            yield from _mappings(inner)


def _looks_at_data(name: str, arguments: Mapping[str, Node]) -> bool:
    """Whether a modifier needs calibration, as it says itself or as its name does."""
    said = arguments[_SAYS_SO].value if _SAYS_SO in arguments else None
    return said if isinstance(said, bool) else name in _CALIBRATED


def _text(mapping: Mapping[str, Node], key: str) -> str:
    """A short text; empty where there is none."""
    value = mapping[key].value if key in mapping else None
    return value if isinstance(value, str) and len(value) <= LONGEST else ""
