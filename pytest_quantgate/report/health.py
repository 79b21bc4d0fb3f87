"""Text health of a run: what the answers of each variant to each slice look like, from the report alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.gate.wording import percent
from pytest_quantgate.outcomes.fidelity import fidelity_of
from pytest_quantgate.outcomes.health import Indicators, has_text, health_of, summarize
from pytest_quantgate.outcomes.indicators import paired
from pytest_quantgate.outcomes.margins import margins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.generation.expected import Fidelity
    from pytest_quantgate.outcomes.health import Health
    from pytest_quantgate.outcomes.indicators import Name
    from pytest_quantgate.outcomes.margins import Margins
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.report.model import CaseRecord, RunReport

# each with the limit of a policy that judges it, if there is one
_WORDS: Final = (
    ("truncated", "cut off", "max_truncation_increase"),
    ("looping", "loops", "max_loop_increase"),
    ("empty", "empty", ""),
    ("wrong_script", "in another script", ""),
)
_PAIRED_WORDS: Final[tuple[tuple[Name, str, str], ...]] = (
    ("refusal_rate", "refuse", "max_refusal_drift"),
    ("format_retry_rate", "do not parse", "max_format_retry_increase"),
)


@dataclass(frozen=True, slots=True)
class SliceHealth:
    """The indicators of one variant on one slice.

    Attributes:
        slice: Name of the slice.
        variant: Spec of the variant.
        indicators: What its answers look like.
    """

    slice: str
    variant: str
    indicators: Indicators


def healths(report: RunReport) -> tuple[SliceHealth, ...]:
    """The indicators of every variant on every slice with answers, in the report's order."""
    specs = dict.fromkeys((report.reference.spec, *(candidate.spec for candidate in report.candidates)))
    found = []
    for record in report.slices:
        cases = [case for case in report.cases if case.slice == record.name]
        for spec in specs:
            indicators = summarize(health for case in cases for health in _healths_of(case, spec))
            if indicators.answers:
                found.append(SliceHealth(record.name, spec, indicators))
    return tuple(found)


def _healths_of(record: CaseRecord, spec: str) -> Iterator[Health]:
    outcome = record.outcomes.get(spec)
    if outcome is None:
        return
    answers: list[str] = []
    for turn in outcome.turns or (outcome,):
        case = record.case.turn_after(answers)
        if has_text(case) and turn.completion.problem is None:
            yield health_of(case, turn.completion)
        answers.append(turn.completion.text)


def encode_healths(report: RunReport) -> list[dict[str, Any]]:
    """The indicators as JSON values, for readers that do not want to look at every answer."""
    return [{"slice": each.slice, "variant": each.variant, **asdict(each.indicators)} for each in healths(report)]


def fidelity_words(near: Fidelity) -> str:
    """How near a candidate's distributions are to the reference's, in words."""
    share = percent(near.agreeing / near.tokens)
    return f"same top token at {share} of {near.tokens:,}, KL divergence {near.divergence:.3g} nats a token"


def margin_words(found: Margins) -> str | None:
    """How sure the reference was where the answers part, in words; None without a margin."""
    parted = (("P→F", found.degraded), ("P→P", found.preserved))
    told = [f"{each.median:.2f} nats ({label})" for label, each in parted if each.median is not None]
    return f"median margin where answers part {', '.join(told)}" if told else None


def health_line(
    found: Sequence[SliceHealth], comparisons: Sequence[Comparison], gate: GateResult, reference: str
) -> str | None:
    """One line for a gate, such as ``12→19 tokens on average, 0→4 loops``; None when there is nothing to say.

    Left out is what is zero on both sides, what was not recorded, and what a limit judges.

    Args:
        found: What ``healths`` gave.
        comparisons: The cases that both sides answered.
        gate: The gate of the slice and candidate.
        reference: Spec of the reference.
    """
    by_variant = {each.variant: each.indicators for each in found if each.slice == gate.slice}
    before, after = by_variant.get(reference), by_variant.get(gate.candidate)
    if before is None or after is None:
        return None
    judged = {each.limit for each in gate.findings}
    told = []
    if before.mean_tokens is not None and after.mean_tokens is not None and "max_length_ratio" not in judged:
        told.append(f"{before.mean_tokens:.0f}→{after.mean_tokens:.0f} tokens on average")
    counts = [(getattr(before, key), getattr(after, key), word, limit) for key, word, limit in _WORDS]
    for name, word, limit in _PAIRED_WORDS:
        values = paired(name, comparisons)
        counts.append((round(sum(values.first)), round(sum(values.second)), word, limit))
    told += [
        f"{one}→{other} {word}"
        for one, other, word, limit in counts
        if limit not in judged and None not in (one, other) and (one or other)
    ]
    if (near := fidelity_of(comparisons)) is not None:
        told.append(fidelity_words(near))
    if (sure := margin_words(margins(comparisons))) is not None:
        told.append(sure)
    return ", ".join(told) or None
