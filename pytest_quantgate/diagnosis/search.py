"""The smallest protection that turns broken cases back. Imports torch: import it only to run models.

Layers of the reference take the places of the candidate's in memory, so that a trial costs passes over known answers
and no loading. The best protections are then decoded and graded. Where one of them goes wrong is a point for the next
round: known answers say little of what comes behind their first tokens, and decoded ones say all. The caller verifies
the best on a variant loaded afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.diagnosis.clock import Clock, TimeUpError
from pytest_quantgate.diagnosis.decoding import outcomes
from pytest_quantgate.diagnosis.donors import EIGHT_BITS, Brought, Rounded, can_lend, group_of
from pytest_quantgate.diagnosis.elsewhere import as_mix
from pytest_quantgate.diagnosis.faults import fault_of
from pytest_quantgate.diagnosis.further import further
from pytest_quantgate.diagnosis.lessons import Lessons
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Mode, Repair, Trial
from pytest_quantgate.diagnosis.orders import first_orders, orders_around
from pytest_quantgate.diagnosis.points import Chosen, Point
from pytest_quantgate.diagnosis.protection import RepairLimits, bare, stored_of, why_not
from pytest_quantgate.diagnosis.room import needed_bytes
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen
from pytest_quantgate.diagnosis.strategy import Orders, promising, screen_all
from pytest_quantgate.diagnosis.trials import Cases, Keeping, Protection, Subject, Trials
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.memory import available_bytes, release_memory
from pytest_quantgate.variants.mix import FP16
from pytest_quantgate.variants.registry import describe
from pytest_quantgate.variants.spec import MIX, VariantSpec
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.variant import LoadedModel

__all__ = ["RepairLimits", "ranked", "search"]

ROUNDS: Final = 4
"""So often a search screens and decodes at most."""

DECODED_TOKENS: Final = 16_000
"""Prompts and answers of the cases that are decoded have so many tokens at most, but for those that have points."""

_SCREENING: Final = 0.5  # share of the minutes for the first round's; the rest is for decoding and for further rounds
LATER: Final = 2
"""So many protections are decoded in a round after the first."""

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
    choose: Callable[[Sequence[Comparison]], Chosen],
    registry: CheckRegistry,
    mode: Mode,
    measured: Measured,
    limits: RepairLimits,
    told: Callable[[str], None],
) -> Repair:
    """Finds the fewest bits that turn degraded cases back without losing preserved ones.

    Layers are kept in 8 bits, and as the reference has them, in the orders of ``diagnosis.sensitivity``; see
    ``diagnosis.strategy``. What wins most points is then decoded on all the cases. Where it goes wrong is learned, and
    layers are put in order anew by their effect there too, around the best so far, until nothing goes wrong, no round
    brings anything new, ``ROUNDS`` are over, or the time is up. ``diagnosis.further`` says what else was tried, by
    known answers alone.

    Args:
        reference: The trusted variant.
        candidate: The one that broke. Both are as they were afterwards.
        before: Runs the reference.
        after: Runs the candidate.
        points: Where cases are screened.
        comparisons: The cases of the slice; degraded and preserved ones are decoded, up to ``DECODED_TOKENS``.
        choose: Finds places in cases that failed when they were decoded, as ``points_of`` does.
        registry: The checks by name.
        mode: How the candidate fails: a collapse is given up early.
        measured: What ``causal_tests`` gave; may be empty.
        limits: Bits and minutes.
        told: Given lines for people.

    Returns:
        Everything that was tried; ``chosen`` was decoded, and is to be verified yet.
    """
    clock = Clock(limits.minutes * _SCREENING)
    subject, why = _subject(reference, candidate, before)
    wanted = tuple(_decoded(comparisons, points))
    cases = Cases(
        _those(wanted, Transition.DEGRADED),
        _those(wanted, Transition.PRESERVED),
        lambda asked: outcomes(candidate, asked, registry, told, clock.check),
    )
    as_is = _as_is(candidate, subject, cases)
    if why is not None:
        return Repair(as_is, (), None, reason=f"no layer can be kept in higher precision: {why}")
    keepings = tuple(_keepings(reference, candidate, subject))
    objection = _objection(reference, candidate, subject, keepings, limits) or _no_memory(
        candidate, needed_bytes(after, points, subject, keepings, limits.max_bits)
    )
    if objection is not None:
        return Repair(as_is, (), None, reason=objection)
    cut = f"screening was cut short after {limits.minutes * _SCREENING:g} of {counted(limits.minutes, 'minute')}"
    try:
        screen = Screen(before, after, points, clock.check)
    except TimeUpError:
        return Repair(as_is, (), None, reason=f"nothing was tried: {cut}")
    if not screen.degraded_cases:
        return Repair(as_is, (), None, reason="no degraded case breaks along its known answer: there is nothing to try")
    counts = f"{len(screen.degraded_cases)} degraded and {len(screen.preserved_cases)} preserved cases"
    told(f"looking for layers to keep, by {counts}")
    trials = Trials(subject, screen, cases, limits.max_bits, clock)
    late, collapsed = "", mode is Mode.COLLAPSE
    orders: Orders = lambda _: {}  # noqa: E731  (until there are some)
    try:
        orders = first_orders(before, after, screen, subject, measured=measured, clock=clock)
        screen_all(trials, keepings, orders, collapsed=collapsed)
        for trial in further(trials, as_is, screen, before, after):
            trials.note(trial)
    except TimeUpError:
        late = f"; {cut}"
    lessons = Lessons(choose, cases.degraded, cases.preserved)

    def again(number: int) -> None:
        trials.look_anew()
        around = orders_around(before, after, screen, subject, trials, first=orders, number=number)
        screen_all(trials, keepings, around, collapsed=collapsed)

    clock.allow(limits.minutes)
    try:
        _decode(trials, promising(trials, collapsed=collapsed), told)
    except TimeUpError:
        late += f"; not all that is promising could be decoded within {counted(limits.minutes, 'minute')}"
    else:
        late += _rounds(trials, screen, lessons, again, minutes=limits.minutes, told=told, collapsed=collapsed)
    best = next(iter(ranked(trials.log)), None)
    reason = _reason(trials, best, limits, collapsed=collapsed) + late
    return Repair(as_is, trials.log, best, reason=reason)


def _rounds(
    trials: Trials,
    screen: Screen,
    lessons: Lessons,
    again: Callable[[int], None],
    *,
    minutes: float,
    told: Callable[[str], None],
    collapsed: bool,
) -> str:
    """Screen and decode again as long as there is something new to look at and to decode; how it broke off."""
    clock = trials.clock
    for number in range(2, ROUNDS + 1):
        late = ""
        try:
            lessons.learn(trials.decoded)
            clock.allow(minutes - LATER * trials.longest / 60)
            try:
                if not screen.learn(lessons.points):
                    break
                told(f"round {number}, with {counted(len(screen.points), 'place')} to look at")
                again(number)
            except TimeUpError:  # what was screened until then is decoded
                late = f"; round {number} was cut short by the limit of {counted(minutes, 'minute')}"
            clock.allow(minutes)
            if not _decode(trials, promising(trials, collapsed=collapsed)[:LATER], told) or late:
                return late
        except TimeUpError:
            return f"; round {number} was cut short by the limit of {counted(minutes, 'minute')}"
        except Exception as error:  # noqa: BLE001  (what was decoded before must not be lost to it)
            return f"; round {number} broke off: {fault_of(error)}"
    return ""


def _decode(trials: Trials, promising: Sequence[Protection], told: Callable[[str], None]) -> bool:
    """Decode some protections; whether there are any."""
    for each in promising:
        told(f"decoding at {each.trial.bits:.2f} bits, kept by {each.trial.way}")
        trials.decode(each)
    return bool(promising)


def ranked(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials that were decoded and win cases, best first: cases won less those lost, then fewer bits."""
    decoded = (each for each in trials if each.stage == "decoded" and each.net > 0)
    return tuple(sorted(decoded, key=lambda each: each.merit, reverse=True))


def _subject(reference: LoadedModel, candidate: LoadedModel, before: Runner) -> tuple[Subject, str | None]:
    """The candidate, and why nothing of it can be kept in higher precision; None when something can."""
    weights = {
        name: int(module.in_features) * int(module.out_features)
        for name, module in _modules(before.model)
        if isinstance(getattr(module, "in_features", None), int)
    }
    spec, head = candidate.variant.spec, before.architecture.head
    why = why_not(spec)
    if spec.name == STORED:
        try:
            spec = as_mix(candidate.variant, reference.variant, tuple(weights), head)
        except QuantgateError as error:
            why = f"the candidate's would have to stand among those of the reference's model, and {error.what}"
    stored = stored_of(spec, weights, head, candidate.audit)
    return Subject(spec, candidate.model, stored, tuple(weights), head), why


def _modules(model: Any) -> Iterator[tuple[str, Any]]:
    return iter(model.named_modules())  # an attribute of a module may be anything


def _decoded(comparisons: Iterable[Comparison], points: Iterable[Point]) -> Iterator[Comparison]:
    """The cases that are decoded: those with points, then by turns the shortest degraded and preserved that fit."""
    seen = {point.case_id for point in points}
    those = [each for each in comparisons if each.transition in {Transition.DEGRADED, Transition.PRESERVED}]
    yield from (each for each in those if each.case.id in seen)
    room = DECODED_TOKENS - sum(_tokens(each) for each in those if each.case.id in seen)
    others = [each for each in those if each.case.id not in seen]
    groups = (sorted(_those(others, each), key=_tokens) for each in (Transition.DEGRADED, Transition.PRESERVED))
    for each in chain.from_iterable(zip_longest(*groups)):
        if each is not None and _tokens(each) <= room:
            room -= _tokens(each)
            yield each


def _tokens(comparison: Comparison) -> int:
    """Tokens that the reference read and wrote in a case, all its turns together."""
    reference = comparison.reference
    answers = [turn.completion for turn in reference.turns or (reference,)]
    return sum(each.prompt_tokens + len(each.token_ids) for each in answers)


def _those(comparisons: Iterable[Comparison], transition: Transition) -> tuple[Comparison, ...]:
    return tuple(each for each in comparisons if each.transition is transition)


def _as_is(candidate: LoadedModel, subject: Subject, cases: Cases) -> Trial:
    """The candidate, which was answered and graded before."""
    return Trial(
        spec=str(candidate.variant.spec),
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
    if spec.here.lora != reference.variant.spec.here.lora:
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
