"""The ``arithmetic`` generator: exact mathematics at three levels, the same skills over longer chains.

Each template is dealt a few times with other names, settings, phrasings and numbers. The answer is worked out
here, as an exact number, from the numbers that the template drew.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.generators import (
    arithmetic_counting,
    arithmetic_grade,
    arithmetic_high,
    arithmetic_number_theory,
)
from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, Template
from pytest_quantgate.cases.generators.chat import messages
from pytest_quantgate.cases.generators.seeded import read_seed, rng_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.surroundings import Surroundings

LEVELS: Final[Mapping[str, Sequence[Template]]] = {
    "grade-school": arithmetic_grade.TEMPLATES,
    "high-school": arithmetic_high.TEMPLATES,
    "competition": (*arithmetic_number_theory.TEMPLATES, *arithmetic_counting.TEMPLATES),
}

_KEYS: Final = ("seed", "level", "each")
_MOST_EACH: Final = 50
_TRIES: Final = 40
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d+")
_SHORT: Final = 8  # words
_LIKE: Final = 0.88
_SHOTS: Final = 2

_NUMBER_ONLY: Final = (
    "Answer with the number only.",
    "Give just the final number.",
    "Reply with the result alone, as a number.",
)
_FRACTION_ONLY: Final = (
    "Answer with a fraction in lowest terms only.",
    "Give just the result, as a fraction in lowest terms.",
    "Reply with the reduced fraction alone.",
)
_STEPS: Final = (
    "Write each step as an equation on its own line. End with a line that holds #### and the final number.",
    "Show every step as an equation, one per line; the last line is #### followed by the result.",
    "Work it out in equations, one to a line, then write #### and the answer as a number.",
)
_DIRECT_TOKENS: Final = 16
_TOKENS_OF_STEPS: Final = {2: 64, 3: 80, 4: 112}
_MOST_TOKENS: Final = 160


def arithmetic(parameters: Node, problems: Problems, _surroundings: Surroundings) -> Sequence[Mapping[str, object]]:
    """Make cases of mathematics.

    Args:
        parameters: ``seed``; ``level``: grade-school, high-school or competition; ``each``, how many cases each
            template of the level gives (up to 50; fewer where a template has no more different ones).
        problems: Where parameters that do not fit are noted.
        _surroundings: Not looked at.

    Returns:
        The cases as a slice file would write them; none when there are problems.
    """
    pairs = fields.mapping(parameters, "generator 'arithmetic'", problems, known=_KEYS, required=_KEYS) or {}
    seed = read_seed(pairs, problems)
    each = fields.integer_of(pairs, "each", problems, least=1, most=_MOST_EACH)
    level = fields.text(pairs["level"], "'level'", problems) if "level" in pairs else None
    if level is not None and level not in LEVELS:
        fields.unknown(pairs["level"], "level", level, problems, known=LEVELS)
        return []
    if seed is None or each is None or level is None:
        return []
    return [
        {"id": f"{template.name}-{number}", **case}
        for template in LEVELS[level]
        for number, case in enumerate(_cases(seed, level, template, each), start=1)
    ]


def _cases(seed: int, level: str, template: Template, each: int) -> list[dict[str, object]]:
    """Cases of one template that are no near-copies of each other."""
    said: list[list[str]] = []
    cases: list[dict[str, object]] = []
    for attempt in range(each * _TRIES):
        draw = Draw(rng_at(seed, level, template.name, attempt))
        made = template.make(draw)
        if _NUMBER.findall(made.text)[-1:] == [str(made.answer)]:
            continue  # an answer that only repeats the question would pass
        case = _case(template, made, draw)
        words = _words(case)
        if any(_alike(words, other) for other in said):
            continue
        said.append(words)
        cases.append(case)
        if len(cases) == each:
            break
    return cases


def _words(case: Mapping[str, object]) -> list[str]:
    chat = case.get("messages", case.get("prompt"))
    texts = [message["content"] for message in chat] if isinstance(chat, list) else [str(chat)]
    return _WORD.findall(" ".join(texts).lower())


def _alike(one: list[str], other: list[str]) -> bool:
    """Whether two cases have too many words in common, in order; short ones only have to be different."""
    if max(len(one), len(other)) <= _SHORT:
        return one == other
    wanted = _LIKE * (len(one) + len(other))
    if 2 * (Counter(one) & Counter(other)).total() < wanted:
        return False  # too few in common in any order
    row = [0] * (len(other) + 1)
    for word in one:  # the longest common subsequence, row by row
        diagonal = 0
        for column, there in enumerate(other, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == there else max(above, row[column - 1])
            diagonal = above
    return 2 * row[-1] >= wanted


def _case(template: Template, made: Problem, draw: Draw) -> dict[str, object]:
    case: dict[str, object] = {"tags": [template.skill, f"steps_{made.steps}"]}
    if template.style == "shots":
        return {**case, **_after_examples(template, made, draw)}
    if template.style == "direct":
        form = _NUMBER_ONLY if made.answer.denominator == 1 else _FRACTION_ONLY
        checks, tokens = [_result_check(made)], _DIRECT_TOKENS
        return {**case, "prompt": f"{made.text} {draw.pick(form)}", "checks": checks, "max_new_tokens": tokens}
    return {**case, **_with_steps(template, made, draw)}


def _after_examples(template: Template, made: Problem, draw: Draw) -> dict[str, object]:
    """Asked after two solved problems of its kind, whose answers are others."""
    shots = [(example.text, str(example.answer)) for example in _examples(template, made, draw, _SHOTS)]
    asked = messages(shots, made.text)
    return {"messages": asked, "checks": [_result_check(made)], "max_new_tokens": _DIRECT_TOKENS}


def _with_steps(template: Template, made: Problem, draw: Draw) -> dict[str, object]:
    """Asked with its steps; where the template can solve an example, after one."""
    how = draw.pick(_STEPS)
    checks = [_result_check(made, marked=True), {"step_consistency": {"least_steps": 1, "fewer": "violated"}}]
    tokens = _TOKENS_OF_STEPS.get(made.steps, _MOST_TOKENS if made.steps > 1 else 64)
    asked: dict[str, object] = {"checks": checks, "max_new_tokens": tokens}
    examples = _examples(template, made, draw, 1) if made.worked else []
    if not examples:
        return {**asked, "prompt": f"{made.text} {how}"}
    (example,) = examples
    solution = "\n".join((*example.worked, f"#### {example.answer}"))
    return {**asked, "messages": messages([(f"{example.text} {how}", solution)], made.text)}


def _examples(template: Template, made: Problem, draw: Draw, count: int) -> list[Problem]:
    """Problems of the same kind with other answers, and no longer than the one that is asked."""
    found: list[Problem] = []
    for _ in range(_TRIES * count):
        other = template.make(draw)
        answers = {made.answer, *(each.answer for each in found)}
        if other.answer not in answers and other.steps <= made.steps:
            found.append(other)
        if len(found) == count:
            break
    return found


def _result_check(made: Problem, *, marked: bool = False) -> dict[str, object]:
    """What the answer must come to; marked: behind ####."""
    arguments: dict[str, object] = {"extract": "hashes"} if marked else {}
    if made.answer.denominator == 1 and not made.unit:
        return {"number": {"value": int(made.answer), **arguments}}
    if made.unit:
        arguments["unit"] = made.unit
    return {"math_answer": {"value": str(made.answer), **arguments}}
