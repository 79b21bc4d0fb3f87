"""One candidate of one stored run, ready to stand beside another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantgate.cases.model import Case, CheckSpec, digest_of
from pytest_quantgate.outcomes.model import Comparison

if TYPE_CHECKING:
    from pytest_quantgate.report.model import RunReport

Key = tuple[str, str]
"""Slice and id of a case."""


@dataclass(frozen=True, slots=True)
class Side:
    """One candidate of one run.

    Attributes:
        path: The report, as the user named it.
        model: The model.
        reference: Spec of the reference.
        candidate: Spec of the candidate.
        created: When it ran.
        facts: What may differ between two runs, by name.
        cases: The cases that both variants answered, by slice and id.
    """

    path: str
    model: str
    reference: str
    candidate: str
    created: str
    facts: Mapping[str, str]
    cases: Mapping[Key, Comparison]

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of the slices with answered cases, in the order of the run."""
        return tuple(dict.fromkeys(name for name, _ in self.cases))

    def of(self, name: str) -> Mapping[Key, Comparison]:
        """The cases of one slice."""
        return {key: each for key, each in self.cases.items() if key[0] == name}


def side(path: str, report: RunReport, candidate: str) -> Side:
    """One candidate of a run, which has it."""
    variant = next(each for each in report.candidates if each.spec == candidate)
    compared = ((each, each.comparison(report.reference.spec, candidate)) for each in report.cases)
    facts = {
        "model": report.model,
        "revision": report.revision or "",
        "reference": report.reference.spec,
        "reference identity": report.reference.digest,  # one name may stand for other files, or for another anchor
        "candidate": candidate,
        "device": report.device,
        "arithmetic": report.compute_dtype,
        "pytest-quantgate": report.tool_version,
    }
    return Side(
        path=path,
        model=report.model,
        reference=report.reference.spec,
        candidate=candidate,
        created=report.created,
        facts={**variant.identity, **facts},
        cases={(record.slice, record.case.id): found for record, found in compared if found is not None},
    )


def asked_of(case: Case) -> str:
    """Digest of what a case asks and how it is graded: cases with the same one are the same."""
    chat = [[message.role, message.content] for message in case.messages]
    later = [[turn.prompt, _graded(turn.checks)] for turn in case.later]
    return digest_of([chat, case.answer_prefix, _graded(case.checks), later])


def _graded(checks: Sequence[CheckSpec]) -> list[object]:
    return [[check.name, dict(check.arguments)] for check in checks]
