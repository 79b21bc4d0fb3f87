"""Where the project keeps what it may throw away and make again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "QUANTGATE_CACHE_DIR"


def cache_folder() -> Path:
    """The user's cache folder: ``$QUANTGATE_CACHE_DIR``, or the platform's own place.

    It holds converted models, remembered digests and completions. It is not created here.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("pytest-quantgate")
