"""What a RunReport is made of: settings, variants, slices and cases, as frozen values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_quantgate.cases.model import Case
from pytest_quantgate.golden.model import Standing
from pytest_quantgate.outcomes.model import Comparison, Outcome


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What all gates of a run share.

    Attributes:
        alpha: Family-wise error of the rule ``evidence``, each way.
        inconclusive: What an INCONCLUSIVE gate does to the build.
        seed: Seed of the order in which a sequential run asks its cases; None for a run that is not sequential.
    """

    alpha: float = 0.05
    inconclusive: Literal["pass", "fail"] = "fail"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """The facts of ``variants.audit.Audit``, kept apart from the code that measures them with torch.

    Attributes:
        modules_total: Linear modules of the model.
        modules_replaced: How many of them are quantized.
        bits_per_weight: Bits that a weight of those takes as stored.
        memory_bytes: Bytes of all weights as stored.
        reference_bytes: Bytes of the same weights in fp16.
    """

    modules_total: int
    modules_replaced: int
    bits_per_weight: float
    memory_bytes: int
    reference_bytes: int


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """One variant of the run.

    Attributes:
        spec: Canonical spec.
        digest: Digest of its identity.
        identity: The facts that the digest covers.
        audit: What was found when the variant was last loaded, in this run or in the one that filled the cache;
            None for an unquantized variant, and when no audit is known.
        cached: Answers that came from the cache.
        generated: Answers that were made in this run.
        problem: What kept the variant from answering; None when nothing did.
        bits: Bits of a weight by the spec's own name, such as 4 for ``nf4``; None when it names none.
        model: Its model, as the user named it, where that is not the run's; None where it is.
        summary: One line for people: what is quantized and how, or who serves it; None where nobody tells, as of
            recorded and of anchored answers.
        folder: Where the relative paths of its spec are seen from, as the run's folder calls it: that of an ini file;
            None for the run's folder itself.
    """

    spec: str
    digest: str
    identity: Mapping[str, str] = field(default_factory=dict)
    audit: AuditRecord | None = None
    cached: int = 0
    generated: int = 0
    problem: str | None = None
    bits: float | None = None
    model: str | None = None
    summary: str | None = None
    folder: str | None = None

    @property
    def kernels(self) -> str | None:
        """By which kernels it answers: dense, native or vllm; None of a server and of recorded answers."""
        return self.identity.get("kernels")


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One slice of the run.

    Attributes:
        name: Unique in the report.
        description: One line.
        path: The slice file, as the user named it.
        total: Cases of the slice, selected or not.
        line: Line of the file on which the slice begins.
    """

    name: str
    description: str
    path: str
    total: int
    line: int = 1


@dataclass(frozen=True, slots=True)
class GoldenRecord:
    """How a variant stands to what it is anchored to on one slice.

    Attributes:
        slice: Name of the slice.
        variant: Spec of the variant.
        path: The golden's file, as messages name it.
        anchored: When its newest anchor was made, ISO 8601; None for a golden that does not exist.
        by: Who made it; None likewise.
        same: Cases that are the same.
        standings: Every other case, by id.
        changes: What of the variant's identity is other than when it was anchored, one line each.
        accepted: Why cases were anchored although they were degraded, by case id.
        written: Ids of the cases that this run anchored, or removed.
    """

    slice: str
    variant: str
    path: str
    anchored: str | None
    by: str | None
    same: int
    standings: tuple[Standing, ...] = ()
    changes: tuple[str, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()

    def states(self) -> Counter[str]:
        """How many cases stand how, those that are the same among them."""
        return Counter({"same": self.same}) + Counter(each.state for each in self.standings)


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One case and what every variant answered.

    Attributes:
        slice: Name of its slice.
        case: Prompt, checks and limits.
        node_ids: pytest's node id of the case, by candidate spec.
        outcomes: Graded answers by variant spec; a variant that gave no result is absent.
    """

    slice: str
    case: Case
    node_ids: Mapping[str, str]
    outcomes: Mapping[str, Outcome]

    def comparison(self, reference: str, candidate: str) -> Comparison | None:
        """The case as one candidate against the reference; None when either has no outcome."""
        before, after = self.outcomes.get(reference), self.outcomes.get(candidate)
        if before is None or after is None:
            return None
        return Comparison(self.case, before, after)
