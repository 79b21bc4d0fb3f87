"""``--quant-stop-early``: which answers may be stopped, and why others are made whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import GoldenError
from pytest_quantgate.gate.measures import INDICATORS
from pytest_quantgate.plugin.verdicts import policy_of
from pytest_quantgate.variants.device import VLLM

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.plugin.session import QuantRun

READ_ANSWERS: Final = (*INDICATORS, "min_grader_agreement")
"""Limits that are judged by more of an answer than what its checks say."""


class Whole:
    """Knows which answers must be whole.

    Args:
        run: The session's run; it is asked nothing before everything is selected.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self._why: dict[str, str | None] = {}

    def asked(self, name: str, case: Case) -> Case:
        """A case as it is asked.

        Args:
            name: Name of its slice.
            case: The case.
        """
        if not self._run.options.stop_early or self.why(name) is not None:
            return case
        return replace(case, stops_early=True) if may_stop(case, self._run.book.registry) else case

    def why(self, name: str) -> str | None:
        """Why all answers to a slice must be whole; None when they need not be.

        Args:
            name: Name of the slice.
        """
        if name not in self._why:
            self._why[name] = self._reason(name)
        return self._why[name]

    def told(self, name: str) -> str:
        """What the option does to a slice, in one line.

        Args:
            name: Name of the slice.
        """
        why = self.why(name)
        if why is not None:
            return f"{name}: whole answers: {why}"
        cases = self._run.tally.cases(name)
        count = sum(self.asked(name, case).stops_early for case in cases)
        return f"{name}: {count} of {len(cases)} cases may stop early"

    def _reason(self, name: str) -> str | None:
        run = self._run
        if run.options.kernels == VLLM:
            return "vLLM makes them"
        policy = policy_of(run, name)
        limit = next((limit for limit in READ_ANSWERS if getattr(policy, limit) is not None), None)
        if limit is not None:
            return f"its gate has {limit}"
        if self._has_golden(name):
            return "it is compared with a golden"
        return "tests read them (quant_case)" if name in run.tally.read_by_tests else None

    def _has_golden(self, name: str) -> bool:
        options = self._run.options
        if options.anchored is not None:
            return True
        try:
            return any(self._run.goldens.of(name, spec) for spec in (options.reference, *options.candidates))
        except GoldenError:  # it is told where goldens are read
            return True


def may_stop(case: Case, registry: CheckRegistry) -> bool:
    """Whether an answer could be decided early: of one turn, not begun for the model, and all checks may tell.

    Args:
        case: The case.
        registry: The checks by name.
    """
    return not case.later and not case.answer_prefix and all(map(registry.may_decide, case.checks))
