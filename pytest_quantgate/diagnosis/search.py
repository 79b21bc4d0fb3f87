"""The smallest protection that turns broken cases back. Imports torch: import it only to run models.

Layers of the reference take the places of the candidate's in memory, so that a trial costs passes over known answers
and no loading. The best protections are then decoded and graded; the caller verifies one on a variant loaded afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_quantgate.cases.model import Case
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.diagnosis.clock import Clock, TimeUpError
from pytest_quantgate.diagnosis.decoding import passes
from pytest_quantgate.diagnosis.donors import EIGHT_BITS, Brought, Rounded, can_lend, group_of
from pytest_quantgate.diagnosis.further import further
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Mode, Repair, Trial
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.protection import RepairLimits, bare, stored_of, why_not
from pytest_quantgate.diagnosis.room import needed_bytes
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen
from pytest_quantgate.diagnosis.sensitivity import attribute, by_cover, by_effect, by_kurtosis, early_first
from pytest_quantgate.diagnosis.strategy import Orders, promising, screen_all
from pytest_quantgate.diagnosis.trials import Cases, Keeping, Subject, Trials
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.variants.memory import available_bytes, release_memory
from pytest_quantgate.variants.mix import FP16
from pytest_quantgate.variants.registry import describe
from pytest_quantgate.variants.spec import MIX, VariantSpec
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.variant import LoadedModel

__all__ = ["RepairLimits", "ranked", "search"]

_SCREENING: Final = 0.6  # share of the minutes; the rest is for decoding
_ROUNDED: Final = "rtn"  # how a mix calls what is rounded to 8 bits
_GIB: Final = 1 << 30


def search(
    reference: LoadedModel,
    candidate: LoadedModel,
    before: Runner,
    after: Runner,
    *,
    points: Sequence[Point],
    comparisons: Sequence[Comparison],
    registry: CheckRegistry,
    mode: Mode,
    measured: Measured,
    limits: RepairLimits,
    told: Callable[[str], None],
) -> Repair:
    """Finds the fewest bits that turn degraded cases back without losing preserved ones.

    Layers are kept in 8 bits, and as the reference has them, in the orders of ``diagnosis.sensitivity``; see
    ``diagnosis.strategy``. What wins most points is then decoded on all the cases. ``diagnosis.further`` says what else
    was tried, by known answers alone.

    Args:
        reference: The trusted variant.
        candidate: The one that broke. Both are as they were afterwards.
        before: Runs the reference.
        after: Runs the candidate.
        points: Where cases are screened.
        comparisons: The degraded and preserved cases that are decoded; others are left out.
        registry: The checks by name.
        mode: How the candidate fails: a collapse is given up early.
        measured: What ``causal_tests`` gave; may be empty.
        limits: Bits and minutes.
        told: Given lines for people.

    Returns:
        Everything that was tried; ``chosen`` was decoded, and is to be verified yet.
    """
    clock = Clock(limits.minutes * _SCREENING)
    subject = _subject(candidate, before)
    cases = Cases(
        _those(comparisons, Transition.DEGRADED),
        _those(comparisons, Transition.PRESERVED),
        lambda asked: passes(candidate, asked, registry, told, clock.check),
    )
    as_is = _as_is(subject, cases)
    keepings = tuple(_keepings(reference, candidate, subject))
    objection = _objection(reference, candidate, subject, keepings, limits) or _no_memory(
        candidate, needed_bytes(after, points, subject, keepings, limits.max_bits)
    )
    if objection is not None:
        return Repair(as_is, (), None, reason=objection)
    cut = f"screening was cut short after {limits.minutes * _SCREENING:g} of {limits.minutes:g} minutes"
    try:
        screen = Screen(before, after, points, clock.check)
    except TimeUpError:
        return Repair(as_is, (), None, reason=f"nothing was tried: {cut}")
    if not screen.degraded:
        return Repair(as_is, (), None, reason="no degraded case breaks along its known answer: there is nothing to try")
    told(f"looking for layers to keep, by {len(screen.degraded)} degraded and {len(screen.preserved)} preserved cases")
    trials = Trials(subject, screen, cases, limits.max_bits, clock)
    late, collapsed = "", mode is Mode.COLLAPSE
    more: list[Trial] = []
    try:
        orders = _orders(before, after, screen, subject, measured=measured, told=told, clock=clock)
        screen_all(trials, keepings, orders, collapsed=collapsed)
        more.extend(further(trials, as_is, screen, before, after))
    except TimeUpError:
        late += f"; {cut}"
    clock.allow(limits.minutes)
    try:
        for protection in promising(trials, collapsed=collapsed):
            count = len(cases.degraded) + len(cases.preserved)
            told(f"decoding {count} cases at {protection.trial.bits:.2f} bits, kept by {protection.trial.way}")
            trials.decode(protection)
    except TimeUpError:
        late += f"; not all that is promising could be decoded within {limits.minutes:g} minutes"
    tried = (*(each.trial for each in trials.screened), *more, *(each.trial for each in trials.decoded))
    best = next(iter(ranked(tried)), None)
    reason = _reason(trials, best, limits, collapsed=collapsed) + late
    return Repair(as_is, tried, best, reason=reason)


def ranked(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials that were decoded and win cases, best first: cases won less those lost, then fewer bits."""
    decoded = (each for each in trials if each.stage == "decoded" and each.turned_back > each.lost)
    return tuple(sorted(decoded, key=lambda each: (each.lost - each.turned_back, each.bits)))


def _subject(candidate: LoadedModel, before: Runner) -> Subject:
    weights = {
        name: int(module.in_features) * int(module.out_features)
        for name, module in _modules(before.model)
        if isinstance(getattr(module, "in_features", None), int)
    }
    spec, head = candidate.variant.spec, before.architecture.head
    stored = stored_of(spec, weights, head, candidate.audit)
    return Subject(spec, candidate.model, stored, tuple(weights), head)


def _modules(model: Any) -> Iterator[tuple[str, Any]]:
    return iter(model.named_modules())  # an attribute of a module may be anything


def _those(comparisons: Iterable[Comparison], transition: Transition) -> tuple[Case, ...]:
    return tuple(each.case for each in comparisons if each.transition is transition)


def _as_is(subject: Subject, cases: Cases) -> Trial:
    """The candidate, which was answered and graded before."""
    return Trial(
        spec=str(subject.spec),
        kept=(),
        bits=subject.stored.mean_bits(),
        memory_bytes=subject.stored.memory_bytes,
        turned_back=0,
        degraded=len(cases.degraded),
        lost=0,
        preserved=len(cases.preserved),
        stage="verified",
        way="as it is",
    )


def _keepings(reference: LoadedModel, candidate: LoadedModel, subject: Subject) -> Iterator[Keeping]:
    """In what layers can be kept: what takes fewer bits, and so has room for more layers, first."""
    model, runs, spec = reference.model, candidate.model, reference.variant.spec
    plain = reference.variant.description.max_bits is None
    group = group_of(model, subject.stored.weights) if plain else None
    if group is not None:
        at = VariantSpec(_ROUNDED, scheme=f"{EIGHT_BITS}bit-g{group}")
        bits = describe(at).stored_bits
        yield Keeping(at, bits, Rounded(model, runs, group).donor, held=bits)
    if plain:
        brought = Brought(model, runs, rounded=spec.name != FP16.name)
        yield Keeping(FP16, describe(FP16).stored_bits, brought.donor)
    elif spec.name not in {MIX, STORED}:
        yield Keeping(bare(spec), reference.audit.bits_per_weight, Brought(model, runs).donor)


def _objection(
    reference: LoadedModel,
    candidate: LoadedModel,
    subject: Subject,
    keepings: Sequence[Keeping],
    limits: RepairLimits,
) -> str | None:
    """Why nothing can be tried; None when something can."""
    spec, bits = subject.spec, subject.stored.mean_bits()
    if (why := why_not(spec)) is not None:
        return f"no layer can be kept in higher precision: {why}"
    if spec.lora != reference.variant.spec.lora:
        return "no layer can be kept as the reference has it: only one of the two has this adapter"
    if bits >= limits.max_bits:
        allowed = f"{limits.max_bits:g} are allowed"
        return f"there is no room for protection: the candidate takes {bits:.2f} bits a weight as it is, and {allowed}"
    if not any(subject.stored.protectable(keeping.bits) for keeping in keepings):
        return f"the reference, {reference.variant.spec}, has no one precision above the candidate's to keep layers in"
    if not can_lend(reference.model, candidate.model, subject.stored.weights):
        ours, theirs = (f"{each.model.dtype}".removeprefix("torch.") for each in (reference, candidate))
        return (
            f"the reference computes in {ours} on {reference.variant.device}, the candidate in {theirs} on "
            f"{candidate.variant.device}, and layers of the reference's own kernels cannot be brought over"
        )
    return None


def _no_memory(candidate: LoadedModel, needed: int) -> str | None:
    """That the search does not fit beside both models; None when it does."""
    release_memory()
    device = candidate.variant.device
    available = available_bytes(device)
    if needed <= available:
        return None
    return (
        f"memory does not suffice: a search takes about {needed / _GIB:.1f} GiB beside the two models on {device}, and "
        f"{available / _GIB:.1f} GiB are available"
    )


def _orders(
    before: Runner,
    after: Runner,
    screen: Screen,
    subject: Subject,
    *,
    measured: Measured,
    told: Callable[[str], None],
    clock: Clock,
) -> Orders:
    """The orders over layers, as far as they can be had."""
    architecture, stored = after.architecture, subject.stored
    every = early_first(architecture)
    found = {
        "early layers": every,
        "kurtosis of weights": by_kurtosis(before.model, every),
        "most sensitive layers and components": by_effect(architecture, measured),
    }
    attribution = attribute(before.model, after, (*screen.degraded, *screen.preserved), every, clock.check)
    if attribution is None:
        told("layers cannot be put in order by their effect on the cases: only their own kernels know their weights")

    def orders(keeping: Keeping) -> Mapping[str, Sequence[str]]:
        gaining = set(stored.protectable(keeping.bits))
        fitting = {way: [name for name in order if name in gaining] for way, order in found.items() if order}
        if attribution is not None:
            cost = {name: stored.extra_bits([name], keeping.bits) for name in every if name in gaining}
            fitting["first-order effect on the cases"] = list(by_cover(attribution, cost))
        return fitting

    return orders


def _reason(trials: Trials, best: Trial | None, limits: RepairLimits, *, collapsed: bool) -> str:
    """What the search came to, one sentence without its full stop."""
    if best is not None:
        return (
            f"{best.turned_back} of {best.degraded} degraded cases pass again at {best.bits:.2f} bits a weight, and "
            f"{best.lost} of {best.preserved} preserved ones fail"
        )
    if trials.decoded:
        return f"none of {len(trials.decoded)} protections that were decoded wins more cases than it loses"
    screened, most = trials.screened, trials.best
    if most is None:
        return f"nothing was tried within {limits.max_bits:g} bits a weight"
    if promising(trials, collapsed=collapsed):
        return "what won cases along known answers was not decoded"
    ways = ", ".join(dict.fromkeys(each.trial.way for each in screened))
    told = (
        f"the best of {len(screened)} protections within {limits.max_bits:g} bits a weight turns "
        f"{most.trial.turned_back} of {most.trial.degraded} cases back and loses {most.trial.lost} of "
        f"{most.trial.preserved} ({ways})"
    )
    return f"protection does not help a collapse: {told}" if collapsed else told
