"""Gates quantized language models in pytest, slice by slice.

The public names below are loaded when they are first used: importing this package costs nothing and
never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.cases.load import load_slice, load_slices
    from pytest_quantgate.cases.model import Case, CheckSpec, Message, Slice, Turn
    from pytest_quantgate.checks.builtin import builtin_registry
    from pytest_quantgate.checks.grade import grade_answer
    from pytest_quantgate.checks.model import Answer, CheckResult, Recall
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.errors import (
        AuditError,
        ModelError,
        Problem,
        QuantgateError,
        SliceError,
        SpecError,
        UsageError,
    )
    from pytest_quantgate.gate.model import GateResult, Verdict
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.outcomes.model import Comparison, Outcome, Transition
    from pytest_quantgate.outcomes.transitions import TransitionCounts
    from pytest_quantgate.report.model import RunReport

__all__ = [
    "Answer",
    "AuditError",
    "Case",
    "CheckRegistry",
    "CheckResult",
    "CheckSpec",
    "Comparison",
    "Completion",
    "GatePolicy",
    "GateResult",
    "Message",
    "ModelError",
    "Outcome",
    "Problem",
    "QuantgateError",
    "Recall",
    "RunReport",
    "Slice",
    "SliceError",
    "SpecError",
    "Transition",
    "TransitionCounts",
    "Turn",
    "UsageError",
    "Verdict",
    "builtin_registry",
    "grade_answer",
    "load_slice",
    "load_slices",
]

if not TYPE_CHECKING:  # a type checker must see the names above only, not any name at all
    _HOMES = {
        "cases.load": {"load_slice", "load_slices"},
        "cases.model": {"Case", "CheckSpec", "Message", "Slice", "Turn"},
        "checks.grade": {"grade_answer"},
        "checks.model": {"Answer", "CheckResult", "Recall"},
        "checks.builtin": {"builtin_registry"},
        "checks.registry": {"CheckRegistry"},
        "gate.model": {"GateResult", "Verdict"},
        "gate.policy": {"GatePolicy"},
        "generation.completion": {"Completion"},
        "outcomes.model": {"Comparison", "Outcome", "Transition"},
        "outcomes.transitions": {"TransitionCounts"},
        "report.model": {"RunReport"},
    }

    def __getattr__(name: str) -> object:
        """A public name, from the module that defines it."""
        if name not in __all__:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        home = next((module for module, names in _HOMES.items() if name in names), "errors")
        return getattr(import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
