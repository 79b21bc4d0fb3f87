"""What the user asked for, when command line, ini file and defaults are settled (resolve.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.golden.model import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_quantgate.cases.model import PolicySettings
    from pytest_quantgate.checks.settings import GradingSettings

Inconclusive = Literal["pass", "fail"]
Only = Literal["degraded", "unstable", "drifted"]

SEED: Final = 1
"""Of the order in which a sequential run asks: the same in every run, so that an interrupted one goes on from there."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        reference: Spec of the reference, canonical; ``golden:SPEC`` for one that is not run.
        candidates: Specs of the candidates, canonical, each once.
        explicit: The candidates were named on the command line.
        folders: Where the paths of a spec are seen from; the current folder for those that are not here.
        model: The model as the user named it; that of a spec that names its own is in the spec.
        suites: Names of packaged suites, each once.
        suites_only: The suites were asked for on the command line without paths beside it.
        slices: Names of the only slices to run; empty for all.
        device: As given.
        compute_dtype: As given.
        kernels: As given.
        command_line: Gate limits from the command line.
        ini: Gate limits from the ini file.
        alpha: Family-wise error of the rule ``evidence``, each way.
        inconclusive: What a gate that cannot decide does to the build.
        allow_underpowered: Slices that have too few cases for a verdict are run all the same.
        noise_floor: The reference answers a second time, another way.
        noise_kernels: It does so with other kernels, too.
        fidelity: How near candidates stay to what the reference expects along its answers is measured.
        stop_early: Answers end as soon as every check of their case is decided, where nothing more is needed.
        controls: Specs of the positive controls, canonical, each once.
        sequential: Cases are asked in looks, until a slice is decided.
        strict: Degraded cases fail.
        dry_run: Check, show, and run nothing.
        grading: What checks may do.
        reanchor: Which states of cases are anchored anew at the end of the run; ``review`` asks for each.
        accepted: Which cases may be anchored although they are degraded, and why: ``ID=REASON`` each.
        only: Which cases of the last run to run, or None for all.
        diagnose: Gates that failed are diagnosed at the end.
        diagnose_minutes: What the search for a repair may take of each, 0 for no search; None for its own default.
        report_json: Where to write the run, or None.
        report_html: Where to write it as HTML, or None.
        report_markdown: Where to write it as Markdown, or None.
    """

    reference: str
    candidates: tuple[str, ...]
    explicit: bool
    folders: Mapping[str, Path]
    model: str
    suites: tuple[str, ...]
    suites_only: bool
    slices: tuple[str, ...]
    device: str
    compute_dtype: str
    kernels: str
    command_line: PolicySettings
    ini: PolicySettings
    alpha: float
    inconclusive: Inconclusive
    allow_underpowered: bool
    noise_floor: bool
    noise_kernels: bool
    fidelity: bool
    stop_early: bool
    controls: tuple[str, ...]
    sequential: bool
    strict: bool
    dry_run: bool
    grading: GradingSettings
    reanchor: tuple[str, ...]
    accepted: tuple[str, ...]
    only: Only | None
    diagnose: bool
    diagnose_minutes: float | None
    report_json: Path | None
    report_html: Path | None
    report_markdown: Path | None

    @property
    def anchored(self) -> str | None:
        """The variant whose goldens stand for the reference; None where the reference is run."""
        return self.reference.removeprefix(REFERENCE) if self.reference.startswith(REFERENCE) else None
