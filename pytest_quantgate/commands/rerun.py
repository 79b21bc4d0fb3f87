"""`quantgate rerun`: runs the cases of a stored run again, with pytest.

The report may come from anybody, and what it says is run: so it is shown first, no shell ever sees it, and nothing in
it can stand for arguments that are not shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import GATE_ID
from pytest_quantgate.errors import UsageError, nearest
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.printable import visible
from pytest_quantgate.report.rerun import shell_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import CaseRecord

PROGRAM: Final = "pytest"

MOST_ARGUMENTS: Final = 10
"""Cases that stand on the command line itself; more are handed over in a file."""

LONGEST: Final = 10_000
"""Characters of the longest command that anybody reads before it is run."""

MOST_NAMED: Final = 5
"""Cases that are named before one is asked."""

NOTHING: Final = 5
"""Exit status where there is nothing to run: pytest's own."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What is to be run.

    Attributes:
        options: Arguments of pytest, without what selects cases.
        selected: What selects them: node ids of cases, of gates (all cases of a slice and candidate) and of files.
        cases: How many cases these are, each once for a candidate.
    """

    options: tuple[str, ...]
    selected: tuple[str, ...]
    cases: int


def plan(
    report: RunReport, *, where: str, only: str | None = None, slice_: str | None = None, candidate: str | None = None
) -> Rerun:
    """What runs some cases of a stored run again.

    Args:
        report: The run.
        where: Its file, for errors.
        only: ``degraded``, ``unstable`` or ``drifted``; None for all cases.
        slice_: Name of the only slice.
        candidate: Spec of the only candidate.

    Raises:
        UsageError: The report names no command of pytest, or one that cannot be shown whole; or it has no such slice or
            candidate.
    """
    options = _options(report, where)
    specs = [each.spec for each in report.candidates]
    refuse_unknown("slice", slice_, [each.name for each in report.slices], where)
    refuse_unknown("candidate", candidate, specs, where)
    moved = None if only is None else _moved(report, only)
    chosen = [
        (record, spec)
        for record in report.cases
        if slice_ in (None, record.slice)
        for spec in specs
        if candidate in (None, spec) and spec in record.node_ids
        if moved is None or (record.slice, record.case.id, spec) in moved
    ]
    return Rerun(options, tuple(_selection(report, chosen, where)), len(chosen))


def _options(report: RunReport, where: str) -> tuple[str, ...]:
    """The arguments of the run without its paths: beside node ids they would run everything else in them too."""
    base = report.base_command
    if not base:
        hint = f"judge its answers again: {shell_line(report.command)}"
        raise UsageError("pytest did not make this run", where=where, hint=hint)
    if base[0] != PROGRAM:
        raise UsageError(f"it would run {base[0][:100]!r}, not {PROGRAM}", where=where, hint="do not trust this report")
    hidden = next((word for word in base if word.startswith("@")), None)
    if hidden is not None:
        what = f"{hidden[:100]!r} stands for arguments that are not shown"
        raise UsageError(what, where=where, hint="do not trust this report")
    if sum(map(len, base)) > LONGEST:
        what = f"its command is longer than {LONGEST:,} characters: nobody would read what is run"
        raise UsageError(what, where=where, hint="run pytest by yourself")
    wrong = next((word for word in base if not _can_be_given(word)), None)
    if wrong is not None:
        what = f"no process can be given {wrong[:100]!r}"
        raise UsageError(what, where=where, hint="do not trust this report")
    return tuple(word for before, word in pairwise(base) if word.startswith("-") or before.startswith("-"))


def _can_be_given(word: str) -> bool:
    try:
        return b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def refuse_unknown(what: str, name: str | None, known: Sequence[str], where: str) -> None:
    """Refuse the name of a slice or candidate that a run has not.

    Raises:
        UsageError: With the nearest name that it has.
    """
    if name is not None and name not in known:
        raise UsageError(f"no {what} {name!r} in this run", where=where, hint=nearest(name, known))


def _moved(report: RunReport, only: str) -> set[tuple[str, str, str]]:
    """The cases that are so: slice, id and candidate."""
    specs = [each.spec for each in report.candidates]
    if only == "drifted":
        return {
            (golden.slice, standing.case_id, spec)
            for golden in report.goldens
            for spec in (specs if golden.variant == report.reference.spec else [golden.variant])
            for standing in golden.standings
            if standing.state == "drifted"
        }
    wanted = (Transition.DEGRADED,) if only == "degraded" else (Transition.DEGRADED, Transition.IMPROVED)
    return {
        (record.slice, record.case.id, spec)
        for record in report.cases
        for spec in specs
        if (found := record.comparison(report.reference.spec, spec)) is not None and found.transition in wanted
    }


def _selection(report: RunReport, chosen: Sequence[tuple[CaseRecord, str]], where: str) -> Iterator[str]:
    """Node ids that select the cases; where they are all cases of a file, or of a gate, what stands for these."""
    totals = {each.name: each.total for each in report.slices}
    files: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    whole: dict[str, int] = {}
    for record, spec in chosen:
        file = _file_of(record, spec, where)
        files[file][spec].append(record.node_ids[spec])
        whole[file] = totals.get(record.slice, 0)
    for file, by_spec in files.items():
        # beside the node id of a case in the same file, that of a gate would select the whole file
        if any(len(node_ids) != whole[file] for node_ids in by_spec.values()):
            yield from (node_id for node_ids in by_spec.values() for node_id in node_ids)
        elif len(by_spec) == len(report.candidates):
            yield file
        else:
            yield from (f"{file}::{GATE_ID}[{spec}]" for spec in by_spec)


def _file_of(record: CaseRecord, spec: str, where: str) -> str:
    """The file's part of a node id, which must be one: everything that pytest is given is named by its report."""
    node_id = record.node_ids[spec]
    file = node_id.removesuffix(f"::{record.case.id}[{spec}]")
    named = file not in (node_id, "") and not file.startswith(("-", "@"))
    if not named or not node_id.isprintable() or len(node_id) > LONGEST:
        what = f"{node_id[:200]!r} is no node id of {record.case.id[:100]!r} on {spec[:100]!r}"
        raise UsageError(what, where=where, hint="do not trust this report")
    return file


def check_files(rerun: Rerun, report: Path) -> None:
    """Refuses to start where the files of the cases are not: their node ids are as seen from where the run was started.

    Args:
        rerun: What is to be run.
        report: The run's file; the right folder is looked for above it, and above this one.

    Raises:
        UsageError: A file is not there; the hint names the folder to start in, where there is one that has them all.
    """
    files = list(dict.fromkeys(each.partition("::")[0] for each in rerun.selected))
    here = Path.cwd()
    missing = next((file for file in files if not _is_there(here / file)), None)
    if missing is None:
        return
    folders = dict.fromkeys((*report.resolve().parents, *here.parents))
    found = next((folder for folder in folders if all(_is_there(folder / file) for file in files)), None)
    hint = "start it in the folder that the run was started in: its files are named as seen from there"
    raise UsageError(
        f"{missing[:200]!r}, in which cases of this run are, is not there as seen from {here}",
        where=str(report),
        hint=hint if found is None else f"start it in {found}, from where all its files are seen",
    )


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # no file has a name that long
        return False


@contextmanager
def command_of(rerun: Rerun) -> Iterator[tuple[str, ...]]:
    """The whole command, one string per argument; many cases stand in a file that lives as long as the context."""
    begin = (sys.executable, "-m", PROGRAM, *rerun.options)
    if len(rerun.selected) <= MOST_ARGUMENTS:
        yield (*begin, *rerun.selected)
        return
    with tempfile.TemporaryDirectory(prefix="quantgate-") as folder:
        file = Path(folder) / "cases.txt"
        file.write_bytes(b"".join(os.fsencode(f"{each}\n") for each in rerun.selected))
        yield (*begin, f"@{file}")


def described(rerun: Rerun, command: Sequence[str]) -> str:
    """The command and how many cases it runs, to be read before it is run; every file that it loads is named."""
    count = f"{rerun.cases:,} case{'' if rerun.cases == 1 else 's'}"
    files = []
    if len(rerun.selected) > MOST_ARGUMENTS:
        count += (
            f", named in {command[-1].removeprefix('@')}: {', '.join(rerun.selected[:MOST_NAMED])}, ..., of the files"
        )
        # with each of them its conftest.py
        files = [f"  {file}" for file in dict.fromkeys(each.partition("::")[0] for each in rerun.selected)]
    return "\n".join([shell_line(command), *map(visible, (count, *files))])


def run(command: Sequence[str]) -> int:
    """Run pytest, and hand back its exit status; an interrupt is pytest's to answer."""
    process = subprocess.Popen(command)  # noqa: S603  (this Python's pytest, without a shell; the user has said yes)
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            continue
        return status if status >= 0 else 128 - status
