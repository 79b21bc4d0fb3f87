"""The `quantgate` command and its arguments: what can be done with slices, reports and answers outside a test run."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_quantgate.commands import help as told
from pytest_quantgate.commands import options, running
from pytest_quantgate.commands.running import BAD_USAGE, OK, refused
from pytest_quantgate.commands.streams import LAYOUT, flush, plain_warnings, tell, write
from pytest_quantgate.errors import QuantgateError, UsageError
from pytest_quantgate.printable import visible


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
        return refused(error)
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
        return refused(error)
    except KeyboardInterrupt:
        return 130  # what a shell reports for a command that was interrupted


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

    init = command("init", told.INIT, "write a first slice file and the settings it needs", running.run_init)
    init.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path(), help="default: here")

    validate = command("validate", told.VALIDATE, "find the mistakes in slice files", running.run_validate)
    validate.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a slice file, or a folder")

    options.add_report(
        command("report", told.REPORT, "show a stored run, or write it as HTML or Markdown", running.run_report)
    )

    show = command("show", told.SHOW, "show everything about one case of a stored run", running.run_show)
    show.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    show.add_argument("case", metavar="CASE", help="CASE, SLICE::CASE or a node id, with or without [CANDIDATE]")

    options.add_diagnose(
        command("diagnose", told.DIAGNOSE, "find out why gates of a stored run failed", running.run_diagnose)
    )

    options.add_rerun(command("rerun", told.RERUN, "run cases of a stored run again", running.run_rerun))

    options.add_compare(command("compare", told.COMPARE, "put two stored runs side by side", running.run_compare))

    options.add_calibrate(
        command("calibrate", told.CALIBRATE, "ask people whether checks are right", running.run_calibrate)
    )

    options.add_gate(command("gate", told.GATE, "judge answers that you have recorded", running.run_gate))
    options.add_power(command("power", told.POWER, "see what the cases of a slice can prove", running.run_power))

    cache = command("cache", told.CACHE, "look at the kept answers, or forget them", running.run_cache)
    cache.add_argument("action", choices=("info", "clear"), help="count what is kept, or forget all of it")
    unused = "clear only answers that no run used for longer than this"
    cache.add_argument("--older-than", metavar="DAYS", type=int, help=unused)
    cache.add_argument("--yes", action="store_true", help="clear without asking")

    sources = command("sources", told.SOURCES, "show the public data sets, and how to get them", running.run_sources)
    sources.add_argument("name", metavar="NAME", nargs="?", help="show everything about one of them")

    checks = command("checks", told.CHECKS, "show what slice files may ask of an answer", running.run_checks)
    checks.add_argument("name", metavar="NAME", nargs="?", help="show everything about one of them")

    grade = command("grade", told.GRADE, "grade answers that you have already", running.run_grade)
    grade.add_argument("file", metavar="FILE.jsonl", help="one answer per line; - reads standard input")
    options.add_grading(grade)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        write(f"quantgate {version('pytest-quantgate')}", sys.stdout)
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
