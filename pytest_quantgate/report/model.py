"""The RunReport: everything a run found, as one value and one JSON document.

Every view is rendered from this value alone, so a report that was read back from its file says the same as the run
that wrote it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version

from pytest_quantgate.clock import timestamp
from pytest_quantgate.diagnosis.model import Diagnosis
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.garbage import no_cycle_search
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.report.agreement import refuse_contradictions
from pytest_quantgate.report.breakdown import encode_breakdown
from pytest_quantgate.report.cliff import cliff, encode_cliff
from pytest_quantgate.report.diagnosis_encoding import decode_diagnoses, encode_diagnosis
from pytest_quantgate.report.encoding import (
    decode_record,
    dump,
    encode_gate,
    encode_golden,
    encode_record,
    encode_variant,
)
from pytest_quantgate.report.health import encode_healths
from pytest_quantgate.report.reading import Fields, MismatchError, parse_object
from pytest_quantgate.report.records import (
    AuditRecord,
    CaseRecord,
    GateSettings,
    GoldenRecord,
    SliceRecord,
    VariantRecord,
)

__all__ = [
    "AuditRecord",
    "CaseRecord",
    "GateSettings",
    "GoldenRecord",
    "RunReport",
    "SliceRecord",
    "VariantRecord",
    "timestamp",
    "tool_version",
]

FORMAT = "pytest-quantgate run report"
SCHEMA_VERSION = 4

READABLE = (2, 3, 4)
"""Versions that are read; what an earlier one did not have yet gets the default that means the same."""

GOLDENS_SINCE = 3
"""The first version with goldens and drift gates."""

DIAGNOSES_SINCE = 4
"""The first version with diagnoses."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run.

    Attributes:
        tool_version: Version of pytest-quantgate.
        created: UTC time, ISO 8601 (see ``timestamp``).
        command: The command that was run, one string per argument.
        base_command: The same without selection: what a rerun of some cases starts with.
        report_path: Where this report is written as JSON, as the user named it; None for nowhere.
        model: The model, as the user named it.
        revision: Its commit, for a model of the hub.
        device: Where it computed, such as ``cpu``.
        compute_dtype: Arithmetic, such as ``float32``.
        reference: The trusted variant.
        candidates: The variants that were judged, in the order of the command line.
        slices: The slices, in the order they were collected.
        gates: One per slice and candidate.
        cases: The selected cases, in the order they were collected.
        settings: What all gates share.
        controls: One gate per slice and positive control, and one per slice for the negative control.
        control_variants: The variants that were ruined on purpose, in the order of the command line.
        floor_variant: The reference run another way, under the spec by which cases name its outcomes; None without a
            noise floor.
        goldens: How each variant stands to its golden, slice by slice; variants without a golden have none.
        drifts: The drift gates: one per slice and variant that has a golden.
        diagnoses: Why slices broke: at most one per slice and candidate.
        folder: The folder that the run was made in, from which relative paths are seen, as the report's own folder
            calls it; None where the report was written nowhere, or nothing was run.
    """

    tool_version: str
    created: str
    command: tuple[str, ...]
    base_command: tuple[str, ...]
    report_path: str | None
    model: str
    revision: str | None
    device: str
    compute_dtype: str
    reference: VariantRecord
    candidates: tuple[VariantRecord, ...]
    slices: tuple[SliceRecord, ...]
    gates: tuple[GateResult, ...]
    cases: tuple[CaseRecord, ...]
    settings: GateSettings = field(default_factory=GateSettings)
    controls: tuple[GateResult, ...] = ()
    control_variants: tuple[VariantRecord, ...] = ()
    floor_variant: VariantRecord | None = None
    goldens: tuple[GoldenRecord, ...] = ()
    drifts: tuple[GateResult, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    folder: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all gates and drift gates; INCONCLUSIVE without a gate, for nothing was shown."""
        found = {gate.verdict for gate in (*self.gates, *self.drifts)}
        if not self.gates:
            found.add(Verdict.INCONCLUSIVE)
        return next(each for each in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if each in found)

    def comparisons(self, slice_name: str, candidate: str) -> tuple[Comparison, ...]:
        """The cases of a slice that both the reference and a candidate, or control, answered."""
        records = (record for record in self.cases if record.slice == slice_name)
        found = (record.comparison(self.reference.spec, candidate) for record in records)
        return tuple(each for each in found if each is not None)

    def degraded(self, slice_name: str, candidate: str) -> tuple[CaseRecord, ...]:
        """The cases of a slice that passed with the reference and fail with the candidate."""
        return tuple(
            record
            for record in self.cases
            if record.slice == slice_name
            and (comparison := record.comparison(self.reference.spec, candidate)) is not None
            and comparison.transition is Transition.DEGRADED
        )

    def to_json(self) -> str:
        """The report as ASCII JSON, a case or a diagnosis on each line; equal reports give equal bytes."""
        fall = cliff(self)
        head = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict.value,
            "tool_version": self.tool_version,
            "created": self.created,
            "command": self.command,
            "base_command": self.base_command,
            "report_path": self.report_path,
            "model": self.model,
            "revision": self.revision,
            "device": self.device,
            "compute_dtype": self.compute_dtype,
            "settings": asdict(self.settings),
            "reference": encode_variant(self.reference),
            "candidates": [encode_variant(each) for each in self.candidates],
            "control_variants": [encode_variant(each) for each in self.control_variants],
            "floor_variant": None if self.floor_variant is None else encode_variant(self.floor_variant),
            "slices": [asdict(each) for each in self.slices],
            "gates": [encode_gate(gate) for gate in self.gates],
            "controls": [encode_gate(gate) for gate in self.controls],
            "goldens": [encode_golden(each) for each in self.goldens],
            "drifts": [encode_gate(gate) for gate in self.drifts],
            **({} if self.folder is None else {"folder": self.folder}),
            # what follows is computed from the cases and gates for other readers, and not read back
            "indicators": encode_healths(self),
            "cliff": None if fall is None else encode_cliff(fall),
        }
        # the head is indented for people; indented cases would make the file several times as large
        parts = [dump(head, indent=1).removesuffix("\n}")]
        for key, rows in (
            ("breakdown", encode_breakdown(self)),
            ("diagnoses", map(encode_diagnosis, self.diagnoses)),
            ("cases", map(encode_record, self.cases)),
        ):
            lines = ",\n".join(map(dump, rows))
            parts.append(f' "{key}": [\n{lines}\n ]')
        return ",\n".join(parts) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, *, where: str | None = None) -> RunReport:
        """Read a report back. Keys that this version does not know are ignored.

        Args:
            text: What ``to_json`` wrote.
            where: Names the file in an error.

        Raises:
            QuantgateError: The text is torn, no report, of another schema version, or names something twice or nowhere.
        """
        try:
            with no_cycle_search():
                return _decode(Fields(parse_object(text), "report"))
        except MismatchError as error:
            raise QuantgateError(
                f"this is not a run report that can be read: {error}",
                where=where,
                hint="Write it again with `pytest ... --quant-report-json PATH`, or, of recorded answers, with "
                "`quantgate gate ... --report-json PATH`.",
            ) from error


def tool_version() -> str:
    """The version of pytest-quantgate; ``unknown`` when it runs from a checkout that is not installed."""
    try:
        return version("pytest-quantgate")
    except PackageNotFoundError:
        return "unknown"


def _decode(fields: Fields) -> RunReport:
    if fields.text("format") != FORMAT:
        msg = f'its "format" is not "{FORMAT}"'
        raise MismatchError(msg)
    version = fields.count("schema_version")
    if version not in READABLE:
        what = "a newer pytest-quantgate wrote it" if version > SCHEMA_VERSION else "it is too old"
        *others, last = map(str, READABLE)
        known = f"{', '.join(others)} and {last}"
        msg = f"it has schema version {version}, and this pytest-quantgate reads versions {known}: {what}"
        raise MismatchError(msg)
    report = RunReport(
        tool_version=fields.text("tool_version"),
        created=fields.text("created"),
        command=fields.texts("command"),
        base_command=fields.texts("base_command"),
        report_path=fields.optional_text("report_path"),
        model=fields.text("model"),
        revision=fields.optional_text("revision"),
        device=fields.text("device"),
        compute_dtype=fields.text("compute_dtype"),
        reference=fields.value("reference", VariantRecord),
        candidates=fields.values("candidates", VariantRecord),
        slices=fields.values("slices", SliceRecord),
        gates=fields.values("gates", GateResult),
        cases=tuple(map(decode_record, fields.each("cases"))),
        settings=fields.value("settings", GateSettings),
        controls=fields.values("controls", GateResult),
        control_variants=fields.values("control_variants", VariantRecord),
        floor_variant=fields.optional_value("floor_variant", VariantRecord),
        goldens=fields.values("goldens", GoldenRecord) if version >= GOLDENS_SINCE else (),
        drifts=fields.values("drifts", GateResult) if version >= GOLDENS_SINCE else (),
        diagnoses=decode_diagnoses(fields, "diagnoses") if version >= DIAGNOSES_SINCE else (),
        folder=fields.text("folder") if "folder" in fields else None,
    )
    refuse_contradictions(report)
    return report
