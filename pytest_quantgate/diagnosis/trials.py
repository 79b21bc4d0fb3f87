"""Protections of a candidate, tried in memory one after another. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile

from torch import nn

from pytest_quantgate.cases.model import Case
from pytest_quantgate.diagnosis.clock import Clock
from pytest_quantgate.diagnosis.model import Trial
from pytest_quantgate.diagnosis.protection import Stored, protect
from pytest_quantgate.diagnosis.screening import Screen, Screened
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.outcomes.model import Comparison, Outcome, Transition
from pytest_quantgate.variants.spec import VariantSpec


@dataclass(frozen=True, slots=True)
class Keeping:
    """A precision in which layers are kept.

    Attributes:
        at: As a spec.
        bits: Of a weight, scales included.
        donor: Gives a model that holds some layers in it, by their full names.
        held: Bits of a weight that stay in memory from one trial to the next.
    """

    at: VariantSpec
    bits: float
    donor: Callable[[Sequence[str]], nn.Module]
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class Protection:
    """Some layers that are kept, and what came of it.

    Attributes:
        names: Full names of the layers, the most important first.
        keeping: How they are kept.
        trial: What is told of it.
        screened: What became of each point.
        fails: Where it was decoded, the cases that fail with it: the reference's outcome and its own.
    """

    names: tuple[str, ...]
    keeping: Keeping
    trial: Trial
    screened: Screened
    fails: tuple[Comparison, ...] = ()

    @property
    def key(self) -> tuple[frozenset[str], VariantSpec]:
        """What no other protection has."""
        return frozenset(self.names), self.keeping.at

    @property
    def merit(self) -> tuple[int, float]:
        """That of its trial."""
        return self.trial.merit


@dataclass(frozen=True, slots=True)
class Subject:
    """The candidate that is protected.

    Attributes:
        spec: Its spec, or the mix that it is, of which protections are made.
        model: It itself, loaded.
        stored: What its layers take.
        linear: Full names of all linear layers, the output head among them.
        head: That of the output head.
    """

    spec: VariantSpec
    model: nn.Module
    stored: Stored
    linear: tuple[str, ...]
    head: str


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases that are decoded.

    Attributes:
        degraded: Those that broke.
        preserved: Those that pass with both variants.
        outcomes: Answers cases with the subject's model as it is now, by id.
    """

    degraded: tuple[Comparison, ...]
    preserved: tuple[Comparison, ...]
    outcomes: Callable[[Sequence[Case]], Mapping[str, Outcome]]


class Trials:
    """Everything that is tried on one candidate, each protection once.

    Args:
        subject: The candidate.
        screen: Its points.
        cases: What is decoded.
        max_bits: Mean bits that a protection may take.
        clock: How long.
    """

    def __init__(self, subject: Subject, screen: Screen, cases: Cases, max_bits: float, clock: Clock) -> None:
        self._subject = subject
        self._screen = screen
        self._cases = cases
        self._max_bits = max_bits
        self._clock = clock
        self._screened: dict[tuple[frozenset[str], VariantSpec], Protection] = {}
        self._decoded: list[Protection] = []
        self._log: list[Trial] = []
        self._longest = 0.0

    @property
    def log(self) -> tuple[Trial, ...]:
        """Everything that was tried, in order, and what was noted beside it."""
        return tuple(self._log)

    @property
    def screened(self) -> tuple[Protection, ...]:
        """What was screened by the points of today, in order."""
        return tuple(self._screened.values())

    @property
    def decoded(self) -> tuple[Protection, ...]:
        """What was decoded, in order."""
        return tuple(self._decoded)

    @property
    def longest(self) -> float:
        """Seconds of the longest decoding."""
        return self._longest

    @property
    def clock(self) -> Clock:
        """How long it may go on."""
        return self._clock

    @property
    def best(self) -> Protection | None:
        """Of what was screened, the one of most merit, the first of equals; None when nothing was."""
        return max(self.screened, key=lambda each: each.merit, default=None)

    @property
    def best_decoded(self) -> Protection | None:
        """Of what was decoded, the one of most merit, the first of equals; None when nothing was."""
        return max(self._decoded, key=lambda each: each.merit, default=None)

    @property
    def weights(self) -> int:
        """Number of weights of all linear layers but the output head."""
        return sum(self._subject.stored.weights.values())

    @property
    def room(self) -> float:
        """Bits that may be added to those of all weights together."""
        return (self._max_bits - self._subject.stored.mean_bits()) * self.weights

    def gaining(self, order: Iterable[str], keeping: Keeping) -> tuple[str, ...]:
        """The layers of an order that the candidate stores in fewer bits than they are kept in."""
        gaining = set(self._subject.stored.protectable(keeping.bits))
        return tuple(name for name in order if name in gaining)

    def within_budget(self, order: Iterable[str], keeping: Keeping) -> tuple[str, ...]:
        """The first layers of an order that gain and that the budget of bits has room for.

        Those that alone are too large are passed over.
        """
        room, stored = self.room, self._subject.stored
        gaining = self.gaining(order, keeping)
        costs = {name: cost for name in gaining if (cost := stored.extra_bits([name], keeping.bits)) <= room}
        taken = takewhile(lambda each: each[1] <= room, zip(costs, accumulate(costs.values()), strict=True))
        return tuple(name for name, _ in taken)

    def screen(self, names: Sequence[str], keeping: Keeping, way: str) -> Protection:
        """What comes of keeping some layers, by known answers.

        Args:
            names: Full names of the layers, the most important first; at least one.
            keeping: How they are kept.
            way: How they were chosen, for people.

        Raises:
            TimeUpError: No time is left.
        """
        key = (frozenset(names), keeping.at)
        if key not in self._screened:
            self._clock.check()
            found = self._screen.tried(keeping.donor(names), names)
            trial = Trial(
                *self._told(names, keeping),
                turned_back=len(found.turned),
                degraded=len(self._screen.degraded_cases),
                lost=len(found.lost),
                preserved=len(self._screen.preserved_cases),
                stage="screened",
                way=way,
            )
            self._screened[key] = Protection(tuple(names), keeping, trial, found)
            self.note(trial)
        return self._screened[key]

    def note(self, trial: Trial) -> None:
        """Put something into the log that was tried otherwise."""
        self._log.append(trial)

    def look_anew(self) -> None:
        """Forget what was screened, since the screen has other points now; it stays in the log."""
        self._screened.clear()

    def decode(self, protection: Protection) -> None:
        """Answers and grades the cases with a protection; a preserved case that is unscored then is lost.

        Raises:
            TimeUpError: No time is left, or less than the longest decoding so far took.
        """
        self._clock.check(self._longest)
        began = self._clock.now()
        cases, names = self._cases, protection.names
        with swapped(self._subject.model, protection.keeping.donor(names), names):
            found = cases.outcomes([each.case for each in (*cases.degraded, *cases.preserved)])
        self._longest = max(self._longest, self._clock.now() - began)
        before, after = (
            [replace(each, candidate=found[each.case.id]) for each in those]
            for those in (cases.degraded, cases.preserved)
        )
        trial = replace(
            protection.trial,
            turned_back=sum(each.candidate.passed is True for each in before),
            degraded=len(before),
            lost=sum(each.candidate.passed is not True for each in after),
            preserved=len(after),
            stage="decoded",
        )
        fails = tuple(each for each in (*before, *after) if each.transition is Transition.DEGRADED)
        self._decoded.append(replace(protection, trial=trial, fails=fails))
        self.note(trial)

    def _told(self, names: Collection[str], keeping: Keeping) -> tuple[str, tuple[str, ...], float, int]:
        """Spec, names in it, bits and bytes of a protection."""
        subject, stored = self._subject, self._subject.stored
        spec, kept = protect(subject.spec.here, names, keeping.at, linear=subject.linear, head=subject.head)
        return str(spec), kept, stored.mean_bits(names, keeping.bits), stored.memory(names, keeping.bits)
