"""The views of a run for other readers than the terminal's: HTML, Markdown, and what GitHub Actions shows."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.plugin import report_file, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.report.model import RunReport

MOST_SUMMARY: Final = 1024 * 1024
"""Bytes of the summary of one step: of a larger one GitHub shows nothing."""


def clear(run: QuantRun) -> None:
    """Remove the report and the views of an earlier run, so that nobody takes them for this one's; all or none.

    Args:
        run: The session's run.

    Raises:
        pytest.UsageError: One cannot be written where it is asked for, or two are asked for at one place.
    """
    found = problems(run)
    if found:
        raise pytest.UsageError(*found)
    for option, path in _files(run):
        report_file.clear(path, option)


def problems(run: QuantRun) -> list[str]:
    """Why the report or a view of it cannot be written where it is asked for; nothing is made or removed.

    Args:
        run: The session's run.
    """
    unwritable = [report_file.problem(path, option) for option, path in _files(run)]
    return [*_named_twice(run), *filter(None, unwritable)]


def _named_twice(run: QuantRun) -> list[str]:
    found = []
    taken: dict[str, str] = {}
    for option, path in _files(run):
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            found.append(f"{option} {path}: {other} names the same file: name another")
    return found


def _files(run: QuantRun) -> Iterator[tuple[str, Path]]:
    """Option and file of the report, and of each view, where they are asked for."""
    if run.options.report_json is not None:
        yield report_file.JSON, run.options.report_json
    for option, path, _ in _asked(run):
        yield option, path


def finish(run: QuantRun, exitstatus: int) -> None:
    """Write the run, and again when its failing gates are diagnosed. A fault in here must not hide the verdicts.

    Args:
        run: The session's run; takes the report, and why there is none, or not the file that was asked for.
        exitstatus: How the session ended.
    """
    from pytest_quantgate.plugin.assemble import assemble

    try:
        run.report = assemble(run)
        problem = _write_json(run, run.report)
        if run.options.diagnose and exitstatus == pytest.ExitCode.TESTS_FAILED:
            from pytest_quantgate.plugin.diagnosis import diagnosed

            _write_files(run, run.report)  # a job that runs out of time meanwhile keeps them
            run.report = diagnosed(run, run.report)
            problem = _write_json(run, run.report)
        run.report_problem = "\n".join(filter(None, [problem, *write(run, run.report)])) or None
    except Exception as error:  # noqa: BLE001  (see above)
        run.report_problem = f"internal error, the report cannot be made: {type(error).__name__}: {error}"


def _write_json(run: QuantRun, report: RunReport) -> str | None:
    path = run.options.report_json
    return None if path is None else report_file.write(report, path)


def write(run: QuantRun, report: RunReport) -> list[str]:
    """Write the views that were asked for, and tell GitHub Actions where the run is one of its steps.

    Args:
        run: The session's run.
        report: The whole run.

    Returns:
        Why some could not be written, one line each.
    """
    problems = _write_files(run, report)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        try:
            _tell_github(run, report)
        except Exception as error:  # noqa: BLE001  (likewise)
            terminal.line(run.config, f"warning: GitHub cannot be told: {type(error).__name__}: {error}")
    return problems


def _write_files(run: QuantRun, report: RunReport) -> list[str]:
    problems = []
    for option, path, render in _asked(run):
        try:
            problem = report_file.write_text(render(report), path, option)
        except Exception as error:  # noqa: BLE001  (a fault in one view must not take the others with it)
            problem = f"{option} {path}: internal error, it cannot be made: {type(error).__name__}: {error}"
        if problem is not None:
            problems.append(problem)
    return problems


def _asked(run: QuantRun) -> Iterator[tuple[str, Path, Callable[[RunReport], str]]]:
    """Option, file and renderer of each view that was asked for."""
    options = run.options
    if options.report_html is not None:
        yield report_file.HTML, options.report_html, _html
    if options.report_markdown is not None:
        yield report_file.MARKDOWN, options.report_markdown, _markdown


def _html(report: RunReport) -> str:
    from pytest_quantgate.report.html import page

    return page(report)


def _markdown(report: RunReport) -> str:
    from pytest_quantgate.report.markdown import markdown_report

    return markdown_report(report)


def _tell_github(run: QuantRun, report: RunReport) -> None:
    from pytest_quantgate.report.annotations import workflow_commands

    workspace = os.environ.get("GITHUB_WORKSPACE")
    for line in workflow_commands(
        report,
        folder=run.config.invocation_params.dir,
        workspace=None if not workspace else Path(workspace),
        excused=[gate.result for gate in (*run.gates, *run.drifts) if gate.outcome == "skipped"],
    ):
        terminal.workflow_command(run.config, line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        problem = _append(Path(summary), _markdown(report))
        if problem is not None:
            terminal.line(run.config, f"warning: GITHUB_STEP_SUMMARY {summary}: no summary is written: {problem}")


def _append(path: Path, text: str) -> str | None:
    """Append to the step's summary, to which every command of the step may add.

    Returns:
        Why it could not be; None when it was.
    """
    data = f"{text}\n".encode()
    try:
        size = 0
        if path.exists():
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for a reader
                return "not a regular file"
            size = found.st_size
        if size + len(data) > MOST_SUMMARY:
            return f"with {size:,} bytes there already it would grow above the {MOST_SUMMARY:,} that GitHub shows"
        with path.open("ab") as file:
            file.write(data)
    except (OSError, ValueError) as error:  # ValueError: a null character
        return str(getattr(error, "strerror", None) or error)
    return None
