"""The `quantgate` command: what can be done with slices, reports and answers outside a test run."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_quantgate.errors import QuantgateError, QuantgateWarning, SliceError, UsageError

OK, PROBLEMS, BAD_USAGE = 0, 1, 2

OVERVIEW = """\
Gates quantized language models, slice by slice. The gate itself runs inside pytest:

  pytest --quant-ref fp16 --quant-cand nf4

This command helps around it.
"""

EPILOG = """\
exit status: 0 when all is well, 1 when there are problems in the files, 2 when the command could not run
"""

INIT = """\
Writes quant/first.slice.yaml, a slice file to change, and pytest.ini where pytest has no
configuration yet; where it has one, prints the lines to add. Nothing is overwritten.

  quantgate init
  pytest quant --quant-cand nf4
"""

VALIDATE = """\
Reads slice files, and every *.slice.yaml below a folder, and tells every mistake in them as
FILE:LINE. Needs no model. Knows the built-in checks, not those that a plugin of yours adds.

  quantgate validate quant
  quantgate validate quant/format.slice.yaml quant/math.slice.yaml
"""

REPORT = """\
Shows a stored run as pytest showed it.

  pytest quant --quant-cand nf4 --quant-report-json run.json
  quantgate report run.json
"""

CACHE = """\
Answers are kept, so that a run with nothing changed loads no model. They are kept in the user's
cache folder, or in $QUANTGATE_CACHE_DIR.

  quantgate cache info
  quantgate cache clear --yes
"""

GRADE = """\
Grades answers that you have already; needs no model. Each line of the file is one answer:

  {"id": "sum", "prompt": "What is 7 + 5?", "checks": [{"number": 12}], "response": "It is 12."}

and gives one line on standard output:

  {"id": "sum", "passed": true, "results": [{"check": "number", "followed": true, "reason": "..."}]}

"prompt" is text, or a list of {"role", "content"} messages; "checks" are written as in slice files;
other keys are ignored.
"passed" is true when every check is followed, and null when one of them could not be scored.
Knows the built-in checks, not those that a plugin of yours adds. A line that cannot be graded is
told as FILE:LINE on standard error, and the others are graded.

  quantgate grade answers.jsonl > grades.jsonl
  quantgate grade - < answers.jsonl
"""


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
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        with _plain_warnings():
            status = run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not fail on flushing it at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except QuantgateError as error:
        print(f"quantgate: {error}", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:
        return 130  # what a shell reports for a command that was interrupted
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantgate",
        description=OVERVIEW,
        epilog=EPILOG,
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

    init = command("init", INIT, "write a first slice file and the settings it needs", _init)
    init.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path(), help="default: here")

    validate = command("validate", VALIDATE, "find the mistakes in slice files", _validate)
    validate.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a slice file, or a folder")

    report = command("report", REPORT, "show a stored run", _report)
    report.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")

    cache = command("cache", CACHE, "look at the kept answers, or forget them", _cache)
    cache.add_argument("action", choices=("info", "clear"), help="count what is kept, or forget all of it")
    cache.add_argument("--yes", action="store_true", help="clear without asking")

    grade = command("grade", GRADE, "grade answers that you have already", _grade)
    grade.add_argument("file", metavar="FILE.jsonl", help="one answer per line; - reads standard input")
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"quantgate {version('pytest-quantgate')}")
        parser.exit()


def _init(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.init import init

    print(init(arguments.folder))
    return OK


def _validate(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.validate import validate

    try:
        print(validate(arguments.paths))
    except SliceError as error:
        print(error)
        count = len(error.problems)
        print(f"{count} problem{'s' if count > 1 else ''}", file=sys.stderr)
        return PROBLEMS
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.terminal import render

    path: Path = arguments.file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "name a file that `pytest --quant-report-json FILE` wrote"
        raise UsageError(f"cannot be read: {error}", where=str(path), hint=hint) from None
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    run = RunReport.from_json(text, where=str(path))
    print(render(run, width=shutil.get_terminal_size().columns, color=color).rstrip("\n"))
    return OK


def _cache(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.cache import clear, info

    if arguments.action == "info":
        print(info())
    else:
        if not (arguments.yes or _agreed("Forget all kept answers? [y/N] ")):
            print("nothing was forgotten")
            return OK
        print(clear())
    return OK


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("cannot ask without a terminal", hint="say yes beforehand: quantgate cache clear --yes")
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _grade(arguments: argparse.Namespace) -> int:
    from pytest_quantgate.commands.grade import grade

    return OK if grade(arguments.file, sys.stdout, sys.stderr) else PROBLEMS


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """The project's warnings as one line on standard error, without the source line that Python adds."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", QuantgateWarning)
        warnings.showwarning = lambda message, *_, **__: print(f"quantgate: warning: {message}", file=sys.stderr)
        yield


if __name__ == "__main__":
    sys.exit(main())
