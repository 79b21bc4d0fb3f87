"""``gptq:4bit-g128``: GPTQ by its paper's algorithm, calibrated on text that every Python carries.

Quantizing takes minutes and more, so its result is kept in the user's cache folder, as a checkpoint in the layout
that optimum and gptqmodel write, under the digest of all that it depends on. It is made when it is first loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants import checkpoint, gptq_calibration
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.digests import file_digest
from pytest_quantgate.variants.made import Recipe, is_whole, made_folder
from pytest_quantgate.variants.modules import quantized_layers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_VERSION: Final = 1  # raised when the same model and spec give other weights than before
_SCALE_BITS: Final = 16
_OVER: Final = 1.0  # bits that small layers may take beyond what large ones do
_WAIT_SECONDS: Final = 24 * 3600  # a large model on a CPU takes hours
_KERNELS: Final = "gptqmodel"
_FLOAT_BYTES: Final = 4
_FP16_BYTES: Final = 2


class GptqBackend:
    """Quantizes by GPTQ, once, and loads the result."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        bits, group = spec.bits_and_group
        skipped = spec.names("skip")
        stored = bits + (_SCALE_BITS + bits) / group
        return Description(
            summary=(
                f"{bits}-bit GPTQ, one scale for {group} weights, calibrated on {gptq_calibration.SOURCE}: "
                f"{quantized_layers(skipped)}"
            ),
            stored_bits=stored,
            max_bits=stored + _OVER,
            cuda_dtype="float16",
            dense=True,
            skipped=skipped,
            bits=bits,
            identity={"calibration": gptq_calibration.digest(), "gptq": str(_VERSION), **_kernels()},
            native_requires={_KERNELS: _KERNELS},
            head=False,
        )

    def inspect(self, spec: VariantSpec, folder: Path) -> Description:
        """What the spec means for a model: calibrating it needs more memory than running it quantized.

        Raises:
            ModelError: The checkpoint cannot be read.
        """
        tensors = checkpoint.read_tensors(folder)
        widths = [tensor.shape[-1] for tensor in tensors if "embed" in tensor.name and tensor.shape]
        activations = gptq_calibration.SEQUENCES * gptq_calibration.LENGTH * max(widths, default=0)
        weights = sum(tensor.count for tensor in tensors)
        needed = _FP16_BYTES * weights + _FLOAT_BYTES * activations
        return replace(self.describe(spec), loading_bytes=needed)

    def make(self, spec: VariantSpec, folder: Path, placement: Placement, note: Callable[[str], None]) -> Path:
        """The checkpoint of a spec, made when that was not done yet.

        Args:
            spec: A spec of this backend.
            folder: The plain checkpoint.
            placement: Where to compute.
            note: Told how far it has come.

        Raises:
            SpecError: A skipped module that the model does not have.
            ModelError: It cannot be made, or not be written.
        """
        bits, group = spec.bits_and_group

        def write(target: Path) -> dict[str, str]:
            from pytest_quantgate.variants.gptq_making import Plan, make  # imports torch

            note(f"{spec.name}:{spec.scheme}: quantizing the model; this happens once and takes minutes or longer")
            make(folder, target, Plan(bits, group, spec.names("skip"), placement.device, note))
            return {}

        return made_folder(_recipe(spec, folder, placement), note, write)

    def unmade(self, spec: VariantSpec, folder: Path, placement: Placement) -> Mapping[str, Path]:
        """The folder that the checkpoint of a spec will be kept in, by the spec; empty where it was made.

        Raises:
            ModelError: The plain checkpoint cannot be read.
        """
        recipe = _recipe(spec, folder, placement)
        return {} if is_whole(recipe) else {str(spec): recipe.folder}

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the checkpoint, packed.

        Raises:
            SpecError: As for ``make``.
            ModelError: As for ``make``; it does not load, or a file of it changed meanwhile.
        """
        made = self.make(spec, folder, placement, logging.getLogger(__name__).warning)
        model = _load(made, spec, placement)
        recipe = _recipe(spec, folder, placement)
        if not is_whole(recipe):  # its files are in no identity: the manifest alone tells
            raise ModelError(f"{recipe.what} changed while it was loaded", where=recipe.where, hint="run again")
        return model

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a packed layer's weight, zeros, scales and groups."""
        from pytest_quantgate.variants.packed_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Spreads packed layers out where kernels are dense, and brings the rest to the compute dtype."""
        from pytest_quantgate.variants.packed_loading import finish

        finish(model, placement)


def _kernels() -> dict[str, str]:
    """What native kernels would be of."""
    try:
        return {f"version:{_KERNELS}": version(_KERNELS)}
    except PackageNotFoundError:
        return {}


def _load(made: Path, spec: VariantSpec, placement: Placement) -> PreTrainedModel:
    from pytest_quantgate.variants.loading import load_pretrained  # imports torch
    from pytest_quantgate.variants.packed_loading import Packing, load_packed

    if placement.kernels == "native":
        import torch

        return load_pretrained(made, dtype=torch.float16, device=placement.device)
    return load_packed(made, Packing("gptq", spec.bits_and_group[0]), placement.device)


def _recipe(spec: VariantSpec, folder: Path, placement: Placement) -> Recipe:
    return Recipe(
        what="the GPTQ checkpoint",
        kind="gptq",
        digest=_ingredients(spec, folder, placement),
        version=_VERSION,
        wait_seconds=_WAIT_SECONDS,
        where=f"variant {str(spec)!r}",
    )


def _ingredients(spec: VariantSpec, folder: Path, placement: Placement) -> str:
    """Digest of what a checkpoint depends on: the model, the spec, the text, and what computes."""
    bits, group = spec.bits_and_group
    names = (checkpoint.CONFIG, checkpoint.GENERATION_CONFIG, *checkpoint.TOKENIZER_FILES)
    others = (folder / name for name in names if (folder / name).is_file())
    try:
        files = [*checkpoint.weight_files(folder), *others, *checkpoint.template_files(folder).values()]
        digests = {path.name: file_digest(path) for path in files}
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    return digest_of(
        {
            "model": digests,
            "bits": bits,
            "group": group,
            "skip": list(spec.names("skip")),
            "calibration": gptq_calibration.digest(),
            "version": _VERSION,
            "device": placement.device_type,
            "libraries": {name: version(name) for name in ("tokenizers", "torch", "transformers")},
        }
    )


BACKEND: Final = GptqBackend()
