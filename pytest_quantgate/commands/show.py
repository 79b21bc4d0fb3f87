"""`quantgate show`: everything that a stored run knows of one case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import QuantgateError, UsageError, nearest
from pytest_quantgate.report.aligned import Reader
from pytest_quantgate.report.one_case import one_case
from pytest_quantgate.report.store import load
from pytest_quantgate.report.terminal import NARROWEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import CaseRecord

LONGEST_NAME: Final = 500
"""Characters of a name for which the nearest one is looked up."""

MOST_NAMED: Final = 5
"""Cases that are named where one name means several."""


def show(file: Path, name: str, *, width: int, color: bool) -> str:
    """One case of a stored run, on the candidate that is named or on each.

    Args:
        file: What ``--quant-report-json`` wrote.
        name: ``CASE``, ``SLICE::CASE`` or the node id of its file, each with or without ``[CANDIDATE]``.
        width: Columns to fill.
        color: Whether to colour with ANSI escapes.

    Raises:
        QuantgateError: The file is no report.
        UsageError: It has no such case, or several.
    """
    report = load(file)
    record, spec = find(report, name, where=str(file))
    specs = [spec] if spec is not None else [each.spec for each in report.candidates]
    reader = reader_of(report)
    return "\n".join(one_case(report, record, each, reader, width=max(width, NARROWEST), color=color) for each in specs)


def find(report: RunReport, name: str, *, where: str) -> tuple[CaseRecord, str | None]:
    """The case that a name means, and the candidate or control that it names.

    Args:
        report: The run.
        name: See ``show``.
        where: The report, for errors.

    Raises:
        UsageError: There is no such case, or several.
    """
    name = name.removeprefix("./")
    found = [(record, spec) for record in report.cases for spec in _meant(report, record, name)]
    if len({(record.slice, record.case.id) for record, _ in found}) > 1:
        names = [f"{record.slice}::{record.case.id}" for record, _ in found]
        more = ", ..." if len(names) > MOST_NAMED else ""
        hint = f"name one of them: {', '.join(names[:MOST_NAMED])}{more}"
        raise UsageError(f"{len(names)} cases are called {name!r}", where=where, hint=hint)
    if found:
        return found[0]
    if not report.cases:
        raise UsageError("this run has no cases", where=where, hint="run more of its slices")
    known = {f"{each.slice}::{each.case.id}" if "::" in name else each.case.id for each in report.cases}
    hint = nearest(name[:LONGEST_NAME], known, otherwise=f"name one of its {len(report.cases):,} cases: SLICE::CASE")
    bare, bracket, spec = name.removesuffix("]").rpartition("[")
    if bracket and any(True for record in report.cases for _ in _meant(report, record, bare)):
        hint = f"no such candidate: {nearest(spec[:LONGEST_NAME], _specs(report))}"
    raise UsageError(f"no case {name[:LONGEST_NAME]!r} in this run", where=where, hint=hint)


def _meant(report: RunReport, record: CaseRecord, name: str) -> Iterator[str | None]:
    """The candidate that a name means if it means this case, or None for all of them; nothing if it does not."""
    if record.case.id not in name:  # cheap enough for every case of a large run
        return
    if _is(record, name):
        yield None
        return
    for spec in _specs(report):
        bare = _without(name, spec)
        if bare != name and _is(record, bare):
            yield spec
            return


def _is(record: CaseRecord, name: str) -> bool:
    """Whether a name without a candidate is the case's: its id, behind its slice, or behind the end of its path."""
    if name in (record.case.id, f"{record.slice}::{record.case.id}"):
        return True
    return "::" in name and any(
        f"/{_without(node_id, spec)}".endswith(f"/{name}") for spec, node_id in record.node_ids.items()
    )


def _without(name: str, spec: str) -> str:
    return name.removesuffix(f"[{spec}]")


def _specs(report: RunReport) -> list[str]:
    """Everything that is compared with the reference."""
    floor = [] if report.floor_variant is None else [report.floor_variant]
    return [each.spec for each in (*report.candidates, *report.control_variants, *floor)]


def reader_of(report: RunReport) -> Reader:
    """The tokenizer of a run's model, where it is on this machine; nothing is downloaded, and no model is loaded."""
    if not any(outcome.completion.token_ids for record in report.cases for outcome in record.outcomes.values()):
        return Reader(None, "no tokens are recorded")
    from pytest_quantgate.variants.source import folder_at_hand
    from pytest_quantgate.variants.tokenizer import read_tokenizer

    name = report.model
    try:
        folder = folder_at_hand(name, report.revision)
        tokenizer = None if folder is None else read_tokenizer(folder)
    except QuantgateError as error:
        return Reader(None, f"the tokenizer of {name} cannot be read: {error.what}")
    if tokenizer is None:
        what = "the model is not on this machine" if folder is None else "the model has no tokenizer.json"
        return Reader(None, f"{what}: {name}")
    return Reader(tokenizer, name)
