"""What goes through a module, shown or exchanged for a while. Imports torch: import it only to run a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def leaving(module: nn.Module, take: Callable[[Any], None]) -> Iterator[None]:
    """Shows what a module gives."""
    handle = module.register_forward_hook(lambda _, __, output: take(output))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def entering(module: nn.Module, take: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """Shows the states that a module is given."""
    handle = module.register_forward_pre_hook(lambda _, inputs: take(inputs[0]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def given(module: nn.Module, states: torch.Tensor) -> Iterator[None]:
    """Gives a module other states than those that reach it."""

    def give(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        reached = inputs[0]
        return (states.to(reached.device, reached.dtype), *inputs[1:])

    handle = module.register_forward_pre_hook(give)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def passed_by(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Lets modules hand on what they are given. The modules stay, since models look at their attributes."""
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(run_by(module, _handed_on))
        yield


@contextmanager
def run_by(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Lets something else compute what a module gives; its hooks stay."""
    own = vars(module).get("forward")  # what some libraries put before the class's
    try:
        module.forward = forward
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _handed_on(states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    return states
