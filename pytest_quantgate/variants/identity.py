"""What makes two variants the same: everything that their answers depend on, known without importing torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants import checkpoint, vllm
from pytest_quantgate.variants.device import VLLM, Placement, hardware_of
from pytest_quantgate.variants.digests import file_digest
from pytest_quantgate.variants.registry import Description, Entry
from pytest_quantgate.variants.source import ModelSource
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.versions import version_of

ENGINE = "4"
"""Version of the decoding; raised whenever answers may change for the same variant and request."""

_LIBRARIES = ("tokenizers", "torch", "transformers")
_NONE = "none"
_DATE = "date"
_CLOCK = "strftime_now"  # what transformers calls the clock that it offers to templates


@dataclass(frozen=True, slots=True)
class Identity:
    """Facts that together identify a variant.

    Attributes:
        fields: Name to value, sorted by name.
    """

    fields: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the fields; it keys the cache and the goldens."""
        return digest_of(dict(self.fields))

    def with_schedule(self, schedule: str) -> Identity:
        """The identity of the same variant under a schedule that is not the usual one, which has no field."""
        return Identity(dict(sorted((dict(self.fields) | {"schedule": schedule}).items())))


def identify(
    source: ModelSource, spec: VariantSpec, placement: Placement, entry: Entry, description: Description
) -> Identity:
    """Computes the identity of a variant.

    Weights are identified by their digest, or for a hub model by name and commit; all else by digests of
    the files, the settings, and the versions of the libraries that compute.

    The device is its type, with the GPU's name on CUDA. On a CPU the processor is named in half precision only:
    in float32 processors with other instruction sets round differently too, but that rarely turns a token.

    A chat template that asks for the time puts today's date into every prompt, so the date becomes part of the
    identity of its model: it is answered anew each day.

    A backend of ours is identified by its name and ``ENGINE``; that of another plugin also by the versions of
    the distributions that provide it, and by its source files, which may be edited where they are installed from.

    Args:
        source: The model.
        spec: The variant.
        placement: How it is put to work.
        entry: The table's entry for the variant: its backend, and the libraries that it needs.
        description: What the spec means: what it depends on beyond its text, and further libraries.

    Raises:
        ModelError: A file cannot be read.
    """
    libraries = (*_LIBRARIES, *entry.requires.values(), *description.requires.values())
    fields = {
        "backend": entry.target,
        "compute_dtype": placement.compute_dtype,
        "device": hardware_of(placement),
        "engine": ENGINE,
        "kernels": placement.kernels,
        # what its paths hold is identified, and not what they are called
        "spec": str(replace(spec, model=None, lora=None)),
    }
    fields |= {f"version:{name}": version_of(name) for name in libraries}
    fields |= contents(source, entry, description)
    if placement.kernels == VLLM:
        fields |= vllm.identity_of(placement)
    fields |= today_in(source.folder)
    return Identity(dict(sorted(fields.items())))


def today_in(folder: Path) -> dict[str, str]:
    """The field of the date, where the chat template asks for the time; else none.

    Raises:
        ModelError: A file that may hold the template is not what its name says.
    """
    template = checkpoint.chat_template_text(folder)
    return {_DATE: _today()} if template and _CLOCK in template else {}


def contents(source: ModelSource, entry: Entry, description: Description) -> dict[str, str]:
    """The fields that files decide: those of the model, of its backend, and whatever else the spec names.

    They cost little a second time, since digests of large files are remembered.

    Args:
        source: The model.
        entry: As for ``identify``.
        description: As for ``identify``.

    Raises:
        ModelError: A file cannot be read.
    """
    folder = source.folder
    template = checkpoint.chat_template_text(folder)
    try:
        weights = f"{source.name}@{source.revision}" if source.revision else _files(_weights(folder))
        fields = {
            "chat_template": _NONE if template is None else hashlib.sha256(template.encode()).hexdigest(),
            "config": _files([folder / checkpoint.CONFIG]),
            "generation_config": _files([folder / checkpoint.GENERATION_CONFIG]),
            "tokenizer": _files(folder / name for name in checkpoint.TOKENIZER_FILES),
            "weights": weights,
        }
        fields |= third_party(entry.target)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    return fields | dict(description.identity)


def third_party(target: str) -> dict[str, str]:
    """What identifies the code of a backend, such as ``package.module:attribute``, that is not ours."""
    module = target.partition(":")[0]
    package = module.partition(".")[0]
    if package == __name__.partition(".")[0]:
        return {}
    versions = {f"version:{name}": version_of(name) for name in packages_distributions().get(package, ())}
    return versions | {"backend_files": _sources(module)}


def _sources(module: str) -> str:
    """One digest for the file of a module and, where it is part of a package, for all Python files beside and below."""
    file = Path(getattr(import_module(module), "__file__", None) or "")
    if not file.is_file():  # it is part of an archive, or no file at all
        return _NONE
    beside = file.parent.rglob("*.py") if "." in module or file.stem == "__init__" else ()
    paths = sorted({file, *beside})
    return digest_of([[path.relative_to(file.parent).as_posix(), file_digest(path)] for path in paths])


def _today() -> str:
    return datetime.now().astimezone().date().isoformat()


def _weights(folder: Path) -> list[Path]:
    return [folder / checkpoint.WEIGHTS_INDEX, *checkpoint.weight_files(folder)]


def _files(paths: Iterable[Path]) -> str:
    """One digest for those of the files that exist, names included."""
    found = [[path.name, file_digest(path)] for path in paths if path.is_file()]
    return digest_of(found) if found else _NONE
