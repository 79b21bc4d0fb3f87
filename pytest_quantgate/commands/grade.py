"""`quantgate grade`: grades answers that somebody has already, one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.model import Case
from pytest_quantgate.cases.nodes import Node
from pytest_quantgate.cases.problems import Problems
from pytest_quantgate.cases.read_case import CaseReader
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.checks.settings import GradingSettings
from pytest_quantgate.commands.lines import STDIN, lines_of, object_of
from pytest_quantgate.commands.streams import tell, write
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import visible

# What grading depends on; lines may carry more (model, tags, timings), which does not concern it.
CASE_KEYS = ("id", "prompt", "messages", "turns", "system", "checks", "answer_prefix")


def grade(name: str, out: TextIO, err: TextIO | None, settings: GradingSettings) -> bool:
    """Grade every line that can be graded.

    Args:
        name: The file, or ``-`` for standard input.
        out: Gets one line of JSON per graded answer.
        err: Gets ``FILE:LINE: what is wrong`` for every line that cannot be graded; None when there is no such stream.
        settings: What checks may do.

    Returns:
        Whether every line was graded.

    Raises:
        BrokenPipeError: When nobody reads ``out`` any more.
        UsageError: When the file cannot be read, or ``out`` not be written.
    """
    shown = "<stdin>" if name == STDIN else visible(name)
    registry = builtin_registry(settings)
    return _grade_lines(lines_of(name, shown), shown, registry, out, err)


def _grade_lines(lines: Iterable[bytes], shown: str, registry: CheckRegistry, out: TextIO, err: TextIO | None) -> bool:
    good = True
    for number, line in enumerate(lines, start=1):
        problems = Problems(shown)
        node = object_of(line, problems)
        answer = None if node is None else _answer_of(node, registry, problems)
        if answer is not None:
            write(json.dumps(_graded(*answer, registry)), out)
        for problem in problems.found():  # each line was read alone, as line 1
            tell(visible(f"{shown}:{number}: {problem.message}"), err)
            good = False
    return good


def _answer_of(node: Node, registry: CheckRegistry, problems: Problems) -> tuple[Case, list[str]] | None:
    """The case and what was answered, turn by turn; None when one of the two has problems, all of which are noted."""
    if not isinstance(node.value, dict):
        fields.wrong_type(node, "a line must hold an object", problems)
        return None
    case = _case_of(node.value, registry, problems)
    responses = _responses(node.value, problems)
    if case is None or responses is None:
        return None
    if len(responses) != 1 + len(case.later):
        problems.add(1, f"'responses' holds {len(responses)}, and the case has {counted(1 + len(case.later), 'turn')}")
        return None
    return case, responses


def _responses(pairs: dict[str, Node], problems: Problems) -> list[str] | None:
    """``response``, or for a case with turns ``responses``, one for each."""
    if "turns" in pairs:
        if "responses" not in pairs:
            problems.add(1, "a line with 'turns' needs the key 'responses'")
            return None
        nodes = fields.items(pairs["responses"], "'responses'", problems) or []
        texts = [fields.text(node, "a response", problems, may_be_empty=True) for node in nodes]
        found = [text for text in texts if text is not None]
        return found if nodes and len(found) == len(nodes) else None
    if "response" not in pairs:
        problems.add(1, "a line needs the key 'response'")
        return None
    response = fields.text(pairs["response"], "'response'", problems, may_be_empty=True)
    return None if response is None else [response]


def _case_of(pairs: dict[str, Node], registry: CheckRegistry, problems: Problems) -> Case | None:
    kept = {key: pairs[key] for key in CASE_KEYS if key in pairs}
    if "prompt" in kept and "messages" not in kept and isinstance(kept["prompt"].value, list):
        kept["messages"] = kept.pop("prompt")
    return CaseReader(registry, problems, max_new_tokens=1, system="").read(Node(kept, 1))


def _graded(case: Case, responses: Sequence[str], registry: CheckRegistry) -> dict[str, object]:
    answers = [Completion(text=text, token_ids=(), finish_reason="unknown", prompt_tokens=0) for text in responses]
    outcome = outcome_of_turns(case, answers, registry)
    results = [
        {"check": result.check, "followed": result.followed, "reason": result.reason} for result in outcome.results
    ]
    return {"id": case.id, "passed": outcome.passed, "results": results}
