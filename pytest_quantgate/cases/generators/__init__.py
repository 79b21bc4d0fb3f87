"""Seeded case generators: the same seed gives the same cases on every platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.surroundings import Surroundings


class Generator(Protocol):
    """Makes cases from the parameters that a slice file gives under ``generate``."""

    def __call__(
        self, parameters: Node, problems: Problems, surroundings: Surroundings, /
    ) -> Sequence[Mapping[str, object]]:
        """Make the cases.

        Args:
            parameters: The ``generate`` mapping without its ``generator`` key.
            problems: Where parameters that do not fit are noted.
            surroundings: What the slice file is read in.

        Returns:
            Cases as a slice file would write them, which are then read and checked like any other;
            none when there are problems.
        """
        ...


class _Generators(Mapping[str, Generator]):
    """The generators by name; each is a function in a module of its own name, imported when it is asked for."""

    _names = (
        "arithmetic",
        "counting",
        "facts",
        "key_value",
        "multilingual_facts",
        "multilingual_sums",
        "needle",
        "perturb",
        "structured",
        "variable_tracking",
    )

    def __getitem__(self, name: str) -> Generator:
        if name not in self._names:
            raise KeyError(name)
        found: Generator = getattr(import_module(f"{__name__}.{name}"), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


GENERATORS: Final[Mapping[str, Generator]] = _Generators()
