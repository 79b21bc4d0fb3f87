"""Given answers, and the logits along them, whole, as the engine reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.fidelity import Known, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.variants.variant import LoadedModel
from tests.tiny_model import WORDS


class Keeping:
    """Keeps all logits."""

    def __init__(self) -> None:
        self._stretches: list[torch.Tensor] = []

    def take(self, logits: torch.Tensor) -> None:
        """Keep the next ones."""
        self._stretches.append(logits)

    def found(self) -> torch.Tensor:
        """All of them, ``(tokens, vocabulary)``."""
        return torch.cat(self._stretches)


def logits_along(loaded: LoadedModel, known: Sequence[Known]) -> dict[str, torch.Tensor]:
    """By request digest, the logits that predict the tokens of each answer."""
    found = along(loaded, known, lambda digests: {digest: Keeping() for digest in digests}, SilentProgress())
    return {digest: each for digest, each in found if isinstance(each, torch.Tensor)}


def known(models: dict[str, LoadedModel]) -> list[Known]:
    """Requests with made-up answers of one to twelve tokens."""
    texts = [" ".join(WORDS[7 * n : 7 * n + 1 + n % 9]) for n in range(12)]
    vocabulary = len(models["fp16"].tokenizer)
    return [
        Known(
            Request((Message("user", text),), 12), tuple((31 * n + 17 * t) % (vocabulary - 6) + 6 for t in range(n + 1))
        )
        for n, text in enumerate(texts)
    ]
