"""``--quant-diagnose``: why the gates of a run failed, looked for when its verdicts stand and its report is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.plugin import hooks, terminal
from pytest_quantgate.printable import visible

if TYPE_CHECKING:
    import pytest

    from pytest_quantgate.diagnosis.protection import RepairLimits
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.variants.variant import Variant

OPTION = "--quant-diagnose"


def register_architectures(config: pytest.Config) -> None:
    """Let other plugins describe architectures, before anything is collected.

    Raises:
        pytest.UsageError: One of them fails at it.
    """
    from pytest_quantgate.diagnosis.architecture import ArchitectureRegistry

    hooks.call(config, "pytest_quantgate_register_architectures", ArchitectureRegistry())


def diagnosed(run: QuantRun, report: RunReport) -> RunReport:
    """The report with why each broken gate failed, as far as that could be found out; whatever goes wrong is told.

    Args:
        run: The session's run, its gates judged.
        report: The whole run.
    """
    from pytest_quantgate.commands.broken import broken_gates, unexplained
    from pytest_quantgate.commands.diagnose import Means, diagnosed, with_diagnosis
    from pytest_quantgate.diagnosis.faults import fault_of

    try:
        means = Means(run.book.registry, _limits(run.options.diagnose_minutes), terminal.progress(run.config))
        gates = broken_gates(report, where=OPTION)
        for odd in unexplained(report, where=OPTION):
            _tell(run, f"no diagnosis: {odd}")
        for gate in gates:
            try:
                reference, candidate = (_variant(run, report, spec) for spec in (report.reference.spec, gate.candidate))
                report = with_diagnosis(report, diagnosed(report, gate, reference, candidate, means))
            except Exception as error:  # noqa: BLE001  (a library's fault in one gate must not stop the others)
                why = str(error) if isinstance(error, QuantgateError) else fault_of(error)
                _tell(run, f"no diagnosis of {gate.slice} on {gate.candidate}: {why}")
    except QuantgateError as error:
        _tell(run, f"no diagnosis: {error}")
    except KeyboardInterrupt:
        _tell(run, "the diagnosis was interrupted; the verdicts stand")
    except Exception as error:  # noqa: BLE001  (a library's fault in here must not hide the verdicts)
        _tell(run, f"no diagnosis: internal error: {type(error).__name__}: {error}")
    return report


def _limits(minutes: float | None) -> RepairLimits | None:
    """Of the search for a repair; None where none is wanted."""
    from pytest_quantgate.diagnosis.protection import RepairLimits

    if minutes is None:
        return RepairLimits()
    return RepairLimits(minutes=minutes) if minutes else None


def _variant(run: QuantRun, report: RunReport, spec: str) -> Variant:
    """A variant of the run, which is prepared already.

    Raises:
        QuantgateError: It cannot be looked into.
    """
    from pytest_quantgate.commands.broken import refuse_unseen
    from pytest_quantgate.variants.device import members
    from pytest_quantgate.variants.variant import Variant, prepare_variant

    refuse_unseen(report, spec, OPTION)
    variant = run.answers.variants.get(spec)
    if not isinstance(variant, Variant):
        raise QuantgateError("it was not prepared", where=f"variant {spec!r}")
    if variant.offline:  # looked into as transformers runs it
        return prepare_variant(spec, variant.model, device=members(variant.device)[0])
    return variant


def _tell(run: QuantRun, text: str) -> None:
    terminal.line(run.config, visible(text, keep="\n"))
