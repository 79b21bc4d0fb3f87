"""What a source of cases is, and the names that slice files may give under ``dataset``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.surroundings import Surroundings


class RawCase(NamedTuple):
    """A case as a slice file would write it, and where its row stands.

    Attributes:
        case: Read and checked like any other case.
        path: The file of the row, as problems name it; None for the slice file itself.
        line: The row's line, or its number where a file has no lines.
    """

    case: Mapping[str, object]
    path: str | None = None
    line: int = 1


@runtime_checkable
class Source(Protocol):
    """A public data set whose rows become cases when a slice file asks for them.

    Most are a `pytest_quantgate.cases.sources.table.TableSource`: a table, and what one row becomes.
    """

    @property
    def name(self) -> str:
        """What slice files call it: lower-case letters, digits and dashes."""
        ...

    @property
    def description(self) -> str:
        """What it holds, in one line."""
        ...

    @property
    def licence(self) -> str:
        """The licence of the data, as their authors name it."""
        ...

    @property
    def homepage(self) -> str:
        """Where the data are published."""
        ...

    @property
    def how_to_get(self) -> str:
        """What to install or to download, in one line."""
        ...

    @property
    def max_new_tokens(self) -> int:
        """What most of its answers need; slice files that say something else are heard."""
        ...

    def found(self) -> str | None:
        """Where its rows would come from now, in a few words; None when they are not on this machine."""
        ...

    def cases(self, parameters: Node, problems: Problems, surroundings: Surroundings) -> Sequence[RawCase]:
        """Make cases of its rows.

        Args:
            parameters: The ``dataset`` mapping without its ``name``.
            problems: Those of the slice file, where everything that is wrong is noted.
            surroundings: What the slice file is read in.

        Returns:
            The cases; what it returns is thrown away when there are problems.
        """
        ...


class SourceRegistry:
    """Sources by name."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}

    def register(self, source: object) -> None:
        """Add a `Source`.

        Raises:
            TypeError: It lacks something that a source has.
            ValueError: Its name is taken, or is none.
        """
        if not isinstance(source, Source):
            msg = f"not a source: {type(source).__name__} lacks some of name, licence, homepage, description, cases"
            raise TypeError(msg)
        name = source.name
        if not name or not name.isprintable() or name != name.strip():
            msg = f"a source's name must be printable text: {name!r}"
            raise ValueError(msg)
        if name in self._sources:
            msg = f"source {name!r} is registered twice"
            raise ValueError(msg)
        self._sources[name] = source

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        return tuple(sorted(self._sources))

    def __getitem__(self, name: str) -> Source:
        """The source of a name that is registered."""
        return self._sources[name]

    def get(self, name: str) -> Source | None:
        """The source of that name; None when there is none."""
        return self._sources.get(name)

    def hint(self, name: str) -> str:
        """The nearest name, or all of them."""
        return nearest(name, self._sources)
