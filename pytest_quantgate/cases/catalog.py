"""What the loader must know of checks; the registry that knows them lives in a room to the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import CheckSpec


class CheckCatalog(Protocol):
    """Tells whether a check exists and whether its arguments fit."""

    def parse(self, name: str, raw: object) -> tuple[CheckSpec | None, tuple[str, ...]]:
        """Read one check of a slice file.

        Args:
            name: What the file calls the check.
            raw: Its arguments as plain JSON: a mapping, the check's shorthand value, or None for none.

        Returns:
            The check and no problems; or None and every problem, each one line that names the nearest
            valid name where there is one.
        """
        ...
