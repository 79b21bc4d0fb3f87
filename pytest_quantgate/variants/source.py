"""From what the user calls a model to a checkpoint folder on this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_quantgate.errors import ModelError, nearest
from pytest_quantgate.variants.checkpoint import check_folder
from pytest_quantgate.variants.embedded import EMBEDDED, embedded_file
from pytest_quantgate.variants.gguf import converted_folder, folder_if_converted
from pytest_quantgate.variants.seen import looks_like_a_path
from pytest_quantgate.variants.stored_recipe import RECIPE

Note = Callable[[str], None]
"""Takes one line for the user about something that takes long or was repaired."""

DEFAULT_MODEL = "smollm2"

_HUB_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", RECIPE]
_HUB_SKIPS = ["*/*", "consolidated*"]  # other formats of the same weights


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that is on this machine, whole.

    Attributes:
        name: What the user calls it.
        folder: Checkpoint folder with safetensors weights, tokenizer and chat template.
        revision: Commit of a model from the hub; None for others, whose files tell them apart.
    """

    name: str
    folder: Path
    revision: str | None = None


def resolve_model(text: str, *, note: Note | None = None) -> ModelSource:
    """Finds a model and checks that it is whole; weights are not loaded.

    Args:
        text: An alias (``smollm2``), a folder, a ``.gguf`` file, or a hub id (``org/name``). A GGUF file is
            converted once; a hub model is downloaded once.
        note: Told when something takes long or was repaired; by default it is logged.

    Returns:
        The model's folder.

    Raises:
        ModelError: It is not there, not whole, or of a kind that is refused; the message says what to do.
    """
    note = note or logging.getLogger(__name__).warning
    if text in EMBEDDED:
        source = ModelSource(text, converted_folder(embedded_file(text), note))
    elif path := _existing_path(text):
        source = ModelSource(text, path if path.is_dir() else _from_file(path, note))
    elif looks_like_a_path(text) or not _HUB_ID.fullmatch(text):
        raise ModelError(
            "no such model: not a folder, a .gguf file or a hub id", where=text or "--quant-model", hint=_KINDS
        )
    else:
        source = _from_hub(text)
    check_folder(source.folder)
    return source


def folder_at_hand(text: str, revision: str | None = None) -> Path | None:
    """The folder of a model that is on this machine already; nothing is downloaded or converted for it.

    Args:
        text: As ``resolve_model`` takes it.
        revision: The commit of a model from the hub; None for the one that was used last.

    Returns:
        None when the model, or that commit of it, is not here.

    Raises:
        QuantgateError: The file is damaged, or the user's cache folder cannot be told.
    """
    if text in EMBEDDED:
        return folder_if_converted(embedded_file(text))
    if path := _existing_path(text):
        if path.is_file():  # a pipe would be waited for
            return folder_if_converted(path)
        return path if path.is_dir() else None
    if looks_like_a_path(text) or not _HUB_ID.fullmatch(text):
        return None
    from huggingface_hub import snapshot_download  # see below

    try:
        return Path(snapshot_download(text, revision=revision, allow_patterns=_HUB_FILES, local_files_only=True))
    except Exception:  # noqa: BLE001  (HTTP, network, cache and validation errors share no base)
        return None


def model_at_hand(text: str) -> ModelSource | None:
    """A model that is on this machine already, as ``folder_at_hand`` finds it; whether it is whole is not checked.

    Args:
        text: As ``resolve_model`` takes it.

    Returns:
        None when the model is not here.

    Raises:
        QuantgateError: As for ``folder_at_hand``.
    """
    folder = folder_at_hand(text)
    if folder is None:
        return None
    from_hub = text not in EMBEDDED and _existing_path(text) is None
    return ModelSource(text, folder, revision=folder.name if from_hub else None)


def from_anywhere(text: str) -> str:
    """What a model can be called in any folder: of a relative path, the absolute one.

    Args:
        text: As ``resolve_model`` takes it.
    """
    path = None if text in EMBEDDED else _existing_path(text)
    return text if path is None else str(path)


_KINDS = f"a model is an alias ({', '.join(EMBEDDED)}), a folder, a .gguf file, or a hub id like org/name"


def _existing_path(text: str) -> Path | None:
    try:
        path = Path(text).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # not there, no such user, or no path at all
        return None
    return path if text.strip() else None


def _from_file(path: Path, note: Note) -> Path:
    if path.suffix.lower() != ".gguf":
        raise ModelError(
            "a file that is not GGUF", where=str(path), hint="name the folder that holds the model's files"
        )
    return converted_folder(path, note)


def _from_hub(name: str) -> ModelSource:
    from huggingface_hub import snapshot_download  # 0.2 s that other sources need not pay

    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_SKIPS))
    except Exception as error:  # HTTP, network, cache and validation errors share no base
        alias = f"; or {nearest(name, EMBEDDED)}" if "/" not in name else ""
        raise ModelError(
            f"the model is not on this machine and the hub did not give it: {message_of(error)}",
            where=name,
            hint=f"check the name and the network, log in with `hf auth login` if it is gated, or name a folder{alias}",
        ) from error
    return ModelSource(name, folder, revision=folder.name)


def message_of(error: Exception) -> str:
    """The first line of an exception that says something, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
