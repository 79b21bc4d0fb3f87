"""``ruin:2bit``, ``ruin:zeroed-layer``, ``ruin:shuffled-head``: candidates that are broken on purpose.

A suite that cannot see one of these could not see real damage either. They need no library beyond torch, and are no
quantizers: nothing is stored in fewer bits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.plain import PlainBackend
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_SEED: Final = 0
_WHOLE: Final = VariantSpec("fp16")  # what is broken

_KINDS: Final = {
    "2bit": "every weight matrix except embeddings and the output head rounded to 2 bits, in groups of 64",
    "zeroed-layer": "the first decoder layer adds nothing",
    "shuffled-head": "the rows of the output head in another order",
}


class RuinBackend(PlainBackend):
    """Loads a checkpoint as ``fp16`` does, and breaks it."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means.

        Raises:
            SpecError: It does not name exactly one kind of damage.
        """
        kind = _kind(spec)
        bits = 2 if kind == "2bit" else None
        return replace(super().describe(_WHOLE), summary=f"broken on purpose: {_KINDS[kind]}", bits=bits)

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights and breaks them."""
        import torch

        model = super().load(_WHOLE, folder, placement)
        with torch.no_grad():
            {"2bit": _round, "zeroed-layer": _silence, "shuffled-head": _shuffle}[_kind(spec)](model)
        return model


def _kind(spec: VariantSpec) -> str:
    kinds = [kind for kind in _KINDS if spec.has(kind)]
    if len(kinds) != 1:
        wanted = ", ".join(f"ruin:{kind}" for kind in _KINDS)
        raise SpecError("ruin needs one kind of damage", where=f"variant {str(spec)!r}", hint=f"one of {wanted}")
    return kinds[0]


def _round(model: Any) -> None:
    from torch import nn

    from pytest_quantgate.variants.rounding import round_to_nearest  # imports torch

    head = model.get_output_embeddings()
    for module in model.modules():
        if module is not head and not isinstance(module, nn.Embedding):
            for matrix in _matrices(module):
                matrix.copy_(round_to_nearest(matrix, bits=2))


def _silence(model: Any) -> None:
    """Zero all that the first block multiplies by and adds: what reaches it passes by unchanged."""
    from torch import nn

    blocks = next(module for module in model.get_decoder().modules() if isinstance(module, nn.ModuleList))
    for module in blocks[0].modules():
        if _matrices(module):
            for parameter in module.parameters(recurse=False):
                parameter.zero_()


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    """What a module multiplies by; not every model does that in a linear layer of torch (GPT-2, joined experts)."""
    return [parameter for parameter in module.parameters(recurse=False) if parameter.dim() > 1]


def _shuffle(model: Any) -> None:
    """Give each token the output row of another; an embedding that was tied to the head stays as it is."""
    import torch
    from torch import nn

    head = model.get_output_embeddings()
    order = torch.randperm(head.weight.shape[0], generator=torch.Generator().manual_seed(_SEED))
    head.weight = nn.Parameter(head.weight[order.to(head.weight.device)].clone(), requires_grad=False)


BACKEND: Final = RuinBackend()
