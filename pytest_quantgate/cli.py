"""The `quantgate` command: what can be done with slices, reports and answers outside a test run."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_quantgate.commands import help as told
from pytest_quantgate.commands import options
from pytest_quantgate.commands.streams import (
    LAYOUT,
    agreed,
    can_ask,
    flush,
    plain_warnings,
    progress,
    tell,
    tell_problems,
    write,
)
from pytest_quantgate.errors import FileError, QuantgateError, SliceError, UsageError
from pytest_quantgate.printable import visible

OK, PROBLEMS, BAD_USAGE = 0, 1, 2

WIDEST = 1_000
"""Columns that are filled at most: answers side by side are padded to them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit status: 0, 1 for problems in the files that were given, 2 when the command could not run.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows ASCII only must not end in a traceback
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # closed by whoever started the command
        tell("quantgate: standard output is closed", sys.stderr)
        return BAD_USAGE
    status = OK
    try:
        try:
            status = _run(argv)
        finally:
            flush(sys.stdout)
    except BrokenPipeError:
        return status  # whoever read the output has seen enough
    except UsageError as error:
        return _refused(error)
    return status


def _run(argv: Sequence[str] | None) -> int:
    try:
        with plain_warnings():
            words = sys.argv[1:] if argv is None else argv
            arguments = _parser().parse_args(words, argparse.Namespace(words=words))
            if "SOURCE_DATE_EPOCH" in os.environ:  # libraries read it too, and stumble over what is no number
                from pytest_quantgate.report.model import timestamp

                timestamp()
            run: Callable[[argparse.Namespace], int] = arguments.run
            return run(arguments)
    except QuantgateError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 130  # what a shell reports for a command that was interrupted


def _refused(error: QuantgateError) -> int:
    message = str(error)
    if error.where:  # a file's name can hold line breaks, with which it would look like more than a name
        message = message.replace(error.where, visible(error.where), 1)
    tell(f"quantgate: {visible(message, keep=LAYOUT)}", sys.stderr)
    return BAD_USAGE


class _Parser(argparse.ArgumentParser):
    """Repeats an argument, which may be a file's name, only with its control characters made visible."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message, keep=LAYOUT))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="quantgate",
        description=told.OVERVIEW,
        epilog=told.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, text: str, brief: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            description=text,
            help=brief,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(run=run)
        return added

    init = command("init", told.INIT, "write a first slice file and the settings it needs", _init)
    init.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path(), help="default: here")

    validate = command("validate", told.VALIDATE, "find the mistakes in slice files", _validate)
    validate.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a slice file, or a folder")

    options.add_report(command("report", told.REPORT, "show a stored run, or write it as HTML or Markdown", _report))

    show = command("show", told.SHOW, "show everything about one case of a stored run", _show)
    show.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    show.add_argument("case", metavar="CASE", help="CASE, SLICE::CASE or a node id, with or without [CANDIDATE]")

    options.add_diagnose(command("diagnose", told.DIAGNOSE, "find out why gates of a stored run failed", _diagnose))

    options.add_rerun(command("rerun", told.RERUN, "run cases of a stored run again", _rerun))

    options.add_compare(command("compare", told.COMPARE, "put two stored runs side by side", _compare))

    options.add_calibrate(command("calibrate", told.CALIBRATE, "ask people whether checks are right", _calibrate))

    options.add_gate(command("gate", told.GATE, "judge answers that you have recorded", _gate))
    options.add_power(command("power", told.POWER, "see what the cases of a slice can prove", _power))

    cache = command("cache", told.CACHE, "look at the kept answers, or forget them", _cache)
    cache.add_argument("action", choices=("info", "clear"), help="count what is kept, or forget all of it")
    unused = "clear only answers that no run used for longer than this"
    cache.add_argument("--older-than", metavar="DAYS", type=int, help=unused)
    cache.add_argument("--yes", action="store_true", help="clear without asking")

    sources = command("sources", told.SOURCES, "show the public data sets, and how to get them", _sources)
    sources.add_argument("name", metavar="NAME", nargs="?", help="show everything about one of them")

    checks = command("checks", told.CHECKS, "show what slice files may ask of an answer", _checks)
    checks.add_argument("name", metavar="NAME", nargs="?", help="show everything about one of them")

    grade = command("grade", told.GRADE, "grade answers that you have already", _grade)
    grade.add_argument("file", metavar="FILE.jsonl", help="one answer per line; - reads standard input")
    options.add_grading(grade)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        write(f"quantgate {version('pytest-quantgate')}", sys.stdout)
        parser.exit()


def _init(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.init import init

    write(visible(init(arguments.folder), keep=LAYOUT), sys.stdout)
    return OK


def _validate(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.validate import validate

    try:
        write(validate(arguments.paths), sys.stdout)
    except SliceError as error:
        tell_problems(error, sys.stdout)
        return PROBLEMS
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.report import views
    from pytest_quantgate.report.terminal import render

    report, written = views(arguments.file, html=arguments.html, markdown=arguments.markdown)
    lines = [*map(visible, written)]
    if arguments.breakdown or not written:
        lines.append(render(report, width=_width(), color=_color(), breakdown=arguments.breakdown).rstrip("\n"))
    write("\n".join(lines), sys.stdout)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.show import show

    write(show(arguments.file, arguments.case, width=_width(), color=_color()).rstrip("\n"), sys.stdout)
    return OK


def _diagnose(arguments: argparse.Namespace) -> int:
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
            statuses.add(_refused(found))
            continue
        text = diagnosis_text(found, found.diagnoses[-1], width=_width(), color=_color())
        statuses.add(_result(text, good=True))
        flush(sys.stdout)
    return PROBLEMS if len(statuses) > 1 else statuses.pop()


def _rerun(arguments: argparse.Namespace) -> int:
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
    with rerun.command_of(planned) as words:
        write(rerun.described(planned, words), sys.stdout)
        flush(sys.stdout)
        if not (arguments.yes or (can_ask() and agreed("Run it? [y/N] "))):
            write("nothing was run: add --yes when the command is as it should be", sys.stdout)
            return PROBLEMS
        return rerun.run(words)


def _compare(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.compare import compare

    text = compare(arguments.first, arguments.second, form=arguments.format, width=_width(), color=_color())
    write(text.rstrip("\n"), sys.stdout)
    return OK


def _calibrate(arguments: argparse.Namespace) -> int:
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


def _gate(arguments: argparse.Namespace) -> int:
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


def _power(arguments: argparse.Namespace) -> int:
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


def _cache(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.cache import clear, days_of, info

    days = days_of(arguments.older_than)
    if arguments.action == "info":
        write(visible(info()), sys.stdout)
    else:
        which = "all kept answers" if days is None else f"the kept answers that no run used for {days} days"
        older = "" if days is None else f" --older-than {days}"
        if not (arguments.yes or can_ask()):
            hint = f"say yes beforehand: quantgate cache clear --yes{older}"
            raise UsageError("cannot ask without a terminal", hint=hint)
        if not (arguments.yes or agreed(f"Forget {which}? [y/N] ")):
            write("nothing was forgotten", sys.stdout)
            return OK
        write(visible(clear(days)), sys.stdout)
    return OK


def _sources(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.sources import describe, sources

    width = _width()
    write(sources(width) if arguments.name is None else describe(arguments.name), sys.stdout)
    return OK


def _checks(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.checks import checks, describe

    width = _width()
    write(checks(width) if arguments.name is None else describe(arguments.name, width), sys.stdout)
    return OK


def _grade(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.grade import grade

    return OK if grade(arguments.file, sys.stdout, sys.stderr, options.grading(arguments)) else PROBLEMS


if __name__ == "__main__":
    sys.exit(main())
