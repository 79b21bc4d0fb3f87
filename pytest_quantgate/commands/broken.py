"""What of a run can be diagnosed: its broken gates, and the variants behind them as models on this machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.commands.rerun import refuse_unknown
from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.golden.model import REFERENCE
from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.outcomes.model import Comparison, Outcome
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import VariantRecord
    from pytest_quantgate.variants.source import ModelSource
    from pytest_quantgate.variants.variant import Variant

_NOT_NUMBERS: Final = "their logits are not numbers"


def broken_gates(
    report: RunReport, *, where: str, slice_: str | None = None, candidate: str | None = None
) -> tuple[GateResult, ...]:
    """The gates to diagnose, worst first: those with the largest share of degraded cases.

    Args:
        report: The run.
        where: Its file, for errors.
        slice_: Name of the only slice; None for all.
        candidate: Spec of the only candidate; None for all.

    Returns:
        Gates with degraded cases: those that did not pass, and where one is named also those that did.

    Raises:
        UsageError: There is none.
    """
    refuse_unknown("slice", slice_, [each.name for each in report.slices], where)
    refuse_unknown("candidate", candidate, [each.spec for each in report.candidates], where)
    named = slice_ is not None or candidate is not None
    gates = [each for each in report.gates if slice_ in (None, each.slice) and candidate in (None, each.candidate)]
    broken = [each for each in gates if each.statistics.counts.pf]
    chosen = [each for each in broken if named or each.verdict is not Verdict.PASS]
    if not chosen:
        which = "".join(f" {how} {name}" for how, name in (("of", slice_), ("on", candidate)) if name is not None)
        if broken:
            hint = "name what to look at all the same: quantgate diagnose RUN.json --slice SLICE --candidate SPEC"
            raise UsageError(f"every gate with degraded cases passed{which}", where=where, hint=hint)
        raise _none_degraded(report, gates, which, where)
    return tuple(sorted(chosen, key=lambda each: -(each.statistics.counts.pass_to_fail_rate or 0.0)))


def unexplained(
    report: RunReport, *, where: str, slice_: str | None = None, candidate: str | None = None
) -> Iterator[UsageError]:
    """Why gates are not diagnosed that one could expect it of: they failed, or cases are unscored, and none degraded.

    Args:
        report: The run.
        where: Its file, for errors.
        slice_: Name of the only slice; None for all.
        candidate: Spec of the only candidate; None for all.

    Yields:
        One error for each such gate.
    """
    for gate in report.gates:
        if slice_ in (None, gate.slice) and candidate in (None, gate.candidate):
            statistics = gate.statistics
            odd = gate.verdict is Verdict.FAIL or (gate.verdict is not Verdict.PASS and statistics.unscored)
            if odd and not statistics.counts.pf:
                yield _none_degraded(report, [gate], f" of {gate.slice} on {gate.candidate}", where)


def _none_degraded(report: RunReport, gates: Sequence[GateResult], which: str, where: str) -> UsageError:
    comparisons = [each for gate in gates for each in report.comparisons(gate.slice, gate.candidate)]
    unscored, hint = _unscored(comparisons)
    return UsageError(f"no case degraded{which}{unscored}", where=where, hint=hint)


def _unscored(comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """How many cases are unscored and why, as the end of a sentence; empty when none is. And what to do then."""
    sides = [
        each.reference if each.reference.passed is None else each.candidate
        for each in comparisons
        if each.transition is Transition.UNSCORED
    ]
    if not sides:
        return "", "a diagnosis looks at cases that the reference passes and the candidate fails"
    reasons = Counter(_why(each) for each in sides)
    why = min(reasons, key=lambda reason: (-reasons[reason], reason))  # the order of the cases must not choose
    hint = "a case that is unscored has not failed: `quantgate show` says what one of them ran into"
    if why == _NOT_NUMBERS:
        hint = "check the weights; and half precision may overflow: run again with --quant-compute-dtype float32"
    most = "" if len(reasons) == 1 else ", most often"
    return f"; {len(sides)} of {len(comparisons)} cases are unscored{most}: {why}", hint


def _why(outcome: Outcome) -> str:
    """Why an outcome is unscored; how far an answer came until its logits were not numbers does not matter."""
    first = next((each for each in outcome.turns if each.passed is None), outcome).completion
    if first.finish_reason == "invalid" and first.prompt_tokens:  # one without a prompt could not be rendered
        return _NOT_NUMBERS
    return outcome.unscored or "no reason given"


def refuse_unseen(report: RunReport, spec: str, where: str) -> None:
    """Refuse a variant whose activations nobody can see.

    Raises:
        UsageError: It was not run, or is served; or its answers were recorded elsewhere.
        SpecError: Its spec is none.
    """
    from pytest_quantgate.variants.spec import parse_spec

    if not report.base_command:
        hint = "run the slices with pytest, which runs the models, and diagnose that run"
        raise UsageError("its answers were recorded elsewhere: there is no model to look into", where=where, hint=hint)
    if spec.startswith(REFERENCE):
        hint = f"run again with --quant-ref {spec.removeprefix(REFERENCE)}, and diagnose that run"
        raise UsageError(f"nothing of {spec} is run: its answers are anchored ones", where=where, hint=hint)
    if parse_spec(spec).served:
        hint = "run the same weights here, and diagnose that run: --quant-model MODEL --quant-cand SPEC"
        raise UsageError(f"{spec} is served: a server does not show its activations", where=where, hint=hint)


def refuse_stopped(report: RunReport, gates: Sequence[GateResult], where: str) -> None:
    """Refuse gates whose answers were stopped early: a diagnosis reads them to their end.

    Raises:
        UsageError: One of their answers was stopped.
    """
    for gate in gates:
        for each in report.comparisons(gate.slice, gate.candidate):
            if "decided" in {each.reference.completion.finish_reason, each.candidate.completion.finish_reason}:
                hint = "run again without --quant-stop-early, and diagnose that run"
                raise UsageError(f"answers to {gate.slice} were stopped early", where=where, hint=hint)


def variant_of(report: RunReport, spec: str, note: Callable[[str], None], folder: Path | None = None) -> Variant:
    """A variant of a stored run, prepared as the run had it; nothing is downloaded for a report of anybody.

    Args:
        report: The run.
        spec: Its reference or one of its candidates.
        note: Told what takes long.
        folder: The folder that the run was made in, from which its relative paths are seen; the current one when None.

    Raises:
        ModelError: The model is not on this machine, or not whole.
        QuantgateError: The variant cannot be had here.
    """
    from pytest_quantgate.variants.device import VLLM
    from pytest_quantgate.variants.mix import models_in
    from pytest_quantgate.variants.seen import model_from
    from pytest_quantgate.variants.spec import parse_spec
    from pytest_quantgate.variants.variant import prepare_variant

    record = record_of(report, spec)
    base = folder if record.folder is None else (folder or Path()) / record.folder
    parsed = replace(parse_spec(spec), folder=base)
    # what vLLM ran is looked into as transformers runs it
    known = {} if record.identity.get("kernels") == VLLM else record.identity
    model = record.model or report.model
    named = (None if base is None else parsed.here.model) or (model if folder is None else model_from(folder, model))
    source = _source(named, None if record.model else report.revision, note)
    for part in models_in(parsed):
        _source(part, None, note)
    return prepare_variant(
        spec,
        source,
        folder=base,
        device="cpu" if report.device == "cpu" else "auto",
        compute_dtype=known.get("compute_dtype", "auto"),
        kernels=known.get("kernels", "auto"),
    )


def record_of(report: RunReport, spec: str) -> VariantRecord:
    """What a run knows of its reference or of a candidate."""
    return next(each for each in (report.reference, *report.candidates) if each.spec == spec)


def _source(name: str, revision: str | None, note: Callable[[str], None]) -> ModelSource:
    from pytest_quantgate.variants.checkpoint import check_folder
    from pytest_quantgate.variants.embedded import EMBEDDED
    from pytest_quantgate.variants.source import ModelSource, folder_at_hand, resolve_model

    if name in EMBEDDED or _exists(name):
        return resolve_model(name, note=note)
    folder = folder_at_hand(name, revision)
    if folder is None:
        commit = "" if revision is None else f", or not at commit {revision[:12]}"
        hint = "nothing is downloaded for a stored run: get the model first, or diagnose in a run: --quant-diagnose"
        raise ModelError(f"the model is not on this machine{commit}", where=name, hint=hint)
    check_folder(folder)
    return ModelSource(name, folder, folder.name)  # the hub's folders are called by their commits


def _exists(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # no such user, or no path at all
        return False
