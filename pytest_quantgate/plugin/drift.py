"""One variant on one slice beside its golden, and the drift gate that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantgate.cases.model import Location
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plugin.collect import drift_name
from pytest_quantgate.plugin.gates import Gate
from pytest_quantgate.plugin.verdicts import policy_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.gate.drift import DriftInput
    from pytest_quantgate.golden.model import Golden, Standing, State
    from pytest_quantgate.outcomes.model import Outcome
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.plugin.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Compared:
    """One variant on one slice, beside its golden.

    Attributes:
        slice: Name of the slice.
        variant: Spec of the variant.
        golden: What it is anchored to; None when it is not.
        cases: The cases that were asked.
        unasked: Number of selected cases that a sequential run did not need to ask.
        outcomes: What the variant does now, by case id.
        transitions: How cases moved from the reference, by id; none for the reference itself.
        standings: How the cases that were asked stand to the golden, and what it holds beside them.
        trouble: What kept the variant from answering; None when nothing did.
    """

    slice: str
    variant: str
    golden: Golden | None
    cases: Sequence[Case]
    unasked: int
    outcomes: Mapping[str, Outcome]
    transitions: Mapping[str, Transition]
    standings: tuple[Standing, ...]
    trouble: Trouble | None

    @property
    def degraded(self) -> frozenset[str]:
        """Ids of the cases that the gate of the variant calls degraded."""
        return frozenset(case_id for case_id, moved in self.transitions.items() if moved is Transition.DEGRADED)


def compare(run: QuantRun, name: str, spec: str, golden: Golden | None) -> Compared:
    """Compare what a variant answered with its golden.

    Args:
        run: The session's run, its items behind it.
        name: Name of a slice.
        spec: The reference or a candidate.
        golden: What it is anchored to; None when it is not.
    """
    from pytest_quantgate.golden.compare import stand

    reference = spec == run.options.reference
    selected: dict[str, Case] = {}
    outcomes: dict[str, Outcome] = {}
    transitions: dict[str, Transition] = {}
    troubles = []
    for _, candidate in (key for key in run.tally.selected if key[0] == name and (reference or key[1] == spec)):
        selected |= {ref.case.id: ref.case for ref in run.tally.refs(name, candidate)}
        # how the reference behaves needs no candidate
        trouble = None if reference and run.answers.reference_answered else run.answers.trouble(candidate)
        troubles.append(trouble)
        arrived = run.tally.arrived(name, candidate) if trouble is None else []
        for ref in (each for each in arrived if run.looks.asked(name, each.case.id)):
            if reference:
                outcomes[ref.case.id] = run.answers.of_reference(ref, run.book.registry)
            else:
                comparison = run.comparison(ref)
                outcomes[ref.case.id] = comparison.candidate
                transitions[ref.case.id] = comparison.transition
    asked = {case_id: case for case_id, case in selected.items() if run.looks.asked(name, case_id)}
    found = stand(golden, run.book.named(name).cases, outcomes)
    return Compared(
        slice=name,
        variant=spec,
        golden=golden,
        cases=tuple(asked.values()),
        unasked=len(selected) - len(asked),
        outcomes=outcomes,
        transitions=transitions,
        standings=tuple(each for each in found if each.state == "unused" or each.case_id in asked),
        trouble=None if None in troubles else next(iter(troubles), None),
    )


def drift_gate(run: QuantRun, compared: Compared, anew: Collection[State]) -> Gate | None:
    """The drift gate of one slice and variant as a test; None where there is no golden.

    Args:
        run: The session's run.
        compared: The variant beside its golden.
        anew: States of the cases that this run is to anchor anew: it does not fail for those.
    """
    from pytest_quantgate.gate.drift import judge_drift

    if compared.golden is None:
        return None
    name, variant, trouble = compared.slice, compared.variant, compared.trouble
    drift = _drift(run, compared, compared.golden, compared.standings)
    result = judge_drift(drift)
    settled = result.verdict is not Verdict.PASS and _could_pass(run, compared, compared.golden, anew)
    return Gate(
        nodeid=f"{run.gated[name]}::{drift_name(variant)}",
        location=Location(run.gated[name], run.book.named(name).location.line),
        result=result,
        broken=trouble is not None or drift.missing > 0,
        details="" if trouble is None else trouble.details,
        lenient=run.options.inconclusive == "pass",
        excuse=f"re-anchoring: {'; '.join(result.reasons)}" if settled else "",
    )


def _drift(run: QuantRun, compared: Compared, golden: Golden, standings: Sequence[Standing]) -> DriftInput:
    from pytest_quantgate.golden.compare import drift_of

    name, trouble = compared.slice, compared.trouble
    return drift_of(
        golden,
        standings,
        compared.cases,
        compared.outcomes,
        policy=policy_of(run, name),
        total=len(run.book.named(name).cases) - compared.unasked,
        problem=None if trouble is None else trouble.reason,
    )


def would_pass(run: QuantRun, compared: Compared, golden: Golden) -> bool:
    """Whether the drift gate of a variant would pass by another golden, or there would be none.

    Args:
        run: The session's run.
        compared: The variant beside the golden that it was judged by.
        golden: The other golden.
    """
    from pytest_quantgate.gate.drift import judge_drift
    from pytest_quantgate.golden.compare import stand

    standings = stand(golden, run.book.named(compared.slice).cases, compared.outcomes)
    return not golden.entries or judge_drift(_drift(run, compared, golden, standings)).verdict is Verdict.PASS


def _could_pass(run: QuantRun, compared: Compared, golden: Golden, anew: Collection[State]) -> bool:
    """Whether it would pass if every case of some states were anchored anew, the degraded ones too."""
    from pytest_quantgate.golden.reanchor import plan, renewed

    if not anew or not golden.entries:
        return False
    planned = plan(golden, compared.standings, compared.outcomes, states=anew, degraded=(), accepted={})
    anchor = next(iter(golden.entries.values())).anchor  # any: it is not kept
    after = renewed(golden, planned, compared.cases, compared.outcomes, transitions=compared.transitions, anchor=anchor)
    return would_pass(run, compared, after)
