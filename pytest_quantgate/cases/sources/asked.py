"""What a slice file says under ``dataset``, and which of the cases that were made it means."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.generators.seeded import read_seed
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.cases.sources.formats import MAX_ROWS
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.sources.registry import RawCase
    from pytest_quantgate.cases.surroundings import Surroundings

ALL: Final = "all"
"""What ``subset`` says to mean every part of a data set."""

KEYS: Final = ("limit", "seed", "file", "category", "instruction")
"""Of every table; those with parts have ``subset`` too, those on the hub ``split``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a slice file says under ``dataset``.

    Attributes:
        surroundings: What the slice file is read in.
        limit: Most cases; None for all.
        seed: Which rows, when there are more than the limit; None for the first ones.
        file: A file beside the slice file; None to look for a package or the hub.
        subsets: The parts that were named; empty when none was.
        split: A split on the hub; None for the usual one.
        categories: Only cases with one of these tags; empty for all.
        instruction: What stands below each prompt; empty for nothing.
    """

    surroundings: Surroundings
    limit: int | None = None
    seed: int | None = None
    file: str | None = None
    subsets: tuple[str, ...] = ()
    split: str | None = None
    categories: tuple[str, ...] = ()
    instruction: str = ""

    def prompt(self, text: str) -> str:
        """A prompt with the instruction below it."""
        return f"{text}\n\n{self.instruction}" if self.instruction else text


def read_asked(
    node: Node,
    problems: Problems,
    surroundings: Surroundings,
    *,
    name: str,
    subsets: Sequence[str],
    splits: Sequence[str],
    instruction: str,
) -> Asked | None:
    """Read the parameters of a table.

    Args:
        node: The ``dataset`` mapping without its ``name``.
        problems: Where everything that is wrong is noted.
        surroundings: What the slice file is read in.
        name: The data set's.
        subsets: Its parts.
        splits: Those that may be asked of the hub.
        instruction: The usual one.

    Returns:
        What was asked; None when it is no mapping.
    """
    known = (*KEYS, *(("subset",) if subsets else ()), *(("split",) if splits else ()))
    pairs = fields.mapping(node, f"dataset {name!r}", problems, known=known)
    if pairs is None:
        return None

    def text(key: str, *, may_be_empty: bool = False) -> str | None:
        given = pairs.get(key)
        return fields.text(given, f"{key!r}", problems, may_be_empty=may_be_empty) if given else None

    def texts(key: str) -> tuple[str, ...]:
        return _texts(pairs[key], key, problems) if key in pairs else ()

    def refuse_unknown(key: str, given: Iterable[str], valid: Sequence[str]) -> None:
        for item in given:
            if item not in valid:
                hint = nearest(item[: fields.LONGEST_NAME], valid)
                problems.add(pairs[key].line, f"unknown {key} {quoted(item)} of dataset {name!r}; {hint}")

    limit, seed = read_draw(pairs, problems)
    parts = texts("subset")
    refuse_unknown("subset", parts, (*subsets, ALL))
    split = text("split")
    refuse_unknown("split", () if split is None else (split,), splits)
    words = text("instruction", may_be_empty=True)
    return Asked(
        surroundings=surroundings,
        limit=limit,
        seed=seed,
        file=text("file"),
        subsets=tuple(subsets) if ALL in parts else parts,
        split=split,
        categories=texts("category"),
        instruction=instruction if words is None else words,
    )


def read_draw(pairs: Mapping[str, Node], problems: Problems) -> tuple[int | None, int | None]:
    """The ``limit`` and the ``seed`` of any source, see `drawn`; None for what is not given."""
    if "seed" in pairs and "limit" not in pairs:
        problems.add(pairs["seed"].line, "'seed' chooses rows up to a 'limit', which is not given")
    return fields.integer_of(pairs, "limit", problems, least=1, most=MAX_ROWS), read_seed(pairs, problems)


def chosen(made: Sequence[RawCase], asked: Asked, line: int, problems: Problems) -> Sequence[RawCase]:
    """The cases that were asked for, in the order of the table.

    Args:
        made: All cases of the table.
        asked: What the slice file says.
        line: Where it says so.
        problems: Where a category that no case is of is noted.
    """
    if asked.categories:
        made = _of_categories(made, asked.categories, line, problems)
    ids = [str(raw.case.get("id")) for raw in made]
    return [made[place] for place in drawn(ids, asked.limit, asked.seed)]


def drawn(ids: Sequence[str], limit: int | None, seed: int | None) -> list[int]:
    """The places of the rows that are meant: the first ones, or those that a seed draws, in the table's order."""
    if limit is None or limit >= len(ids) or seed is None:
        return list(range(len(ids)))[:limit]

    def draw(place: int) -> tuple[str, int]:
        # by the id, not by the place: rows that are added leave the draw of the others as it is
        return hashlib.sha256(f"{seed}/{ids[place]}".encode(errors="replace")).hexdigest(), place

    return sorted(sorted(range(len(ids)), key=draw)[:limit])


def _texts(node: Node, key: str, problems: Problems) -> tuple[str, ...]:
    """One text, or a list of them."""
    items = fields.items(node, f"{key!r}", problems) or [] if isinstance(node.value, list) else [node]
    found = (fields.text(item, f"{key!r}", problems) for item in items)
    return tuple(dict.fromkeys(item for item in found if item))


def _of_categories(
    made: Sequence[RawCase], categories: Sequence[str], line: int, problems: Problems
) -> Sequence[RawCase]:
    known = {tag for raw in made for tag in _tags(raw)}
    for category in categories:
        if made and category not in known:
            hint = nearest(category[: fields.LONGEST_NAME], known)
            problems.add(line, f"no row is of the category {quoted(category)}; {hint}")
    return [raw for raw in made if set(categories).intersection(_tags(raw))]


def _tags(raw: RawCase) -> Sequence[str]:
    tags = raw.case.get("tags")
    return tags if isinstance(tags, list) else ()
