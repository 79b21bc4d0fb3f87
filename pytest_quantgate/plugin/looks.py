"""Who is asked when: everything at once, or look by look, until the gates of a slice are decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.plugin import terminal
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.options import SEED
from pytest_quantgate.plugin.verdicts import judge_all, policy_of, trouble_beside, whole_slices

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.gate.model import GateResult, Look, Role
    from pytest_quantgate.gate.sequential import PlannedLook
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.plugin.session import QuantRun


@dataclass(slots=True)
class _Plan:
    """The looks at one slice.

    Attributes:
        order: Its selected cases, in the order in which they are asked.
        planned: Its looks.
        made: How many of them were made.
        asked: Ids of the cases that were asked.
        before: What earlier looks found, by role and spec.
        found: The same with the last look.
    """

    order: Sequence[Case]
    planned: Sequence[PlannedLook]
    made: int = 0
    asked: set[str] = field(default_factory=set)
    before: dict[tuple[Role, str], tuple[Look, ...]] = field(default_factory=dict)
    found: dict[tuple[Role, str], tuple[Look, ...]] = field(default_factory=dict)

    def go_on(self) -> None:
        """Ask the cases of the next look."""
        self.before = dict(self.found)
        self.made += 1
        self.asked.update(case.id for case in self.order[: self.planned[self.made - 1].cases])


class Looks:
    """The looks of a run; where it is not sequential, every case is asked and nothing is looked at before the end.

    Args:
        run: The session's run.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self._plans: dict[str, _Plan] = {}

    def asked(self, name: str, case_id: str) -> bool:
        """Whether a case of a slice is asked."""
        return name not in self._plans or case_id in self._plans[name].asked

    def cases(self, name: str) -> list[Case]:
        """The selected cases of a slice that are asked."""
        return [case for case in self._run.tally.cases(name) if self.asked(name, case.id)]

    @property
    def controlled(self) -> list[str]:
        """The slices that controls and the reference's second run are asked: those that can get a verdict."""
        run = self._run
        whole = frozenset() if run.answers.in_vain else whole_slices(run)
        return [name for name in run.tally.slices if name in whole]

    def beside(self) -> list[CaseRef]:
        """The cases that are asked of controls and of the reference's second run."""
        run = self._run
        return [
            CaseRef(name, case, spec)
            for name in self.controlled
            for spec in run.answers.beside
            for case in self.cases(name)
        ]

    def why_not_asked(self, ref: CaseRef) -> str | None:
        """Why a case has no result; None for one that was asked."""
        if self.asked(ref.slice, ref.case.id):
            return None
        plan = self._plans[ref.slice]
        return f"not asked: after {len(plan.asked)} of {len(plan.order)} cases more would not change the verdict"

    def told(self) -> dict[str, list[str]]:
        """By slice, the ids of the cases that were asked; nothing of a run in which every case is."""
        return {name: sorted(plan.asked) for name, plan in self._plans.items()}

    def take(self, told: Mapping[str, Collection[str]]) -> None:
        """Know who was asked from what another process told."""
        for name, asked in told.items():
            self._plans[name] = _Plan(self._run.tally.cases(name), planned=(), asked=set(asked))

    def look_of(self, name: str) -> PlannedLook | None:
        """The last look that was made at a slice; None in a run that is not sequential."""
        plan = self._plans.get(name)
        return None if plan is None else plan.planned[plan.made - 1]

    def earlier(self, name: str, role: Role, candidate: str) -> tuple[Look, ...]:
        """What a gate found at the looks before its last one."""
        plan = self._plans.get(name)
        return () if plan is None else plan.before.get((role, candidate), ())

    def ask(self, cache: CompletionCache) -> None:
        """Let everybody answer, look by look.

        Args:
            cache: Where answers are looked up and kept.
        """
        run = self._run
        if run.options.sequential:
            self._plan()
        progress = terminal.progress(run.config)
        open_ = list(self._plans)
        while True:
            for name in open_:
                self._plans[name].go_on()
            self._tell(open_)
            wanted = self._wanted()
            run.answers.make(wanted, cache, progress)
            run.answers.ask_judge(wanted, run.book.registry)
            run.answers.ask_judge(self._regraded(), run.book.registry)
            open_ = [name for name in open_ if self._plans[name].made < len(self._plans[name].planned)]
            open_ = self._undecided(open_) if open_ else []
            if not open_:
                return

    def _plan(self) -> None:
        from pytest_quantgate.gate.sequential import PlannedLook, looks, order

        run, whole = self._run, whole_slices(self._run)
        for name in run.tally.slices:
            cases = order(run.tally.cases(name), SEED)
            planned = looks(cases, policy_of(run, name).min_cases)
            if name not in whole:  # it is never decided, so one look is enough
                planned = (PlannedLook(len(cases), 1.0),)
            self._plans[name] = _Plan(cases, planned)

    def _regraded(self) -> list[CaseRef]:
        """The cases that a negative control without a noise floor grades a second time."""
        run = self._run
        if run.options.noise_floor or not run.options.controls:
            return []
        return [CaseRef(name, case, run.answers.anew) for name in self.controlled for case in self.cases(name)]

    def _wanted(self) -> list[CaseRef]:
        """All that is to be answered so far; every case of a Python test, which is no part of a gate."""
        run = self._run
        gated = {nodeid for nodeid, _ in run.tally.all_selected()}
        wanted = [
            ref for nodeid, ref in run.tally.wanted.items() if nodeid not in gated or self.asked(ref.slice, ref.case.id)
        ]
        return wanted + self.beside()

    def _undecided(self, names: Sequence[str]) -> list[str]:
        """Those of some slices whose gates need another look, after all gates were judged."""
        run = self._run
        found = judge_all(
            run,
            lambda name, spec: [ref for ref in run.tally.refs(name, spec) if self.asked(name, ref.case.id)],
            resample=False,
        )
        by_slice: dict[str, list[GateResult]] = {name: [] for name in names}
        for result in found:
            if result.slice in by_slice:
                by_slice[result.slice].append(result)
                if result.evidence is not None:
                    self._plans[result.slice].found[result.role, result.candidate] = result.evidence.looks
        hopeless = trouble_beside(run) is not None
        return [name for name in names if not hopeless and not self._decided(by_slice[name])]

    def _decided(self, results: Sequence[GateResult]) -> bool:
        """Whether more cases would not change a verdict: each is there, or a control has ruled them out."""
        ruled_out = {"positive control": Verdict.PASS, "negative control": Verdict.FAIL}
        if any(ruled_out.get(result.role) is result.verdict for result in results):
            return True
        return all(
            result.verdict is not Verdict.INCONCLUSIVE or self._run.answers.trouble(result.candidate) is not None
            for result in results
        )

    def _tell(self, names: Sequence[str]) -> None:
        plans = {name: self._plans[name] for name in names if len(self._plans[name].planned) > 1}
        if plans:
            counts = ", ".join(f"{name} {len(plan.asked)} of {len(plan.order)}" for name, plan in plans.items())
            terminal.line(self._run.config, f"look {max(plan.made for plan in plans.values())}: cases of {counts}")
