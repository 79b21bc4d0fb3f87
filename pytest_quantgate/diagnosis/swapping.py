"""Modules exchanged for a while between two models in memory. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from pytest_quantgate.errors import ModelError


@contextmanager
def swapped(model: nn.Module, donor: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """Let two models of one architecture exchange modules; both are as they were afterwards, whatever happens.

    Nothing is copied. While it lasts the donor holds the model's modules, so it is not what it was either.

    Args:
        model: One model.
        donor: The other; on the same device, in the same compute dtype.
        names: Full names of modules; one that lies in another of them goes with it.

    Raises:
        ModelError: One of the models has no module of such a name; nothing was exchanged.
    """
    # A name sorts before those of the modules in it: these are where they belong by the time that they are reached.
    pairs = [(name, _module(model, name), _module(donor, name)) for name in sorted(set(names))]
    try:
        for name, own, others in pairs:
            model.set_submodule(name, others)
            donor.set_submodule(name, own)
        yield
    finally:
        for name, own, others in pairs:
            model.set_submodule(name, own)
            donor.set_submodule(name, others)


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ModelError(
            f"there is no module {name!r} to exchange",
            where=type(model).__name__,
            hint="compare variants of one model, loaded by backends that keep its modules' names",
        ) from None
