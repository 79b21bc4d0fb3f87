"""The logits along given answers, whole, as the engine reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_quantgate.generation.fidelity import Known, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.variants.variant import LoadedModel


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
