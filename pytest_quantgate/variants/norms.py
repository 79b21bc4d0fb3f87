"""Whether two checkpoints have the same norms, told from their files; no torch.

Some quantizers (AWQ, SmoothQuant) scale norms together with the layers behind them: such layers mean nothing behind
others. Only norms are read, by the names that they have in the files. What is called otherwise in the one than in the
other is compared when both models are loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.checkpoint import weight_files
from pytest_quantgate.variants.headers import TensorHeader, read_headers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ROUNDING: Final = 0.01
"""By how much norms may differ, relative: bfloat16 takes a fifth of it, and scaling for a quantizer far more."""

SAME: Final = "name one that was made from the same model as the whole mix"
"""What to do about a part that does not fit."""

_MOST: Final = 1 << 20  # numbers: no model is as wide, and a stranger's file may say what it likes
_DTYPES: Final = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}


def check_norms(own: Path, folder: Path) -> None:
    """Refuses a checkpoint whose norms are not those of another, as far as files tell.

    Args:
        own: A checkpoint folder.
        folder: The one that it is compared with.

    Raises:
        SpecError: A norm differs by more than rounding.
        ModelError: A file cannot be read.
    """
    theirs = _norms(own)
    for name, (path, tensor) in _norms(folder).items():
        if name in theirs and _far(_numbers(*theirs[name]), _numbers(path, tensor)):
            raise other_norms(name)


def other_norms(name: str) -> SpecError:
    """The error for a part of a mix whose norms are not those of the whole.

    Args:
        name: Of one that differs.
    """
    return SpecError(
        f"its norms are not those of the model of the mix, such as {name}: its layers were scaled together with them, "
        "as AWQ and SmoothQuant do, or trained on",
        hint=f"gate it as it is, without a mix; or {SAME}, and quantized without scaling",
    )


def _norms(folder: Path) -> dict[str, tuple[Path, TensorHeader]]:
    """The vectors of weights that a checkpoint holds as they are, and where: linear layers have none but biases."""
    return {
        tensor.name: (path, tensor)
        for path in weight_files(folder)
        for tensor in read_headers(path)
        if tensor.name.endswith(".weight") and len(tensor.shape) == 1
        if tensor.dtype in _DTYPES and tensor.count <= _MOST
    }


def _numbers(path: Path, tensor: TensorHeader) -> Floats:
    import numpy as np  # a run without mixes of several models need not wait for it

    try:
        with path.open("rb") as file:
            file.seek(tensor.begin)
            data = file.read(tensor.nbytes)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) != tensor.nbytes:
        raise ModelError("the file became shorter while it was read", where=str(path), hint="run again")
    read = np.frombuffer(data, dtype=_DTYPES[tensor.dtype])
    if tensor.dtype == "BF16":  # the first half of a float32
        read = (read.astype("<u4") << 16).view("<f4")
    return read.astype(np.float64)


def _far(one: Floats, other: Floats) -> bool:
    """Whether two norms differ by more than rounding."""
    import numpy as np  # as above

    if one.shape != other.shape:
        return True
    return bool(np.linalg.norm(one - other) > ROUNDING * np.linalg.norm(other))
