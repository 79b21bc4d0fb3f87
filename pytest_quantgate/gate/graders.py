"""Whether the graders of a slice can be trusted with the candidate: their disagreement with people as a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.purposes import READERS
from pytest_quantgate.gate.binomial import ROUNDING
from pytest_quantgate.gate.limits import Share
from pytest_quantgate.gate.measures import Limit
from pytest_quantgate.gate.sentences import agreed
from pytest_quantgate.gate.wording import percent, percent_limit
from pytest_quantgate.outcomes.labelled import pairs_of, sample_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.outcomes.labelled import Labels, Pair, Sample, Side
    from pytest_quantgate.outcomes.model import Comparison

KEY: Final = "min_grader_agreement"

TO_DO: Final = "label some: `quantgate calibrate RUN.json --sheet labels.csv`"


def agreement_limits(comparisons: Sequence[Comparison], labels: Labels, policy: GatePolicy) -> tuple[Limit, ...]:
    """Measure how often each check disagrees with people about the candidate's answers.

    Checks that read what an answer means are always judged, others where an answer of theirs was ever labelled.

    Args:
        comparisons: The cases of one slice and candidate.
        labels: What people say of the slice's answers, by check and key.
        policy: The limits.

    Returns:
        One for each check that is judged; none when the policy has no such limit, or one that tolerates everything. A
        limit is undefined where the labels are too few, stand for too few of the answers, or show that the check is
        wrong about the reference too: then nothing that it says means anything, of either model.
    """
    bound = policy.min_grader_agreement
    if not bound:
        return ()
    found = pairs_of(comparisons)
    judged = [name for name in found if name in READERS or name in labels]
    if not judged:
        return (Limit(KEY, None, f"no answer is labelled; {TO_DO}"),)
    return tuple(_limit(name, found[name], labels.get(name, {}), bound, policy) for name in judged)


def _limit(name: str, pairs: Sequence[Pair], labels: Mapping[str, bool], bound: float, policy: GatePolicy) -> Limit:
    reference, candidate = (sample_of(pairs, labels, side) for side in ("reference", "candidate"))
    why_not = [*_too_few("reference", reference, policy), *_too_few("candidate", candidate, policy)]
    if why_not:
        return Limit(KEY, None, f"{name}: {'; '.join(why_not)}; {TO_DO}", check=name)
    before, after = (_disagreement(each, 1 - bound) for each in (reference, candidate))
    if before.beyond():
        wrong = percent(1 - before.value, limit=bound)
        told = f"it agrees with people on {wrong} of the reference's answers ({agreed(before)}), which is below"
        what = "so its verdicts mean nothing on either side: mend the check"
        return Limit(KEY, None, f"{name}: {told} {percent_limit(bound)}, {what}", check=name)
    return Limit(KEY, after, check=name, reference=before)


def _too_few(side: Side, sample: Sample, policy: GatePolicy) -> Iterator[str]:
    """Why the labels of one side say nothing."""
    if sample.covered is None:
        yield f"it could score none of the {side}'s answers"
        return
    needed = min(policy.min_cases, sample.answers)
    if len(sample.ratings) < needed:
        yield f"{len(sample.ratings)} of the {side}'s {sample.answers} answers are labelled, a verdict needs {needed}"
    elif 1 - sample.covered > policy.max_unscored + ROUNDING:
        left = percent(1 - sample.covered, limit=policy.max_unscored)
        yield f"{left} of the {side}'s answers are of a kind that no label stands for"


def _disagreement(sample: Sample, bound: float) -> Share:
    return Share(
        values=[float(each.followed is not each.label) for each in sample.ratings],
        groups=[each.group for each in sample.ratings],
        bound=bound,
        weights=[each.weight for each in sample.ratings],
    )
