"""Options that several commands share, and those of the commands that have many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from pytest_quantgate.cases.model import PolicySettings
    from pytest_quantgate.checks.settings import GradingSettings


def add_grading(parser: argparse.ArgumentParser) -> None:
    """What grading may do."""
    parser.add_argument("--allow-code", action="store_true", help="run Python in the answers where a check tests it")
    parser.add_argument("--judge", metavar="URL#MODEL", help="what the check judge asks: http://HOST:PORT/v1#MODEL")


def _add_slices(parser: argparse.ArgumentParser) -> None:
    """Which slices are meant."""
    parser.add_argument("slices", metavar="SLICES", nargs="*", type=Path, help="slice files, or folders that hold some")
    parser.add_argument("--suite", metavar="NAME", action="append", default=[], help="a suite that ships, such as core")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """What a gate tolerates, and by which rule it decides."""
    rule = (
        "point: a rate beyond its limit fails; evidence: a proven one does; overrides the slice files. Default: point"
    )
    parser.add_argument("--rule", choices=("point", "evidence"), help=rule)
    parser.add_argument("--alpha", metavar="A", type=float, default=0.05, help="error of rule evidence. Default: 0.05")
    limit = "largest share of cases that may degrade; overrides the slice files. Default: 0.05"
    parser.add_argument("--max-pass-to-fail", metavar="SHARE", type=float, help=limit)
    robustness = "smallest robustness R; overrides the slice files. Default: 0.90"
    parser.add_argument("--min-robustness", metavar="R", type=float, help=robustness)
    fewest = "fewest scored cases for a verdict; overrides the slice files. Default: 30"
    parser.add_argument("--min-cases", metavar="N", type=int, help=fewest)


def add_report(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate report`."""
    parser.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    parser.add_argument("--breakdown", action="store_true", help="show what was measured in every part of each slice")
    parser.add_argument("--html", metavar="PATH", type=Path, help="write the run as one HTML file instead")
    parser.add_argument("--markdown", metavar="PATH", type=Path, help="write it as Markdown, for a pull request")


def add_gate(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate gate`."""
    _add_slices(parser)
    answers = "FILE"
    parser.add_argument("--reference", metavar=answers, required=True, help="the trusted variant's answers")
    candidate = "answers of one that is to replace it; repeat it for several"
    parser.add_argument("--candidate", metavar=answers, action="append", required=True, help=candidate)
    control = "answers of one that is broken: a slice that does not see it gives no verdict; repeat it for several"
    parser.add_argument("--control", metavar=answers, action="append", default=[], help=control)
    floor = "the reference's answers, recorded once more: only what is lost beyond that is judged"
    parser.add_argument("--noise-floor", metavar=answers, help=floor)
    _add_limits(parser)
    inconclusive = "what a gate without a verdict does to the exit status. Default: fail"
    parser.add_argument("--inconclusive", choices=("pass", "fail"), default="fail", help=inconclusive)
    underpowered = "judge although the cases are too few for any verdict"
    parser.add_argument("--allow-underpowered", action="store_true", help=underpowered)
    add_grading(parser)
    kept = "write the whole run, for `quantgate report`, which makes HTML and Markdown of it"
    parser.add_argument("--report-json", metavar="PATH", type=Path, help=kept)
    parser.add_argument("--breakdown", action="store_true", help="show what was measured in every part of each slice")


def add_diagnose(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate diagnose`."""
    parser.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    parser.add_argument("--slice", metavar="NAME", help="only this slice")
    parser.add_argument("--candidate", metavar="SPEC", help="only this candidate")
    parser.add_argument("--no-repair", action="store_true", help="look for no repair")
    bits = "mean bits of a weight that a repair may take. Default: 5.5"
    parser.add_argument("--max-bits", metavar="BITS", type=float, default=5.5, help=bits)
    minutes = "minutes that the search for a repair may take. Default: 10"
    parser.add_argument("--minutes", metavar="MINUTES", type=float, default=10.0, help=minutes)
    add_grading(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the run with its diagnoses, to be read back")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write it as one HTML file, with charts")


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate compare`."""
    parser.add_argument("first", metavar="A.json[#CANDIDATE]", help="a stored run, and one of its candidates")
    parser.add_argument("second", metavar="B.json[#CANDIDATE]", help="another one, or another of its candidates")
    forms = ("terminal", "markdown", "json")
    parser.add_argument("--format", choices=forms, default="terminal", help="default: terminal")


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate rerun`."""
    parser.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    only = "only these cases: degraded, unstable (degraded or improved), or drifted from their golden"
    parser.add_argument("--only", choices=("degraded", "unstable", "drifted"), help=only)
    parser.add_argument("--slice", metavar="NAME", help="only this slice")
    parser.add_argument("--candidate", metavar="SPEC", help="only this candidate")
    parser.add_argument("--yes", action="store_true", help="run it without asking")


def add_power(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate power`."""
    _add_slices(parser)
    parser.add_argument("--cases", metavar="N", type=int, help="of a slice that is not written yet, in place of SLICES")
    number = "how many will be judged together. Default: 1"
    parser.add_argument("--candidates", metavar="N", type=int, default=1, help=number)
    _add_limits(parser)


def limits(arguments: argparse.Namespace) -> PolicySettings:
    """The limits that were given."""
    from pytest_quantgate.cases.model import PolicySettings

    return PolicySettings(
        rule=arguments.rule,
        max_pass_to_fail=arguments.max_pass_to_fail,
        min_robustness=arguments.min_robustness,
        min_cases=arguments.min_cases,
    )


def grading(arguments: argparse.Namespace) -> GradingSettings:
    """What grading may do, as it was given.

    Raises:
        UsageError: The judge is no address.
    """
    from pytest_quantgate.checks.judge.endpoint import JudgeEndpoint
    from pytest_quantgate.checks.settings import GradingSettings

    judge = None if arguments.judge is None else JudgeEndpoint.parse(arguments.judge)
    return GradingSettings(allow_code=arguments.allow_code, judge=judge)


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """The options of `quantgate calibrate`."""
    parser.add_argument("file", metavar="RUN.json", type=Path, help="what --quant-report-json wrote")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sheet", metavar="FILE.csv", type=Path, help="draw a sample of answers into a sheet to label")
    what.add_argument("--labels", metavar="FILE.csv", type=Path, help="read that sheet back, filled in")
    drawn = parser.add_argument_group("with --sheet")
    rows = "answers to label at most. Default: 200"
    drawn.add_argument("--sample", metavar="N", type=int, default=200, help=rows)
    drawn.add_argument("--seed", metavar="S", type=int, default=0, help="of the draw and of the order. Default: 0")
    some = "draw from this slice; repeat it for several. Default: all"
    drawn.add_argument("--slice", metavar="NAME", action="append", default=[], help=some)
    checks = "ask about this check; repeat it for several. Default: those that read what an answer means"
    drawn.add_argument("--check", metavar="NAME", action="append", default=[], help=checks)
    read = parser.add_argument_group("with --labels")
    kept = "write the labels beside the goldens, where gates with min_grader_agreement read them"
    read.add_argument("--keep", action="store_true", help=kept)
    forms = ("terminal", "markdown", "json")
    read.add_argument("--format", choices=forms, default="terminal", help="default: terminal")
