"""The time that reports and goldens are dated with."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from pytest_quantgate.errors import UsageError


def timestamp(environ: Mapping[str, str] = os.environ) -> str:
    """Now in UTC, as ISO 8601 to the second; ``SOURCE_DATE_EPOCH`` (seconds) stands in for now when set.

    Raises:
        UsageError: ``SOURCE_DATE_EPOCH`` is no whole number of seconds that has a date.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = time.gmtime(None if epoch is None else int(epoch))
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{epoch!r} is not a number of seconds since 1970",
            where="SOURCE_DATE_EPOCH",
            hint="Unset it, or give it a whole number.",
        ) from error
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
