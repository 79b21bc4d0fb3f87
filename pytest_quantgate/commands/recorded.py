"""Reads answers that somebody recorded, with any engine on any machine: one JSON object a line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, cast

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.fields import LONGEST_NAME
from pytest_quantgate.cases.json_lines import GIVEN_UP, MOST_BAD
from pytest_quantgate.cases.nodes import Node
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.checks.measured import read_recall
from pytest_quantgate.commands.lines import lines_of, object_of
from pytest_quantgate.errors import Problem, UsageError, nearest
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.model import Case, Slice
    from pytest_quantgate.generation.completion import FinishReason

FINISH_REASONS: Final = ("stop", "length")
MOST_TOKENS: Final = 2**31 - 1
MOST_HINTS: Final = 20
"""Unknown names of one file for which the nearest one is looked up: it takes time in the number of cases."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a variant's answers are recorded.

    Attributes:
        name: What the variant is called.
        file: The file's name, as the user wrote it; ``-`` is standard input.
    """

    name: str
    file: str

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``FILE`` (called by its stem) or ``NAME=FILE``; a name has no slash, so that any path can be written.

        Raises:
            UsageError: No file is named, or the name cannot stand in a report.
        """
        name, mark, file = text.partition("=")
        if not mark or "/" in name or "\\" in name:
            name, file = PurePath(text).stem, text
        name = name.strip()
        if not file or not name or not name.isprintable() or "::" in name or len(name) > LONGEST_NAME:
            raise UsageError("no file, or no name that can be shown", where=quoted(text), hint="write NAME=FILE")
        return cls(name, file)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one variant answered.

    Attributes:
        source: Where it is recorded.
        digest: SHA-256 (hex) of the file.
        answers: What was answered, turn by turn, by slice and case id.
    """

    source: Source
    digest: str
    answers: Mapping[tuple[str, str], tuple[Completion, ...]]


def read_recording(source: Source, slices: Sequence[Slice], found: list[Problem]) -> Recording:
    """Read a file of answers; time is linear in its size, memory in the number of cases.

    Args:
        source: Where the answers are.
        slices: The slices that are judged; every answer must be to one of their cases.
        found: Where everything that is wrong with it is noted.

    Returns:
        The answers that could be read.

    Raises:
        UsageError: The file cannot be read.
    """
    reader = _Reader(slices)
    digest = hashlib.sha256()
    bad = 0
    for number, line in enumerate(lines_of(source.file, source.file), start=1):
        digest.update(line)
        problems = Problems(source.file)  # each line is read alone, as line 1
        reader.read(line, number, problems)
        found += [Problem(source.file, number, problem.message) for problem in problems.found()]
        bad += bool(problems)
        if bad == MOST_BAD:
            found.append(Problem(source.file, number, GIVEN_UP))
            break
    return Recording(source, digest.hexdigest(), reader.answers)


class _Reader:
    """Reads the lines of one file.

    Args:
        slices: The slices that are judged.

    Attributes:
        answers: What was read so far.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        self._cases = {each.name: {case.id: case for case in each.cases} for each in slices}
        self._lines: dict[tuple[str, str], int] = {}
        self._hints = 0
        self.answers: dict[tuple[str, str], tuple[Completion, ...]] = {}

    def read(self, line: bytes, number: int, problems: Problems) -> None:
        """Read one line.

        Args:
            line: The line.
            number: Its number in the file.
            problems: Where everything that is wrong with it is noted.
        """
        node = object_of(line, problems)
        if node is None:
            return
        if not isinstance(node.value, dict):
            fields.wrong_type(node, "a line must hold an object", problems)
            return
        key = self._key(node.value, problems)
        if key is None:
            return
        if key in self._lines:
            problems.add(1, f"a second answer to {quoted(key[1])} of {quoted(key[0])}: line {self._lines[key]} has one")
            return
        self._lines[key] = number
        completions = _completions(node.value, self._cases[key[0]][key[1]], problems)
        if completions is not None:
            self.answers[key] = completions

    def _key(self, pairs: Mapping[str, Node], problems: Problems) -> tuple[str, str] | None:
        """Which slice and case the line answers."""
        if "slice" in pairs:
            slice_ = fields.text(pairs["slice"], "'slice'", problems)
        elif len(self._cases) == 1:
            (slice_,) = self._cases
        else:
            slice_ = None
            problems.add(1, "a line needs the key 'slice' where several slices are judged")
        if "id" not in pairs:
            problems.add(1, "a line needs the key 'id', the case's")
        id_ = fields.text(pairs["id"], "'id'", problems) if "id" in pairs else None
        if slice_ is None or id_ is None:
            return None
        if slice_ not in self._cases:
            problems.add(1, f"unknown slice {quoted(slice_)}{self._hint(slice_, self._cases)}")
        elif id_ not in self._cases[slice_]:
            problems.add(1, f"slice {quoted(slice_)} has no case {quoted(id_)}{self._hint(id_, self._cases[slice_])}")
        else:
            return slice_, id_
        return None

    def _hint(self, given: str, known: Mapping[str, object]) -> str:
        self._hints += 1
        if self._hints > MOST_HINTS:
            return ""
        listed = "" if len(known) <= MOST_HINTS else "none is like it"
        return f"; {nearest(given[:LONGEST_NAME], known, otherwise=listed)}"


def _completions(pairs: Mapping[str, Node], case: Case, problems: Problems) -> tuple[Completion, ...] | None:
    """What the line says was answered; None when something is wrong with it."""
    turns = 1 + len(case.later)
    if ("response" in pairs) == ("responses" in pairs):
        problems.add(1, "a line needs one of the keys 'response' and 'responses'")
        return None
    in_turns = "responses" in pairs
    if not in_turns and turns > 1:
        problems.add(1, f"the case has {turns} turns: give 'responses', a list of {turns} answers")
        return None

    def of_turns(key: str) -> list[Node | None]:
        """What stands under a key, turn by turn; None where nothing does."""
        node = pairs.get(key)
        if node is None or node.value is None:
            return [None] * turns
        if not in_turns:
            return [node]
        items = fields.items(node, f"{key!r} beside 'responses'", problems)
        if items is not None and len(items) != turns:
            problems.add(1, f"{key!r} holds {len(items)}, and the case has {counted(turns, 'turn')}")
        return [*(items or ()), *([None] * turns)][:turns]

    key = "responses" if in_turns else "response"
    if pairs[key].value is None:
        problems.add(1, f"{key!r} must not be nothing: leave out the line of a case that got no answer")
    completions = [
        _completion(*parts, problems)
        for parts in zip(of_turns(key), of_turns("finish_reason"), of_turns("tokens"), of_turns("recall"), strict=True)
    ]
    return None if problems else tuple(each for each in completions if each is not None)


def _completion(
    response: Node | None, finish_reason: Node | None, tokens: Node | None, recall: Node | None, problems: Problems
) -> Completion | None:
    text = None if response is None else fields.text(response, "a response", problems, may_be_empty=True)
    counted = None
    if tokens is not None and tokens.value is not None:
        counted = fields.integer(tokens, "'tokens'", problems, least=0, most=MOST_TOKENS)
    reason: FinishReason = "unknown"
    if finish_reason is not None and finish_reason.value is not None:
        given = fields.text(finish_reason, "'finish_reason'", problems)
        if given in FINISH_REASONS:
            reason = cast("FinishReason", given)
        elif given is not None:
            problems.add(1, f"'finish_reason' must be stop or length, or be left out, not {quoted(given)}")
    measured = () if recall is None or recall.value is None else read_recall(recall, problems)
    if text is None:
        return None
    return Completion(
        text=text,
        token_ids=(),
        finish_reason=reason,
        prompt_tokens=0,
        recall=measured,
        counted=counted,
    )
