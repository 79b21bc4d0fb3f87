"""The run as one report value."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.plugin.backends import model_of, model_of_run, spec_of
from pytest_quantgate.plugin.files import is_there, seen_from
from pytest_quantgate.plugin.gates import case_nodeid
from pytest_quantgate.plugin.options import SEED
from pytest_quantgate.plugin.settings import SETTINGS
from pytest_quantgate.report.figures import UNDEFINED
from pytest_quantgate.report.model import (
    AuditRecord,
    CaseRecord,
    GateSettings,
    RunReport,
    SliceRecord,
    VariantRecord,
    timestamp,
    tool_version,
)
from pytest_quantgate.report.place import seen_from as seen_from_report
from pytest_quantgate.variants.registry import describe
from pytest_quantgate.variants.variant import Variant

if TYPE_CHECKING:
    from pytest_quantgate.outcomes.model import Outcome
    from pytest_quantgate.plugin.book import CaseRef
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.variants.spec import VariantSpec

NOT_REPEATED = {
    "quant_slice",
    "quant_dry_run",
    "quant_only",
    "quant_reanchor",
    "quant_accept",
    "quant_diagnose",
    "quant_diagnose_minutes",
    "quant_report_json",
    "quant_report_html",
    "quant_report_markdown",
}
"""Options that a rerun of some cases leaves out: selection, and what comes after the verdicts."""


def assemble(run: QuantRun) -> RunReport:
    """Everything that the run found, from its state at the end."""
    options = run.options
    place = next(iter(run.places.values()), None)  # the device is the same for all
    model = model_of_run(options, run.places)
    variants = run.answers.variants.values()
    revisions = (each.model.revision for each in variants if isinstance(each, Variant) and each.model.name == model)
    names = dict.fromkeys(gate.result.slice for gate in run.gates)
    report_path = run.config.getoption("quant_report_json") or options.report_json
    here, written = run.config.invocation_params.dir, options.report_json
    return RunReport(
        tool_version=tool_version(),
        created=timestamp(),
        command=("pytest", *(str(argument) for argument in run.config.invocation_params.args)),
        base_command=base_command(run.config),
        report_path=None if report_path is None else str(report_path),
        model=model,
        revision=next(iter(revisions), None),
        device=UNDEFINED if place is None else place.device,
        compute_dtype=UNDEFINED if place is None else place.compute_dtype,
        reference=_variant(run, options.reference),
        candidates=tuple(_variant(run, spec) for spec in options.candidates),
        slices=tuple(_slice(run, name) for name in names),
        gates=tuple(gate.result for gate in run.gates),
        cases=_cases(run),
        settings=GateSettings(options.alpha, options.inconclusive, SEED if options.sequential else None),
        controls=run.controls,
        control_variants=tuple(_variant(run, spec) for spec in options.controls),
        floor_variant=_variant(run, run.answers.again) if options.noise_floor else None,
        goldens=run.goldens.records,
        drifts=run.goldens.verdicts,
        folder=None if written is None else seen_from_report(written, here),
    )


def base_command(config: pytest.Config) -> tuple[str, ...]:
    """The command without selection: a rerun adds -k or node ids to it."""
    words = ["pytest"]
    if config.option.inifilename:
        words += ["-c", str(config.option.inifilename)]
    if config.option.rootdir:
        words += ["--rootdir", str(config.option.rootdir)]
    for plugin in config.option.plugins:
        words += ["-p", plugin]
    for override in config.option.override_ini or ():
        words += ["-o", override]
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        given: list[str] = config.option.file_or_dir
        words += dict.fromkeys(path for argument in given if is_there(path := argument.partition("::")[0]))
    for key, setting in SETTINGS.items():
        value = config.getoption(key)
        if not value or key in NOT_REPEATED:
            continue
        if setting.type == "bool":
            words.append(setting.option)
        else:
            for each in value if isinstance(value, list) else [value]:
                # pytest takes a path behind a space for a test folder, and looks for its ini file there
                words += [f"{setting.option}={each}"] if is_there(each) else [setting.option, each]
    return tuple(words)


def _variant(run: QuantRun, spec: str) -> VariantRecord:
    prepared = run.answers.variants.get(spec)
    answers = run.answers.answers.get(spec)
    trouble = run.answers.troubles.get(spec)
    audit = None if answers is None else answers.audit
    if run.options.anchored is not None and spec == run.options.reference:
        return _anchored(run, spec)
    return VariantRecord(
        spec=spec,
        digest="" if prepared is None else prepared.identity.digest,
        identity={} if prepared is None else dict(prepared.identity.fields),
        audit=AuditRecord(**audit.to_json()) if audit is not None and audit.modules_replaced else None,  # type: ignore[arg-type]  # the same names and types, see variants/audit.py
        cached=0 if answers is None else answers.cached,
        generated=0 if answers is None else answers.generated,
        problem=None if trouble is None else trouble.reason,
        bits=prepared.description.bits if isinstance(prepared, Variant) else None,
        model=_other_model(run, spec),
        summary=None if prepared is None else prepared.summary,
        folder=_folder(run, spec),
    )


def _other_model(run: QuantRun, spec: str) -> str | None:
    """The model of a variant that is not of the run's."""
    model = model_of(run.options, run.options.reference if spec == run.answers.again else spec)
    return None if model == model_of_run(run.options, run.places) else model


def _folder(run: QuantRun, spec: str) -> str | None:
    """Where the paths of a spec are seen from, where it has some and that is not the folder of the run."""
    parsed = spec_of(run.options, run.options.reference if spec == run.answers.again else spec)
    if parsed.folder is None or parsed.here == parsed:
        return None
    return seen_from(run.config.invocation_params.dir, parsed.folder)


def _anchored(run: QuantRun, spec: str) -> VariantRecord:
    """A reference that was not run: what its newest golden says of it."""
    anchor, trouble = run.goldens.reference_anchor(), run.answers.troubles.get(spec)
    return VariantRecord(
        spec=spec,
        digest="" if anchor is None else anchor.digest,
        identity={} if anchor is None else dict(anchor.identity),
        problem=None if trouble is None else trouble.reason,
        bits=_bits(spec_of(run.options, spec)),
        model=_other_model(run, spec),
    )


def _bits(spec: VariantSpec) -> float | None:
    """Bits by a spec's own name; None where it names none, or a file that is gone: nothing of it is run."""
    with suppress(QuantgateError):
        return None if spec.served else describe(spec).bits
    return None


def _slice(run: QuantRun, name: str) -> SliceRecord:
    found = run.book.named(name)
    return SliceRecord(found.name, found.description, found.location.path, len(found.cases), found.location.line)


def _cases(run: QuantRun) -> tuple[CaseRecord, ...]:
    """The selected cases of slice files, each with the outcomes that were seen."""
    node_ids: dict[tuple[str, str], dict[str, str]] = {}
    refs: dict[tuple[str, str], CaseRef] = {}
    outcomes: dict[tuple[str, str], dict[str, Outcome]] = {}
    for _, ref in run.tally.all_selected():
        key = ref.slice, ref.case.id
        refs.setdefault(key, ref)
        node_ids.setdefault(key, {})[ref.candidate] = run.from_here(case_nodeid(run, ref))
    for ref in run.arrived():
        comparison = run.comparison(ref)
        outcomes.setdefault((ref.slice, ref.case.id), {}).update(
            {run.options.reference: comparison.reference, ref.candidate: comparison.candidate}
        )
    for ref in run.looks.beside():
        if run.answers.trouble(ref.candidate) is None:
            outcomes.setdefault((ref.slice, ref.case.id), {})[ref.candidate] = run.comparison(ref).candidate
    return tuple(
        CaseRecord(slice=key[0], case=ref.case, node_ids=node_ids[key], outcomes=outcomes.get(key, {}))
        for key, ref in refs.items()
    )
