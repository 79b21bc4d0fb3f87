"""Loggers of libraries that speak, when they are imported or load, of kernels that nobody asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY = ("bitsandbytes", "torchao", "torch._library.triton", "torch.utils._pytree")


@contextmanager
def hushed() -> Iterator[None]:
    """Lets them say nothing below an error."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
