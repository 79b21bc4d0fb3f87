"""What the variants answered in this session, and what could not be had."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_quantgate.checks.judge.check import NAME as JUDGE
from pytest_quantgate.gate.controls import graded_again
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.turns import answered, look_up, next_requests
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.plugin.backends import SAME, same_as_reference
from pytest_quantgate.plugin.nearness import nearness
from pytest_quantgate.plugin.preparing import Models, prepared_another_way
from pytest_quantgate.plugin.several import several_at_a_time
from pytest_quantgate.plugin.trouble import Trouble
from pytest_quantgate.printable import visible
from pytest_quantgate.variants.schedule import another_schedule, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.generation.kept import RunCache
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.generation.run import Answers
    from pytest_quantgate.outcomes.model import Outcome
    from pytest_quantgate.plugin.book import CaseRef
    from pytest_quantgate.plugin.nearness import Nearness
    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.variants.served import ServedVariant
    from pytest_quantgate.variants.variant import Variant


JUDGED_AT_ONCE = 8


class AnswerBook:
    """The answers of the reference, of each candidate and of each control; every case is graded once per variant.

    Args:
        options: Which variants of which model.
        asked: Gives a case of a slice as it is asked: whether its answer may stop early.
        anchored: What a reference that is not run answered to a case of a slice; None for one that is run.
        registry: Gives the checks by name, which may stop an answer.

    Attributes:
        again: Stands for a spec: the reference, run another way.
        anew: Stands for a spec: the reference's same answers, graded a second time.
        variants: Prepared variants by spec, those that are served among them.
        answers: What they answered, by spec.
        troubles: Why a spec has no answers.
    """

    def __init__(
        self,
        options: Options,
        asked: Callable[[str, Case], Case],
        registry: Callable[[], CheckRegistry],
        anchored: Callable[[str, Case], Sequence[Completion]] | None = None,
    ) -> None:
        self._options = options
        self._asked = asked
        self._registry = registry
        self._anchored = anchored
        self.again = name_of(options.reference, another_schedule(kernels=options.noise_kernels))
        self.anew = graded_again(options.reference)
        self._cases: dict[str, dict[tuple[str, str], Case]] = {}
        self._outcomes: dict[tuple[str, str, str], Outcome] = {}
        self._models = Models(options)
        self._of_this_run: dict[str, RunCache] = {}
        self.variants: dict[str, Variant | ServedVariant] = {}
        self.answers: dict[str, Answers] = {}
        self.troubles: dict[str, Trouble] = {}
        self._nearness: Nearness | None = None

    @property
    def beside(self) -> tuple[str, ...]:
        """What answers beside the candidates, so that their verdicts can be trusted: controls, the second run."""
        return (*self._options.controls, *((self.again,) if self._options.noise_floor else ()))

    @property
    def specs(self) -> tuple[str, ...]:
        """Everything that answers in this run, each once: the reference first, its second run last."""
        options = self._options
        return tuple(dict.fromkeys((options.reference, *options.candidates, *self.beside)))

    @property
    def local(self) -> Variant | None:
        """The first prepared variant that runs here; None when none does."""
        from pytest_quantgate.variants.variant import Variant

        return next((each for each in self.variants.values() if isinstance(each, Variant)), None)

    def trouble(self, candidate: str) -> Trouble | None:
        """Why the candidate cannot be compared: its own trouble, or the reference's."""
        return self.troubles.get(self._options.reference) or self.troubles.get(candidate)

    @property
    def in_vain(self) -> bool:
        """Whether no candidate that was asked can be compared: then nobody else is asked, and no control judged."""
        asked = [spec for spec in self._options.candidates if spec in self._cases]
        return bool(asked) and all(self.trouble(spec) is not None for spec in asked)

    def make(self, wanted: Sequence[CaseRef], cache: CompletionCache, progress: Progress) -> None:
        """Let the reference answer every wanted case, then each candidate its own, and then the controls.

        What goes wrong with one variant is kept as its trouble and does not stop the others. An interrupt
        passes through; what was answered is in the cache. Called again, it asks what was not asked before.

        Args:
            wanted: The cases to compare, in the order of the items.
            cache: Where answers are looked up and kept.
            progress: Told how far it has come.
        """
        reference = self._options.reference
        fresh: dict[str, list[Case]] = {}
        for ref in wanted:
            for spec in (reference, ref.candidate):
                known = self._cases.setdefault(spec, {})
                if (ref.slice, ref.case.id) not in known:
                    case = self._asked(ref.slice, ref.case)
                    known[ref.slice, ref.case.id] = case
                    fresh.setdefault(spec, []).append(case)
        # all are prepared before one is run: what cannot work is told before minutes are spent on the rest
        before = set(self.troubles)
        self.prepare([spec for spec in self.specs if spec in fresh], progress.note)
        if not self.in_vain:
            for spec in [spec for spec in self.troubles if spec not in before]:
                progress.note(f"error: {self.troubles[spec].headline}; the others are asked without it")
        if self._options.fidelity and not self.answers and reference not in self.troubles:  # at the first look
            self._nearness = nearness(reference, self.variants, cache, progress.note)
        for spec in self.specs:
            if self.in_vain:
                return
            if spec in fresh and spec in self.variants and self.trouble(spec) is None:
                self._answer(spec, fresh[spec], cache, progress)

    def prepare(self, specs: Iterable[str], note: Callable[[str], None]) -> None:
        """Find the models and prepare variants of them, without loading anything.

        Args:
            specs: Some of ``specs``, the reference first.
            note: Told what takes long.
        """
        from pytest_quantgate.variants.device import split_devices

        options = self._options
        known = {*self.variants, *self.troubles, *([] if self._anchored is None else [options.reference])}
        missing = [spec for spec in specs if spec not in known]
        if not missing:
            return
        device = split_devices(options.device)[0]
        for spec in missing:
            if spec == self.again and options.reference not in self.variants:
                continue  # the reference's trouble is everybody's
            try:
                if spec == self.again:
                    self.variants[spec] = prepared_another_way(self.variants[options.reference], options)
                else:
                    self.variants[spec] = self._models.prepared(spec, device, note)
                    self._tell_if_same(spec, note)
            except Exception as error:  # noqa: BLE001  (whatever a model's files provoke must reach the items)
                self.troubles[spec] = Trouble.of(error)
                if spec == options.reference:
                    return  # nobody can be compared

    def _tell_if_same(self, spec: str, note: Callable[[str], None]) -> None:
        """Say of a candidate that its files are those of the reference, where its name does not say it.

        What servers tell of themselves may be the same of two.
        """
        from pytest_quantgate.variants.variant import Variant

        options = self._options
        one, other = self.variants.get(options.reference), self.variants[spec]
        if spec not in options.candidates or not isinstance(one, Variant) or not isinstance(other, Variant):
            return
        if one is not other and one.identity == other.identity and spec not in same_as_reference(options):
            note(f"{spec} {SAME}")

    def _cache(self, spec: str, cache: CompletionCache) -> CompletionCache | RunCache:
        """Where a variant's answers are looked up and kept.

        Those of a server that nobody knows are kept for this run and this address: two that tell nothing look alike.
        """
        from pytest_quantgate.generation.kept import RunCache
        from pytest_quantgate.variants.served import ServedVariant

        variant = self.variants[spec]
        if not isinstance(variant, ServedVariant) or variant.kept:
            return cache
        return self._of_this_run.setdefault(spec, RunCache())

    def _answer(self, spec: str, cases: Sequence[Case], cache: CompletionCache, progress: Progress) -> None:
        from pytest_quantgate.generation.run import answer
        from pytest_quantgate.variants.device import split_devices
        from pytest_quantgate.variants.variant import Variant, on_device

        in_turns = [case for case in cases if case.later]

        def more(completions: Mapping[str, Completion]) -> list[Request]:
            return next_requests(in_turns, completions)

        try:
            requests = [Request.of(case) for case in cases]
            variant = self.variants[spec]
            elsewhere = (
                [on_device(variant, device) for device in split_devices(self._options.device)[1:]]
                if isinstance(variant, Variant)
                else []
            )
            found = answer(
                variant,
                requests,
                self._cache(spec, cache),
                progress,
                more,
                elsewhere=elsewhere,
                then=None if self._nearness is None else self._nearness.then(spec, cases, progress),
                registry=self._registry(),
            )
        except Exception as error:  # noqa: BLE001  (libraries raise anything; it must reach the items, not end the run)
            self.troubles[spec] = Trouble.of(error)
            return
        before = self.answers.get(spec)
        if before is not None:
            completions = {**before.completions, **found.completions}
            again = sum(not each.lasting for digest, each in before.completions.items() if digest in found.completions)
            generated = before.generated + found.generated - again  # those were not kept
            found = replace(found, completions=completions, cached=len(completions) - generated, generated=generated)
        self.answers[spec] = found

    def kept(self, cache: CompletionCache) -> int:
        """How many of the wanted answers the cache holds."""
        registry = self._registry()
        return sum(
            len(look_up(tuple(self._cases[spec].values()), partial(cache.get, variant.identity.digest), registry))
            for spec, variant in self.variants.items()
        )

    def ask_judge(self, wanted: Sequence[CaseRef], registry: CheckRegistry) -> None:
        """Grade the cases that a judge is asked about, several at a time: each takes seconds, spent on waiting.

        An interrupt waits for no verdict; those that came are kept.

        Args:
            wanted: The cases to compare.
            registry: The checks by name.
        """
        judged = [ref for ref in wanted if self.trouble(ref.candidate) is None and _needs_judge(ref.case)]
        several_at_a_time(lambda ref: self.comparison(ref, registry), judged, JUDGED_AT_ONCE)

    def judged(self, wanted: Iterable[CaseRef]) -> dict[tuple[str, str, str], Outcome]:
        """How cases that a judge is asked about were graded here, by variant, slice and case; controls left out.

        Args:
            wanted: The cases to compare.
        """
        compared = (self._options.reference, *self._options.candidates)
        cases = {(ref.slice, ref.case.id) for ref in wanted if _needs_judge(ref.case)}
        return {key: found for key, found in self._outcomes.items() if key[0] in compared and key[1:] in cases}

    def take(self, graded: Mapping[tuple[str, str, str], Outcome]) -> None:
        """Know how another process graded cases, by variant, slice and case."""
        self._outcomes.update(graded)

    @property
    def reference_answered(self) -> bool:
        """Whether the reference answered in this run, whatever became of the candidates."""
        reference = self._options.reference
        return reference in self.answers and reference not in self.troubles

    def of_reference(self, ref: CaseRef, registry: CheckRegistry) -> Outcome:
        """What the reference answered to a case that it was asked, graded; only where it has no trouble."""
        return self._outcome(self._options.reference, ref, registry)

    def comparison(self, ref: CaseRef, registry: CheckRegistry) -> Comparison:
        """One case on the reference and on one candidate or control; only for those without trouble."""
        reference = self._outcome(self._options.reference, ref, registry)
        candidate = self._outcome(ref.candidate, ref, registry)
        return Comparison(ref.case, reference, candidate)

    def receive(self, ref: CaseRef, reference: Outcome, candidate: Outcome) -> None:
        """Know how another process graded a case; what was graded here already stays as it is."""
        for spec, outcome in ((self._options.reference, reference), (ref.candidate, candidate)):
            self._outcomes.setdefault((spec, ref.slice, ref.case.id), self._with_nearness(spec, ref, outcome))

    def _outcome(self, spec: str, ref: CaseRef, registry: CheckRegistry) -> Outcome:
        key = (spec, ref.slice, ref.case.id)
        if key not in self._outcomes:
            completions = [
                # a chat template may have worded the problem
                each if each.problem is None else replace(each, problem=visible(each.problem))
                for each in self._completions(self._options.reference if spec == self.anew else spec, ref)
            ]
            self._outcomes[key] = self._with_nearness(spec, ref, outcome_of_turns(ref.case, completions, registry))
        return self._outcomes[key]

    def _with_nearness(self, spec: str, ref: CaseRef, outcome: Outcome) -> Outcome:
        before = self.answers.get(self._options.reference)
        if self._nearness is None or before is None:
            return outcome
        return self._nearness.added(spec, self._asked(ref.slice, ref.case), before.completions, outcome)

    def _completions(self, spec: str, ref: CaseRef) -> Sequence[Completion]:
        if self._anchored is not None and spec == self._options.reference:
            return self._anchored(ref.slice, ref.case)
        return answered(self._asked(ref.slice, ref.case), self.answers[spec].completions)


def _needs_judge(case: Case) -> bool:
    return any(spec.name == JUDGE for checks in (case.checks, *(turn.checks for turn in case.later)) for spec in checks)
