"""How the tensors of a GGUF file are stored: what its quantizer made of them, kept with the conversion."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_quantgate.errors import ModelError
from pytest_quantgate.printable import visible
from pytest_quantgate.variants.data_name import last_part
from pytest_quantgate.variants.stored_config import NOT_STATED
from pytest_quantgate.variants.stored_fields import LONGEST

_EMBEDDING = ("token_embd.weight",)
_HEAD = ("output.weight",)
_MATRIX = 2
_PLAIN = ("F32", "F16", "BF16", "F64")
_WEIGHED = re.compile(r"Q[2-6]_[01K]|IQ\d_\w+")  # types that llama.cpp makes by an importance matrix, given one
_MOST = 1 << 63
_AGAIN = "download or copy it again"
_IMATRIX = "quantize.imatrix."  # what llama.cpp's quantizer writes, and gguf has no names for
_COUNTED = ("entries", "chunks")


@dataclass(frozen=True, slots=True)
class Stored:
    """Tensors of one kind.

    Attributes:
        weights: Their weights.
        stored_bytes: What they take.
    """

    weights: int
    stored_bytes: int

    @property
    def bits(self) -> float:
        """Bits of a weight, scales included; 0 where there is none."""
        return 8 * self.stored_bytes / self.weights if self.weights else 0.0


@dataclass(frozen=True, slots=True)
class GgufTypes:
    """What a GGUF file is made of.

    Attributes:
        name: The file's own name for its mixture, such as ``Q4_K_M``; empty where it has none.
        types: Number of tensors of each type.
        layers: Matrices of the layers.
        embedding: The embedding.
        head: The output head; no weights where the embedding stands for it.
        whole: All tensors.
        calibration: What its importance matrix was made of, as the file says; empty where it does not.
    """

    name: str
    types: Mapping[str, int]
    layers: Stored
    embedding: Stored
    head: Stored
    whole: Stored
    calibration: str = ""

    @property
    def quantized(self) -> bool:
        """Whether anything is."""
        return any(each not in _PLAIN for each in self.types)

    @property
    def main_bits(self) -> int | None:
        """Bits of a weight by the name, without scales: 4 for ``Q4_K_M``; None where it names none."""
        found = re.match(r"(?:MXFP|NVFP|I?Q|TQ)(\d)", self.name)
        return int(found[1]) if found and self.quantized else None

    @property
    def summary(self) -> str:
        """One line for people, a stranger's words in it made visible."""
        types = ", ".join(f"{count} {name}" for name, count in sorted(self.types.items()))
        told = f"{self.whole.bits:.2f} bits per weight ({types} tensors), made elsewhere"
        not_stated = NOT_STATED if any(map(_WEIGHED.fullmatch, self.types)) else ""
        calibrated = f"calibrated with {self.calibration}" if self.calibration else not_stated
        return visible(f"GGUF {self.name or 'mixture'}: {told}{f'; {calibrated}' if calibrated else ''}")

    def to_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        parts = {part: getattr(self, part) for part in ("layers", "embedding", "head", "whole")}
        return {
            "name": self.name,
            "types": dict(self.types),
            "calibration": self.calibration,
            **{part: [each.weights, each.stored_bytes] for part, each in parts.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GgufTypes:
        """Reads back what ``to_json`` gave.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: It is something else.
        """
        parts = {part: Stored(*map(_counted, value[part])) for part in ("layers", "embedding", "head", "whole")}
        types = {str(name): _counted(count) for name, count in value["types"].items()}
        # conversions of the first releases have none, and get it where their folder can be written
        return cls(str(value["name"]), types, **parts, calibration=str(value.get("calibration", "")))


def _counted(value: object) -> int:
    """A number of tensors, weights or bytes."""
    if type(value) is not int or not 0 <= value < _MOST:
        msg = "not a number of tensors, weights or bytes"
        raise ValueError(msg)
    return value


def read_types(source: Path) -> GgufTypes:
    """Reads the headers of a GGUF file.

    Raises:
        ModelError: It is damaged.
    """
    import gguf  # imports numpy, and is needed once a file

    try:
        reader = gguf.GGUFReader(str(source))
        found = [
            (str(each.name), each.tensor_type.name, int(each.n_elements), int(each.n_bytes), len(each.shape))
            for each in reader.tensors
        ]
        field = reader.get_field("general.file_type")
        number = None if field is None else int(field.contents())
        calibration = _calibration(reader)
    except Exception as error:  # noqa: BLE001  (a damaged file fails in many ways)
        raise ModelError(
            f"its headers cannot be read: {type(error).__name__}: {error}", where=str(source), hint=_AGAIN
        ) from None
    names = {each.value: each.name for each in gguf.LlamaFileType}
    types: dict[str, int] = defaultdict(int)
    sums: dict[str, list[int]] = {part: [0, 0] for part in ("layers", "embedding", "head", "whole")}
    for name, kind, weights, size, dimensions in found:
        types[kind] += 1
        part = "embedding" if name in _EMBEDDING else "head" if name in _HEAD else "layers"
        for each in ("whole", *((part,) if dimensions >= _MATRIX else ())):
            sums[each][0] += weights
            sums[each][1] += size
    title = names.get(number, "") if number is not None else ""
    title = title.removeprefix("MOSTLY_").removeprefix("ALL_")
    return GgufTypes(
        "" if title == "GUESSED" else title,
        dict(types),
        **{part: Stored(*each) for part, each in sums.items()},
        calibration=calibration,
    )


def _calibration(reader: Any) -> str:
    """What the importance matrix was made of: ``wiki.txt (importance matrix: m.gguf, 224 entries, 80 chunks)``."""
    dataset, matrix = _file_name(reader, "dataset"), _file_name(reader, "file")
    counts = [f"{count:,} {what}" for what in _COUNTED if (count := _count(reader, f"{what}_count")) is not None]
    about = ", ".join([matrix, *counts] if matrix else counts)
    if not dataset:
        return f"an importance matrix ({about})" if about else ""
    return f"{dataset} (importance matrix: {about})" if about else dataset


def _file_name(reader: Any, key: str) -> str:
    """The last part of a path on its maker's machine, shortened from the left; empty where there is none."""
    field = reader.get_field(f"{_IMATRIX}{key}")
    if field is None or _kind(field) != "STRING":
        return ""
    path = field.parts[-1][-LONGEST:].tobytes().decode(errors="replace")
    return last_part(path)


def _count(reader: Any, key: str) -> int | None:
    """A number that is not negative; None where there is none."""
    field = reader.get_field(f"{_IMATRIX}{key}")
    if field is None or not re.fullmatch(r"U?INT\d+", _kind(field)):
        return None
    value = int(field.contents())
    return value if value >= 0 else None


def _kind(field: Any) -> str:
    return "+".join(each.name for each in field.types)
