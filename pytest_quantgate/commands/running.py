"""Runs each command of `quantgate` by its parsed arguments: what it gives is written, and told by an exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys

from pytest_quantgate.commands import options
from pytest_quantgate.commands.streams import (
    LAYOUT,
    agreed,
    can_ask,
    flush,
    progress,
    tell,
    tell_problems,
    write,
)
from pytest_quantgate.errors import FileError, QuantgateError, SliceError, UsageError
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import visible

OK, PROBLEMS, BAD_USAGE = 0, 1, 2

WIDEST = 1_000
"""Columns that are filled at most: answers side by side are padded to them."""


def refused(error: QuantgateError) -> int:
    """Tell why a command could not run; its exit status."""
    message = str(error)
    if error.where:  # a file's name can hold line breaks, with which it would look like more than a name
        message = message.replace(error.where, visible(error.where), 1)
    tell(f"quantgate: {visible(message, keep=LAYOUT)}", sys.stderr)
    return BAD_USAGE


def run_init(arguments: argparse.Namespace) -> int:
    """Write a first slice file."""
    from pytest_quantgate.commands.init import init

    write(visible(init(arguments.folder), keep=LAYOUT), sys.stdout)
    return OK


def run_validate(arguments: argparse.Namespace) -> int:
    """Tell the mistakes in slice files."""
    from pytest_quantgate.commands.validate import validate

    try:
        write(validate(arguments.paths), sys.stdout)
    except SliceError as error:
        tell_problems(error, sys.stdout)
        return PROBLEMS
    return OK


def run_report(arguments: argparse.Namespace) -> int:
    """Show a stored run, or write it."""
    from pytest_quantgate.commands.report import views
    from pytest_quantgate.report.terminal import render

    report, written = views(arguments.file, html=arguments.html, markdown=arguments.markdown)
    lines = [*map(visible, written)]
    if arguments.breakdown or not written:
        lines.append(render(report, width=_width(), color=_color(), breakdown=arguments.breakdown).rstrip("\n"))
    write("\n".join(lines), sys.stdout)
    return OK


def run_show(arguments: argparse.Namespace) -> int:
    """Show one case of a stored run."""
    from pytest_quantgate.commands.show import show

    write(show(arguments.file, arguments.case, width=_width(), color=_color()).rstrip("\n"), sys.stdout)
    return OK


def run_diagnose(arguments: argparse.Namespace) -> int:
    """Say why gates of a stored run failed; one that cannot be looked into does not stop the others."""
    from pytest_quantgate.commands.diagnose import Asked, diagnose, limits_of
    from pytest_quantgate.report.diagnosis import diagnosis_text

    limits = limits_of(arguments.max_bits, arguments.minutes)
    asked = Asked(
        file=arguments.file,
        slice=arguments.slice,
        candidate=arguments.candidate,
        limits=None if arguments.no_repair else limits,
        grading=options.grading(arguments),
        json=arguments.json,
        html=arguments.html,
    )
    statuses = set()
    for found in diagnose(asked, progress()):
        if isinstance(found, QuantgateError):
            statuses.add(refused(found))
            continue
        text = diagnosis_text(found, found.diagnoses[-1], width=_width(), color=_color())
        statuses.add(_result(text, good=True))
        flush(sys.stdout)
    return PROBLEMS if len(statuses) > 1 else statuses.pop()


def run_rerun(arguments: argparse.Namespace) -> int:
    """Run cases of a stored run again, once the user agreed."""
    from pytest_quantgate.commands import rerun
    from pytest_quantgate.report.store import load

    report, where = load(arguments.file), str(arguments.file)
    planned = rerun.plan(
        report, where=where, only=arguments.only, slice_=arguments.slice, candidate=arguments.candidate
    )
    if not planned.selected:
        what = f"is {arguments.only}" if arguments.only else "was run by pytest"
        write(f"no case of this run {what}: there is nothing to run again", sys.stdout)
        return rerun.NOTHING
    rerun.check_files(planned, arguments.file)
    with rerun.command_of(planned) as words:
        write(rerun.described(planned, words), sys.stdout)
        flush(sys.stdout)
        if not (arguments.yes or (can_ask() and agreed("Run it? [y/N] "))):
            write("nothing was run: add --yes when the command is as it should be", sys.stdout)
            return PROBLEMS
        return rerun.run(words)


def run_compare(arguments: argparse.Namespace) -> int:
    """Put two stored runs side by side."""
    from pytest_quantgate.commands.compare import compare

    text = compare(arguments.first, arguments.second, form=arguments.format, width=_width(), color=_color())
    write(text.rstrip("\n"), sys.stdout)
    return OK


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Draw a sheet for people, or read it back."""
    from pytest_quantgate.commands.calibrate import calibrate, draw_sheet

    given, width, color = arguments, _width(), _color()
    if given.sheet is not None:
        text = draw_sheet(
            given.file, given.sheet, sample=given.sample, seed=given.seed, slices=given.slice, checks=given.check
        )
        return _result(text, good=True)
    try:
        text = calibrate(given.file, given.labels, keep=given.keep, form=given.format, width=width, color=color)
    except FileError as error:
        tell_problems(error, sys.stderr)
        return PROBLEMS
    return _result(text, good=True)


def run_gate(arguments: argparse.Namespace) -> int:
    """Judge recorded answers."""
    from pytest_quantgate.commands.gate import Asked, degraded_cases, gate, succeeded
    from pytest_quantgate.commands.recorded import Source
    from pytest_quantgate.report.records import GateSettings
    from pytest_quantgate.report.store import write as store
    from pytest_quantgate.report.terminal import render

    floor = arguments.noise_floor
    asked = Asked(
        reference=Source.parse(arguments.reference),
        candidates=tuple(map(Source.parse, arguments.candidate)),
        controls=tuple(map(Source.parse, arguments.control)),
        floor=None if floor is None else Source.parse(floor),
        paths=tuple(arguments.slices),
        suites=tuple(arguments.suite),
        policy=options.limits(arguments),
        settings=GateSettings(alpha=arguments.alpha, inconclusive=arguments.inconclusive),
        allow_underpowered=arguments.allow_underpowered,
        grading=options.grading(arguments),
        report_json=arguments.report_json,
        command=("quantgate", *arguments.words),
    )
    try:
        report = gate(asked)
    except SliceError as error:
        tell_problems(error, sys.stderr)
        tell("nothing was judged", sys.stderr)
        return PROBLEMS
    if asked.report_json is not None:
        store(report, asked.report_json)
    shown = degraded_cases(report, width=_width(), color=_color())
    text = render(report, width=_width(), color=_color(), breakdown=arguments.breakdown)
    return _result(f"{shown}\n{text}" if shown else text, good=succeeded(report))


def run_power(arguments: argparse.Namespace) -> int:
    """Tell what slices can prove."""
    from pytest_quantgate.commands.power import Plan, power
    from pytest_quantgate.report.power import power_table

    plan = Plan(
        paths=tuple(arguments.slices),
        suites=tuple(arguments.suite),
        cases=arguments.cases,
        candidates=arguments.candidates,
        policy=options.limits(arguments),
        alpha=arguments.alpha,
    )
    try:
        rows = power(plan)
    except SliceError as error:
        tell_problems(error, sys.stderr)
        return PROBLEMS
    table = power_table(rows, width=_width(), color=_color())
    return _result(table, good=all(row.problem is None for row in rows))


def _result(text: str, *, good: bool) -> int:
    """Write a result; whoever stops reading it changes nothing about the exit status."""
    with contextlib.suppress(BrokenPipeError):
        write(text.rstrip("\n"), sys.stdout)
    return OK if good else PROBLEMS


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size().columns)


def _color() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def run_cache(arguments: argparse.Namespace) -> int:
    """Count the kept answers, or forget them."""
    from pytest_quantgate.commands.cache import clear, days_of, info

    days = days_of(arguments.older_than)
    if arguments.action == "info":
        write(visible(info(), keep=LAYOUT), sys.stdout)
    else:
        which = "all kept answers" if days is None else f"the kept answers that no run used for {counted(days, 'day')}"
        older = "" if days is None else f" --older-than {days}"
        if not (arguments.yes or can_ask()):
            hint = f"say yes beforehand: quantgate cache clear --yes{older}"
            raise UsageError("cannot ask without a terminal", hint=hint)
        if not (arguments.yes or agreed(f"Forget {which}? [y/N] ")):
            write("nothing was forgotten", sys.stdout)
            return OK
        write(visible(clear(days), keep=LAYOUT), sys.stdout)
    return OK


def run_sources(arguments: argparse.Namespace) -> int:
    """Show the data sets."""
    from pytest_quantgate.commands.sources import describe, sources

    width = _width()
    write(sources(width) if arguments.name is None else describe(arguments.name), sys.stdout)
    return OK


def run_checks(arguments: argparse.Namespace) -> int:
    """Show the checks."""
    from pytest_quantgate.commands.checks import checks, describe

    width = _width()
    write(checks(width) if arguments.name is None else describe(arguments.name, width), sys.stdout)
    return OK


def run_grade(arguments: argparse.Namespace) -> int:
    """Grade answers line by line."""
    from pytest_quantgate.commands.grade import grade

    return OK if grade(arguments.file, sys.stdout, sys.stderr, options.grading(arguments)) else PROBLEMS
