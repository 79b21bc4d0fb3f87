"""What a gated run says on the terminal; without a terminal reporter, nothing."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, cast

from pytest_quantgate.errors import QuantgateWarning
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plugin.options import SEED
from pytest_quantgate.printable import no_command, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.plugin.book import CaseRef
    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.plugin.session import QuantRun

SHOWN = 3
"""Degraded cases of one slice and candidate that are shown without -v."""

NO_SLICES = (
    "no slice was found. `quantgate init` writes a first slice file; --quant-suite core runs the slices "
    "that ship with the package."
)


def reporter(config: pytest.Config) -> pytest.TerminalReporter | None:
    """Pytest's terminal reporter, unless it is switched off."""
    return cast("pytest.TerminalReporter | None", config.pluginmanager.get_plugin("terminalreporter"))


def line(config: pytest.Config, text: str, *, prefix: str = "quantgate: ") -> None:
    """Write one message on lines of its own."""
    _write(config, _shown(f"{prefix}{text}"))


def workflow_command(config: pytest.Config, command: str) -> None:
    """Write a command of ours to the runner of GitHub Actions, as it is."""
    _write(config, command)


def _write(config: pytest.Config, text: str) -> None:
    terminal = reporter(config)
    if terminal is not None:
        terminal.ensure_newline()
        if config.get_terminal_writer().width_of_current_line:  # behind pytest-xdist's progress it ended no line
            terminal.write_line("")
        terminal.write_line(text)


def _shown(text: str) -> str:
    """Lines that may quote anybody, as they can be printed."""
    return no_command(visible(text, keep="\n"))


def progress(config: pytest.Config) -> Progress:
    """Who is told how far generation has come."""
    from pytest_quantgate.generation.progress import RichProgress, SilentProgress

    terminal = reporter(config)
    if terminal is None or config.get_verbosity() < -1:
        return SilentProgress()
    from rich.console import Console

    terminal.ensure_newline()
    writer = config.get_terminal_writer()
    live = sys.stdout.isatty()  # FORCE_COLOR asks for color in a log, not for a bar that moves
    console = Console(width=writer.fullwidth, no_color=not writer.hasmarkup, highlight=False, force_terminal=live)
    return RichProgress(console)


@contextlib.contextmanager
def warnings_as_lines(config: pytest.Config) -> Iterator[None]:
    """Show the project's own warnings as lines; pytest gathers warnings only while items run."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", QuantgateWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: object, **how: object) -> None:
            if issubclass(category, QuantgateWarning):
                line(config, f"warning: {message}")
            else:
                others(message, category, *where, **how)  # type: ignore[arg-type]  # handed on as it came

        warnings.showwarning = show
        yield


def header(run: QuantRun) -> list[str]:
    """Model, variants, device and arithmetic, before anything is collected."""
    from pytest_quantgate.plugin.backends import SAME, model_of_run, same_as_reference
    from pytest_quantgate.variants.device import split_devices
    from pytest_quantgate.variants.spec import parse_spec

    options = run.options
    noun = "suite" if len(options.suites) == 1 else "suites"
    suites = f", {noun} {', '.join(options.suites)}" if options.suites else ""

    several = any(parse_spec(spec).model is not None for spec in run.places)

    def variant(spec: str) -> str:
        place = run.places.get(spec)
        if place is None:
            anchored = options.anchored is not None and spec == options.reference
            return f"{spec} ({'anchored answers, nothing is run' if anchored else 'served'})"
        model = f"{options.model}, " if several and parse_spec(spec).model is None else ""
        return f"{spec} ({model}{place.compute_dtype}, {place.kernels} kernels)"

    device = f", device {', '.join(split_devices(options.device))}" if run.places else ""
    candidates = ", ".join(variant(spec) for spec in options.candidates)
    noun = "candidate" if len(options.candidates) == 1 else "candidates"
    return [
        f"quantgate: model {model_of_run(options, run.places)}{device}{suites}",
        f"quantgate: reference {variant(options.reference)}, {noun} {candidates}",
        *(f"quantgate: {spec} {SAME}" for spec in same_as_reference(options)),
        *_how_it_is_judged(options),
    ]


def _how_it_is_judged(options: Options) -> list[str]:
    """What of the judging is not as it always is; a slice file may choose its rule too."""
    rule = options.command_line.rule or options.ini.rule
    noun = "control" if len(options.controls) == 1 else "controls"
    parts = [
        f"rule evidence, alpha {options.alpha:g}" if rule == "evidence" else "",
        f"cases in looks, order of seed {SEED}" if options.sequential else "",
        "answers stop when decided" if options.stop_early else "",
        f"{noun} {', '.join(options.controls)}" if options.controls else "",
        f"noise floor{' with other kernels' if options.noise_kernels else ''}" if options.noise_floor else "",
    ]
    told = ", ".join(filter(None, parts))
    return [f"quantgate: {told}"] if told else []


def side_by_side(run: QuantRun, ref: CaseRef, *, color: bool) -> str:
    """Both answers of a case, as wide as the terminal."""
    from pytest_quantgate.report.difference import side_by_side as draw

    return draw(
        ref.case,
        run.comparison(ref),
        ref.candidate,
        slice_name=ref.slice,
        reference=run.options.reference,
        width=width(run.config),
        color=color,
    )


def summary(run: QuantRun, terminal: pytest.TerminalReporter) -> None:
    """Degraded and unscored cases, and the report. A fault in here must not hide how the session ended."""
    if run.nothing_collected and (run.options.explicit or not terminal.stats):
        terminal.write_line(f"quantgate: {NO_SLICES}", red=run.options.explicit)
    if run.report is not None:
        _show(run, terminal)
    if run.options.reanchor and run.tally.wanted and not (run.concluded or run.options.dry_run):
        terminal.write_line("quantgate: nothing was anchored: the run did not come to its end", red=True, bold=True)
    for text, bad in run.goldens.told:
        terminal.ensure_newline()
        terminal.write_line(_shown(f"quantgate: {text}"), red=bad, bold=bad)
    if run.report_problem is not None:
        terminal.ensure_newline()
        terminal.write_line(_shown(f"quantgate: {run.report_problem}"), red=True, bold=True)


def _show(run: QuantRun, terminal: pytest.TerminalReporter) -> None:
    try:
        _degraded(run, terminal)
        _unscored(run, terminal)
        _report(run, terminal)
    except Exception as error:  # noqa: BLE001  (see above; the gates have been reported already)
        terminal.ensure_newline()
        problem = f"quantgate: the report cannot be shown: {type(error).__name__}: {error}"
        terminal.write_line(_shown(problem), red=True)


def _degraded(run: QuantRun, terminal: pytest.TerminalReporter) -> None:
    if run.options.strict:
        return  # they failed, and pytest has shown them
    groups: dict[tuple[str, str], list[CaseRef]] = defaultdict(list)
    for ref in run.arrived():
        if run.comparison(ref).transition is Transition.DEGRADED:
            groups[ref.slice, ref.candidate].append(ref)
    if not groups:
        return
    terminal.section("degraded cases", "=", yellow=True)
    color = run.config.get_terminal_writer().hasmarkup
    for (slice_, candidate), refs in groups.items():
        shown = refs if run.config.get_verbosity() > 0 else refs[:SHOWN]
        for ref in shown:
            terminal.write_line(side_by_side(run, ref, color=color))
        if len(shown) < len(refs):
            terminal.write_line(f"... {len(refs) - len(shown)} more of {slice_} on {candidate}, -v shows them all\n")


def _unscored(run: QuantRun, terminal: pytest.TerminalReporter) -> None:
    reasons: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], str] = {}
    for ref in run.arrived():
        comparison = run.comparison(ref)
        if comparison.transition is Transition.UNSCORED:
            reason = comparison.reference.unscored or comparison.candidate.unscored or "no reason given"
            examples.setdefault((ref.slice, ref.candidate, reason), ref.case.id)
            reasons[ref.slice, ref.candidate, reason] += 1
    if reasons:
        terminal.section("unscored cases", "=", yellow=True)
    for (slice_, candidate, reason), count in reasons.items():
        example = examples[slice_, candidate, reason]
        which = example if count == 1 else f"{count} cases, such as {example}"
        terminal.write_line(no_command(visible(f"{slice_} on {candidate}: {which}: {reason}")))


def _report(run: QuantRun, terminal: pytest.TerminalReporter) -> None:
    from pytest_quantgate.report.terminal import render

    if run.report is None or not run.gates:
        return
    terminal.section("quantgate report", "=")
    color = run.config.get_terminal_writer().hasmarkup
    terminal.write(render(run.report, width=width(run.config), color=color))
    terminal.ensure_newline()


def width(config: pytest.Config) -> int:
    """Columns of the terminal."""
    if reporter(config) is None:
        return 80
    return config.get_terminal_writer().fullwidth
