"""What is asked: cases, slices, and what a slice file may say about its gate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Role = Literal["system", "user", "assistant"]
Rule = Literal["point", "evidence"]

GATE_ID = "gate"
"""The last part of a gate result's node id; no case may have it as its id."""

DRIFT_ID = "drift"
"""Likewise of the result of a drift gate, which compares a variant with its golden."""

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is written: the file as the user named it, and a line counted from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check as a slice file asks for it: a registered name and its keyword arguments.

    Attributes:
        name: Registered name of the check.
        arguments: Keyword arguments, plain JSON values only.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> str:
        """Name and arguments as one line of JSON that is the same for equal specs."""
        return json.dumps([self.name, self.arguments], sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a case asks after its first turn, in the same chat, behind the model's own answers.

    Attributes:
        prompt: The user's message.
        checks: At least one; for the answer to this turn.
        max_new_tokens: Limit of the answer's length, in tokens of the model.
    """

    prompt: str
    checks: tuple[CheckSpec, ...]
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt and the checks that its answer must satisfy; with later turns, the first of several.

    Attributes:
        id: Unique in its slice.
        messages: The chat to answer, in order; the last one is the user's.
        checks: At least one; of a case with later turns, those of the first.
        max_new_tokens: Limit of the answer's length, in tokens of the model.
        tags: Sorted names; each becomes a pytest marker.
        cluster: Cases that vary one prompt share a cluster; None stands alone.
        location: Where the case is written (for generated cases: its ``generate`` line).
        answer_prefix: Text that the model's answer is made to begin with; no part of the answer that is graded.
        subject: What the case asks about, as it stands in the prompt or in the answer prefix: a diagnosis looks at
            its last token too. It changes nothing that is asked or graded. Empty where nothing is marked.
        later: The turns after the first; empty for nearly all cases, and never beside an answer prefix or a subject.
        stops_early: The answer may end as soon as every check is decided. A run sets it where it needs no more than
            what the checks say; no slice file does.
    """

    id: str
    messages: tuple[Message, ...]
    checks: tuple[CheckSpec, ...]
    max_new_tokens: int
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    location: Location = Location("<unknown>", 1)
    answer_prefix: str = ""
    subject: str = ""
    later: tuple[Turn, ...] = ()
    stops_early: bool = False

    @property
    def prompt(self) -> str:
        """The text of the last user message; of a case with later turns, what its first one asks."""
        return self.messages[-1].content

    def turn_after(self, answers: Sequence[str]) -> Case:
        """One turn as a case of its own, with everything that was said before it in its messages.

        Args:
            answers: The model's own answers to all turns before; none for the first turn.
        """
        if not self.later:
            return self
        messages = list(self.messages)
        for answer, asked in zip(answers, self.later, strict=False):
            messages += [Message("assistant", answer), Message("user", asked.prompt)]
        turn = self.later[len(answers) - 1] if answers else self
        return replace(self, messages=tuple(messages), checks=turn.checks, max_new_tokens=turn.max_new_tokens, later=())


LARGEST_RATIO: Final = 1e6
"""Largest `max_length_ratio`: beyond it nothing is limited, and computing overflows."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What one source (slice file, ini, command line) says about the gate; None says nothing.

    Attributes:
        rule: How a verdict is reached: ``point`` goes by what was measured, ``evidence`` by what that proves.
        max_pass_to_fail: Largest tolerated PASS→FAIL rate, in [0, 1].
        min_robustness: Smallest tolerated robustness coefficient R, in [0, 1].
        min_cases: Fewest scored cases that a verdict may rest on.
        max_unscored: Largest tolerated share of unscored cases, in [0, 1].
        max_cluster_pass_to_fail: Largest tolerated PASS→FAIL rate over clusters, in [0, 1].
        max_refusal_drift: Largest tolerated change of the refusal rate, up or down, in [0, 1].
        max_over_refusal_increase: Largest tolerated increase of the over-refusal rate, in [0, 1].
        max_format_retry_increase: Largest tolerated increase of the format-retry rate, in [0, 1].
        max_truncation_increase: Largest tolerated increase of the truncation rate, in [0, 1].
        max_loop_increase: Largest tolerated increase of the loop rate, in [0, 1].
        max_length_ratio: Largest tolerated ratio of mean output tokens, candidate to reference; above 0.
        min_grader_agreement: Smallest tolerated share of the candidate's labelled answers on which each check agrees
            with people, in [0, 1].
        max_drift: Largest tolerated share of a variant's cases whose results differ from its own golden, in [0, 1].
    """

    rule: Rule | None = None
    max_pass_to_fail: float | None = None
    min_robustness: float | None = None
    min_cases: int | None = None
    max_unscored: float | None = None
    max_cluster_pass_to_fail: float | None = None
    max_refusal_drift: float | None = None
    max_over_refusal_increase: float | None = None
    max_format_retry_increase: float | None = None
    max_truncation_increase: float | None = None
    max_loop_increase: float | None = None
    max_length_ratio: float | None = None
    min_grader_agreement: float | None = None
    max_drift: float | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """A named set of cases that share a capability and a gate policy.

    Attributes:
        name: Unique in a run; the file's ``slice`` key.
        description: One line for reports.
        cases: In the file's order; ids are unique.
        policy: The file's ``gate`` key.
        location: The file.
    """

    name: str
    description: str
    cases: tuple[Case, ...]
    policy: PolicySettings
    location: Location


def full_name(where: str, case_id: str, spec: str) -> str:
    """A case on a variant as people, ``-k`` and node ids name it.

    Args:
        where: Name of the slice; its collected file for a node id.
        case_id: Id of the case.
        spec: Spec of the variant.
    """
    return f"{where}::{case_id}[{spec}]"


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value; equal values have equal digests on every platform.

    Lone surrogates are kept apart rather than refused: untrusted text must still have a digest.
    """
    return hashlib.sha256(_CANONICAL.encode(value).encode("ascii")).hexdigest()
