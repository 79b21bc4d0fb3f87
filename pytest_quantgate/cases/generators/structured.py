"""The ``structured`` generator: facts to be written as JSON, flat or nested to a set depth.

Each case tells the facts of some records, says which shape is wanted, and is checked by a schema whose ``const`` is
the one right value. Depth counts what encloses what: an object is 1, an object or a list in it 2, the objects in that
list 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.generators import structured_words as words
from pytest_quantgate.cases.generators.chat import messages
from pytest_quantgate.cases.generators.filler import Pack
from pytest_quantgate.cases.generators.seeded import read_seed, rng_at
from pytest_quantgate.cases.generators.structured_records import (
    STYLES,
    Field,
    Thing,
    chains,
    extras,
    facts,
    keys_told,
    listed,
    some,
    told,
    value_of,
)

if TYPE_CHECKING:
    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.surroundings import Surroundings

_KEYS: Final = ("seed", "depths", "n")
_DEEPEST: Final = 5
_MOST_CASES: Final = 300
_FLAT_FIELDS: Final = (1, 2, 2, 3, 3, 4, 5, 6)  # of the flat cases, in turn
_EXAMPLES, _TRIES = 2, 20
_SHOWN: Final = 3  # fields: flat records of at most so many come with examples
_SHOWN_DEPTH: Final = 4  # and nested ones of at most this depth, every other time


def structured(parameters: Node, problems: Problems, _surroundings: Surroundings) -> Sequence[Mapping[str, object]]:
    """Make cases that ask for JSON.

    Args:
        parameters: ``seed``; ``depths``, a list of 1 (flat) to 5; and ``n``, the cases of each depth.
        problems: Where parameters that do not fit are noted.
        _surroundings: Not looked at.

    Returns:
        The cases as a slice file would write them; none when there are problems.
    """
    before = len(problems)
    pairs = fields.mapping(parameters, "generator 'structured'", problems, known=_KEYS, required=_KEYS) or {}
    seed = read_seed(pairs, problems)
    n = fields.integer_of(pairs, "n", problems, least=1, most=_MOST_CASES)
    depths = _depths(pairs["depths"], problems) if "depths" in pairs else []
    if seed is None or n is None or not depths or len(problems) > before:
        return []
    return [case for depth in depths for case in (_flat(seed, n) if depth == 1 else _nested(seed, depth, n))]


def _depths(node: Node, problems: Problems) -> list[int]:
    found: list[int] = []
    for item in fields.items(node, "'depths'", problems) or ():
        depth = fields.integer(item, "a depth", problems, least=1, most=_DEEPEST)
        if depth in found:
            problems.add(item.line, f"depth {depth} is listed twice")
        elif depth is not None:
            found.append(depth)
    return found


def _flat(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    things = [thing for chain in chains() for thing in chain]
    order = Pack(rng_at(seed, "flat"), [str(place) for place in range(len(things))])
    for number in range(n):
        rng = rng_at(seed, "flat", number)
        thing, count = things[int(order.deal())], _FLAT_FIELDS[number % len(_FLAT_FIELDS)]
        own = some([*thing.fields, *extras()[: 2 * max(0, count - 2)]], count, rng)
        wording = Pack(rng, words.INSTRUCTIONS.split(";"))
        style = int(rng.random() * STYLES)
        records = _different_records(own, rng)
        examples = records[1:] if count <= _SHOWN else []
        asked = wording.deal().format(keys=keys_told(own))
        texts = [f"{facts(thing.name, record, style)}" for record in (*examples, records[0])]
        yield _case(
            f"flat-{number + 1:03}-{thing.name}",
            [f"{texts[0]}\n\n{asked}", *texts[1:]],
            [*examples, records[0]],
            ["depth_1", f"fields_{count}", *(["shown"] if examples else [])],
        )


def _different_records(own: Sequence[Field], rng: Random) -> list[dict[str, Any]]:
    """The record that is asked for and its examples; the last answer must not be there to be copied.

    Three of them, or fewer where a truth value is all that a record holds.
    """
    found: list[dict[str, Any]] = []
    for _ in range(_TRIES):
        record = {field.key: value_of(field, rng) for field in own}
        if record not in found:
            found.append(record)
        if len(found) == 1 + _EXAMPLES:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    """The shape of a nested record: a thing, some of its fields, and what it holds.

    Attributes:
        thing: What the object tells of.
        own: Its plain fields.
        inner: What it holds; None ends the chain.
        many: How many inner ones stand in a list; 0 is one object without a list.
        words: The values of a list of plain texts, instead of inner things; empty for none.
    """

    thing: Thing
    own: Sequence[Field]
    inner: _Plan | None = None
    many: int = 0
    words: str = ""


def _nested(seed: int, depth: int, n: int) -> Iterator[Mapping[str, object]]:
    starts = [(chain, start) for chain in chains() for start in range(2)]
    order = Pack(rng_at(seed, "nested", depth), [str(place) for place in range(len(starts))])
    for number in range(n):
        rng = rng_at(seed, "nested", depth, number)
        chain, start = starts[int(order.deal())]
        plan = _plan(chain[start:], depth, rng)
        shown = depth <= _SHOWN_DEPTH and number % 2 == 0
        optional = not shown and depth > 2 and rng.random() < 0.5  # noqa: PLR2004  (two levels have few keys to spare)
        record = _record(plan, rng, optional=optional)
        others = (_record(plan, rng, optional=False) for _ in range(_TRIES))
        example = next((other for other in others if other != record), record)
        shape = Pack(rng, words.SHAPES.split(";")).deal().format(shape=f"the {plan.thing.name} is {_shape(plan)}")
        left_out = " Leave out what is not given." if optional else ""
        told_facts = [_told(plan, value) for value in ([example, record] if shown else [record])]
        yield _case(
            f"depth{depth}-{number + 1:03}-{plan.thing.name}",
            [f"{told_facts[0]}\n\n{shape}{left_out}", *told_facts[1:]],
            [example, record] if shown else [record],
            [f"depth_{depth}", *(["shown"] if shown else []), *(["optional"] if optional else [])],
        )


def _plan(chain: Sequence[Thing], depth: int, rng: Random) -> _Plan:
    """A shape of exactly this depth: each step inwards is an object (1) or objects in a list (2)."""
    thing = chain[0]
    own = some(thing.fields, 1 + int(rng.random() * 2), rng)
    if depth == 1:
        return _Plan(thing, own)
    last = len(chain) == 1
    if depth == 2 and (last or rng.random() < 0.35):  # noqa: PLR2004  (a third of them)
        return _Plan(thing, own, words=("tags", "notes", "keywords", "labels")[int(rng.random() * 4)])
    # the chain must reach: what is left to go takes at most two steps for each thing
    many = depth > 2 and (depth - 2 > len(chain) - 2 or rng.random() < 0.5)  # noqa: PLR2004
    inner = _plan(chain[1:], depth - (2 if many else 1), rng)
    return _Plan(thing, own, inner, many=2 + int(rng.random() * (2 if depth < _SHOWN_DEPTH else 1)) if many else 0)


def _record(plan: _Plan, rng: Random, *, optional: bool) -> dict[str, Any]:
    record: dict[str, Any] = {field.key: value_of(field, rng) for field in plan.own}
    if optional and len(plan.own) > 1 and rng.random() < 0.6:  # noqa: PLR2004  (mostly)
        del record[plan.own[-1].key]
    if plan.words:
        pack = Pack(rng, words.WORDS.split(";"))
        record[plan.words] = [pack.deal() for _ in range(2 + int(rng.random() * 2))]
    elif plan.inner and plan.many:
        record[plan.inner.thing.plural] = [_record(plan.inner, rng, optional=optional) for _ in range(plan.many)]
    elif plan.inner:
        record[plan.inner.thing.name] = _record(plan.inner, rng, optional=optional)
    return record


def _shape(plan: _Plan) -> str:
    """A shape in words: which keys an object has, and what those that are no plain values hold."""
    own = [f"{_key(field.key)}{_choices(field)}" for field in plan.own]
    if plan.words:
        return f"an object with {listed([*own, _key(plan.words)])}, a list of texts"
    if plan.inner is None:
        return f"an object with {listed(own)}"
    key = _key(plan.inner.thing.plural if plan.many else plan.inner.thing.name)
    what = "a list; each item is" if plan.many else "which is"
    return f"an object with {listed([*own, key])}, {what} {_shape(plan.inner)}"


def _key(name: str) -> str:
    return f'"{name}"'


def _choices(field: Field) -> str:
    return f" (one of {', '.join(field.choices)})" if field.choices else ""


def _told(plan: _Plan, record: Mapping[str, Any], indent: str = "") -> str:
    """The facts of a nested record, as an indented note."""
    plain = [f"{field.label} {told(record[field.key])}" for field in plan.own if field.key in record]
    lines = [f"{indent}{plan.thing.name.capitalize()}: {', '.join(plain)}"]
    if plan.words:
        lines[0] += f", {plan.words} {listed(record[plan.words])}"
    elif plan.inner:
        inner = record[plan.inner.thing.plural] if plan.many else [record[plan.inner.thing.name]]
        lines += [_told(plan.inner, one, f"{indent}  ") for one in inner]
    return "\n".join(lines)


def _case(
    case_id: str, asked: Sequence[str], records: Sequence[Mapping[str, Any]], tags: Sequence[str]
) -> Mapping[str, object]:
    """A case whose last question is to be answered by the last record; the others are examples."""
    *examples, expected = records
    *before, question = asked
    answers = [json.dumps(example, ensure_ascii=False) for example in examples]
    return {
        "id": case_id,
        "messages": messages(zip(before, answers, strict=True), question),
        "checks": [{"json_schema": {"schema": {"const": expected}}}],
        "tags": list(tags),
        "max_new_tokens": _room(expected),
    }


def _room(expected: Mapping[str, Any]) -> int:
    """Tokens that the answer may take: SmolLM2 needs about one for two characters of such JSON, written on one line."""
    return 24 + 16 * (len(json.dumps(expected)) // 24)
