"""A checkpoint folder: which files it needs, which it has, and which it must not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.headers import PACKED_DTYPES, PLAIN_DTYPES, TensorHeader, read_headers
from pytest_quantgate.variants.stored_config import KNOWN, QUANTO_MAP, Storage, storage_of
from pytest_quantgate.variants.stored_layout import layers_of
from pytest_quantgate.variants.stored_recipe import with_recipe

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
CHAT_TEMPLATE = "chat_template.jinja"
_DEFAULT = "default"
_TEMPLATES = "additional_chat_templates"
_FOR_PROCESSORS = "chat_template.json"
# any one of these groups makes a tokenizer
VOCABULARIES = (("tokenizer.json",), ("tokenizer.model",), ("spiece.model",), ("vocab.json", "merges.txt"))
TOKENIZER_FILES = (
    *(name for group in VOCABULARIES for name in group),
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "tekken.json",  # read in place of a tokenizer.json that is not there
)

_ADAPTER = "adapter_config.json"
_OTHER_WEIGHTS = "transformers_weights"
_SHARD_NAME = re.compile(r"[\w.-]+\.safetensors")  # a file beside the index, nothing elsewhere
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_folder(folder: Path) -> None:
    """Checks that a folder is a whole checkpoint with weights that run no code when they are read.

    The weights' headers are read, not the weights. Whether transformers knows the architecture, or would need
    code from the checkpoint, shows when it is loaded.

    Args:
        folder: An existing folder.

    Raises:
        ModelError: Something is missing, damaged, of a kind that is refused, or not supported yet.
    """
    config = read_json(folder / CONFIG)
    storage = _storage(folder, config)
    if (folder / _ADAPTER).exists():
        raise ModelError(
            "this folder also holds an adapter, which would be put on the model unseen",
            where=str(folder / _ADAPTER),
            hint="move it and adapter_model.* to a folder of their own, and name that behind +lora:",
        )
    if config.get(_OTHER_WEIGHTS) is not None:
        raise ModelError(
            f"{_OTHER_WEIGHTS} names the file to load, and only {WEIGHTS} or its shards are checked and identified",
            where=str(folder / CONFIG),
            hint=f"remove the key, and name the weights {WEIGHTS}",
        )
    if (folder / GENERATION_CONFIG).exists():  # transformers goes on without one that it cannot read
        read_json(folder / GENERATION_CONFIG)
    _check_tokenizer(folder)
    tensors = read_tensors(folder)
    if storage is not None:
        layers_of(storage, tensors, str(folder))
        return
    strange = sorted({tensor.dtype for tensor in tensors} & PACKED_DTYPES)
    if strange or not any(tensor.dtype in PLAIN_DTYPES for tensor in tensors):
        raise ModelError(
            f"the weights are not plain floating point ({', '.join(strange) or 'none found'}), and {CONFIG} does not "
            "say how they are quantized",
            where=str(folder),
            hint=f"known are {KNOWN}; or name the unquantized model that they were made from",
        )


def storage_in(folder: Path) -> Storage | None:
    """How the weights of a checkpoint were quantized elsewhere; None for plain ones.

    Raises:
        ModelError: Its configuration is missing, wrong, or of a quantizer that is not known here.
    """
    return _storage(folder, read_json(folder / CONFIG))


def _storage(folder: Path, config: dict[str, Any]) -> Storage | None:
    quanto_map = read_json(folder / QUANTO_MAP) if (folder / QUANTO_MAP).is_file() else None
    storage = storage_of(config, quanto_map, str(folder / CONFIG))
    # no other quantizer writes one
    return with_recipe(storage, folder) if storage and storage.method == "compressed-tensors" else storage


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that transformers loads from a folder; all of them exist.

    Raises:
        ModelError: There are none, one is missing, or there are pickles only.
    """
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        raise _no_weights(folder)
    shards = read_json(index).get("weight_map")
    values = list(shards.values()) if isinstance(shards, dict) else []
    if not values or not all(isinstance(name, str) and _SHARD_NAME.fullmatch(name) for name in values):
        raise ModelError("does not map tensors to safetensors files beside it", where=str(index))
    paths = tuple(folder / name for name in sorted(set(values)))
    _require(folder, (path.name for path in paths if not path.is_file()), f"named in {WEIGHTS_INDEX}")
    return paths


def read_tensors(folder: Path) -> tuple[TensorHeader, ...]:
    """All tensors of a checkpoint, their files checked for being whole.

    Raises:
        ModelError: As for ``weight_files`` and ``read_headers``.
    """
    return tuple(tensor for path in weight_files(folder) for tensor in read_headers(path))


def chat_template_text(folder: Path) -> str | None:
    """The chat templates as text that changes when one of them does; None when there is none.

    Raises:
        ModelError: A file that may hold one is not what its name says.
    """
    files = template_files(folder)
    if list(files) == [_DEFAULT]:
        return read_text(files[_DEFAULT])
    if files:
        return json.dumps({name: read_text(path) for name, path in files.items()}, sort_keys=True)
    if (folder / TOKENIZER_CONFIG).is_file():
        template = read_json(folder / TOKENIZER_CONFIG).get("chat_template")
        if template:
            return json.dumps(template, sort_keys=True)
    return None


def template_files(folder: Path) -> dict[str, Path]:
    """The files of chat templates by the names that transformers gives them.

    ``default`` is used: of two, that in the folder of further ones.
    """
    own = {_DEFAULT: folder / CHAT_TEMPLATE} if (folder / CHAT_TEMPLATE).is_file() else {}
    return own | {path.stem: path for path in sorted((folder / _TEMPLATES).glob("*.jinja"))}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ModelError: The file is missing, cannot be read, or holds something else.
    """
    if not path.is_file():
        raise ModelError(f"{path.name} is missing", where=str(path.parent), hint=_WHAT_A_FOLDER_NEEDS)
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ModelError("is not valid JSON", where=str(path), hint="download or copy it again") from error
    if not isinstance(value, dict):
        raise ModelError("is not a JSON object", where=str(path), hint="download or copy it again")
    return value


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        ModelError: The file cannot be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read as text: {error}", where=str(path)) from error


_WHAT_A_FOLDER_NEEDS = f"a model folder holds {CONFIG}, {WEIGHTS} (or its index and shards) and tokenizer files"


def _check_tokenizer(folder: Path) -> None:
    if not any(all((folder / name).is_file() for name in group) for group in VOCABULARIES):
        _require(folder, [VOCABULARIES[0][0]], "the tokenizer")
    if (folder / TOKENIZER_CONFIG).is_file():
        read_json(folder / TOKENIZER_CONFIG)
    if not chat_template_text(folder) and (folder / _FOR_PROCESSORS).exists():  # else it is a base model
        raise ModelError(
            f"its chat template is in {_FOR_PROCESSORS}, which tokenizers do not read",
            where=str(folder),
            hint=f"put the template itself into {CHAT_TEMPLATE}",
        )


def _no_weights(folder: Path) -> ModelError:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        return ModelError(
            f"only pickle weights ({pickles[0]}), and loading a pickle can run any code",
            where=str(folder),
            hint="where you trust them, convert once: AutoModelForCausalLM.from_pretrained(FOLDER)"
            ".save_pretrained(NEW_FOLDER), then copy the tokenizer files",
        )
    return ModelError(f"{WEIGHTS} is missing", where=str(folder), hint=_WHAT_A_FOLDER_NEEDS)


def _require(folder: Path, missing: Iterable[str], why: str) -> None:
    if names := sorted(missing):
        raise ModelError(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing ({why})",
            where=str(folder),
            hint=_WHAT_A_FOLDER_NEEDS,
        )
