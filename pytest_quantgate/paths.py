"""Where the project keeps what it may throw away and make again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from platformdirs import user_cache_path

from pytest_quantgate.errors import UsageError

CACHE_VARIABLE = "QUANTGATE_CACHE_DIR"


def cache_folder() -> Path:
    """The user's cache folder: ``$QUANTGATE_CACHE_DIR``, or the platform's own place.

    It holds converted models, remembered digests and completions. It is not created here.

    Raises:
        UsageError: When ``$QUANTGATE_CACHE_DIR`` is no path that could be created.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if not chosen:
        return user_cache_path("pytest-quantgate")
    hint = "set it to a folder that can be written, or unset it"
    try:
        folder = Path(chosen).expanduser()
        folder.lstat()
    except RuntimeError as error:  # ~name, and there is no such user
        raise UsageError(str(error), where=CACHE_VARIABLE, hint=hint) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # whatever else is wrong may be mended before it is used
            raise UsageError("the path is too long", where=CACHE_VARIABLE, hint=hint) from None
    return folder
