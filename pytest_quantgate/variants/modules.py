"""The module names that ``skip=`` takes: what they cover, and the error for one that covers nothing; and patterns."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pytest_quantgate.errors import SpecError, nearest
from pytest_quantgate.variants.headers import TensorHeader

# the layout of an ordinary decoder, in which transformers keeps the checkpoint's names
_PLAIN_LAYOUT = ("model.embed_tokens.", "model.layers.", "model.norm.", "lm_head.")
HEAD = "lm_head"
"""The output head of such a model; it is not in the files when it is tied to the embedding."""

EMBEDDING = "embed_tokens"
"""The last name of its embedding."""

_MATRIX = 2


def covers(skip: str, module: str) -> bool:
    """Whether a name given to ``skip=`` stands for a module: its full name, or that of one above it, ends in it."""
    return f"{skip}." in f"{module}."


def matches(pattern: str, module: str) -> bool:
    """Whether a pattern stands for a module: as ``covers`` says, ``*`` being any part of one name between dots."""
    if "*" not in pattern:
        return covers(pattern, module)
    wanted, names = f"*{pattern}".split("."), module.split(".")
    return any(all(map(fnmatchcase, names[begin:], wanted)) for begin in range(len(names) - len(wanted) + 1))


def check_skips(skips: Iterable[str], modules: Iterable[str], spec: str) -> None:
    """Refuses names that cover no module.

    Args:
        skips: Names given to ``skip=``.
        modules: Full names of the model's modules.
        spec: The variant, for the message.

    Raises:
        SpecError: With the nearest module name.
    """
    known = sorted(modules)
    for skip in skips:
        if not any(covers(skip, module) for module in known):
            last_parts = {module.rpartition(".")[2] for module in known}
            near = get_close_matches(skip, known, n=1) or [part for part in last_parts if not part.isdigit()]
            raise SpecError(f"the model has no module {skip!r}", where=f"variant {spec!r}", hint=nearest(skip, near))


def quantized_layers(skipped: Iterable[str]) -> str:
    """Which layers a quantizer of transformers replaces, for summaries.

    Args:
        skipped: Names given to ``skip=``.
    """
    left = " and ".join(filter(None, ["the output head", ", ".join(skipped)]))
    return f"all linear layers except {left}"


def modules_of(tensors: Iterable[TensorHeader]) -> frozenset[str]:
    """The model's modules by the names of its tensors; empty where transformers may know them by others.

    transformers joins experts, and renames some architectures, while it loads them.
    """
    found = {HEAD}
    for tensor in tensors:
        if not tensor.name.startswith(_PLAIN_LAYOUT) or "expert" in tensor.name or "moe" in tensor.name:
            return frozenset()
        module = tensor.name
        while module := module.rpartition(".")[0]:
            found.add(module)
    return frozenset(found)


def columns_of(tensors: Iterable[TensorHeader], skipped: Iterable[str]) -> dict[str, int]:
    """Columns of the linear layers that a quantizer replaces, as ``shapes_of`` has them."""
    return {name: columns for name, (_, columns) in shapes_of(tensors, skipped).items()}


def shapes_of(tensors: Iterable[TensorHeader], skipped: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Rows and columns of the linear layers that a quantizer replaces, by name; empty where ``modules_of`` is.

    Args:
        tensors: All tensors of a plain checkpoint.
        skipped: Names given to ``skip=``.
    """
    tensors, left = tuple(tensors), (HEAD, *skipped)
    if not modules_of(tensors):
        return {}
    found = {}
    for tensor in tensors:
        module, _, kind = tensor.name.rpartition(".")
        own = module.rpartition(".")[2]
        if kind != "weight" or len(tensor.shape) != _MATRIX or own == EMBEDDING or "norm" in own:
            continue  # some models have a norm for each head, in one matrix
        if not any(covers(skip, module) for skip in left):
            found[module] = (tensor.shape[0], tensor.shape[1])
    return found
