"""A candidate that was quantized elsewhere, as a mix of which layers can be kept in higher precision; no torch.

Nothing can be kept back of a checkpoint that is loaded as it is. Its layers can stand in the plain model that the
reference is made of: ``mix:*=(stored@CHECKPOINT)@MODEL`` is the candidate, and a rule above keeps a layer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pytest_quantgate.diagnosis.protection import EVERYTHING, name_all
from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.checkpoint import storage_in
from pytest_quantgate.variants.mix import FP16
from pytest_quantgate.variants.mix_fit import check_files
from pytest_quantgate.variants.mix_map import MixMap
from pytest_quantgate.variants.spec import MIX, VariantSpec
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.stored import bits_in

if TYPE_CHECKING:
    from pytest_quantgate.variants.variant import Variant


def as_mix(candidate: Variant, reference: Variant, linear: Collection[str], head: str) -> VariantSpec:
    """The candidate as a mix: all layers that its checkpoint quantizes, in the model of the reference.

    Both models are named, so that the spec means the same beside any other options. Whatever the checkpoint leaves as
    it is comes from the reference's model, embeddings and norms among it; so does what a GGUF file holds of embedding
    and output head, which it quantizes too.

    Args:
        candidate: A ``stored`` variant.
        reference: The one that it is compared with.
        linear: Full names of all linear layers of the model.
        head: That of the output head.

    Raises:
        SpecError: It makes no such mix: the reference's model is quantized too, or another one than the candidate's,
            or the candidate's layers were scaled together with its norms.
        ModelError: A checkpoint cannot be read.
    """
    own, folder = candidate.model.folder, reference.model.folder
    if storage_in(folder) is not None:
        raise SpecError("that model is quantized itself")
    if ";" in f"{candidate.model.name}{reference.model.name}":
        raise SpecError("no spec can hold a path with a semicolon")
    held = bits_in(own)
    taken = [name for name in linear if name != head and (held is None or name in held)]
    if not taken:
        raise SpecError("the candidate's files call its layers by other names")
    part = VariantSpec(STORED, model=candidate.model.name)
    check_files(part, own, folder, taken)
    left = [name for name in linear if name != head and name not in taken]
    rules = [(name, FP16) for name in name_all(left, linear)]
    if held is not None and head in held:
        rules.append((head, part))
    mix = MixMap((*rules, (EVERYTHING, part)))
    spec = candidate.spec.here
    return VariantSpec(MIX, scheme=str(mix), model=reference.model.name, kv=spec.kv, lora=spec.lora)
