"""Names of the data that a checkpoint was calibrated with: of a path on its maker's machine only the last part is told.

Reports travel further than a checkpoint's maker may have thought of.
"""

from __future__ import annotations

import re
from typing import Final

# an id on the hub has one slash, and is no path
_PATH: Final = re.compile(r"[/~.]|[A-Za-z]:[\\/]|[^\\]*\\|[^/]*/[^/]*/", re.DOTALL)


def data_name(text: str) -> str:
    """The name of a data set as it is; of a path, or an address, the last part."""
    return last_part(text) if _PATH.match(text) else text


def last_part(path: str) -> str:
    """The last part of a path of any system; empty where it has none."""
    return re.split(r"[\\/]", path.rstrip("\\/ \t\n"))[-1].strip()
