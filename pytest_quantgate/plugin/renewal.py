"""The end of a run with ``--quant-reanchor``: where anything speaks against a golden, none is written.

Each is written whole or not at all; where one cannot be written, those behind it are not, and it is told which.
"""

from __future__ import annotations

import getpass
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.plugin.backends import model_of
from pytest_quantgate.plugin.golden_files import path_of
from pytest_quantgate.plugin.reanchor import REVIEW, Choice, accepted, states_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantgate.golden.model import Anchor, Golden
    from pytest_quantgate.golden.reanchor import Plan
    from pytest_quantgate.plugin.drift import Compared
    from pytest_quantgate.plugin.session import QuantRun

MOST_REFUSED: Final = 50
"""Degraded cases that are named one by one."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of it.

    Attributes:
        told: Lines for people, each with whether it is bad news.
        written: The goldens that were written, and the ids of their cases that changed, by slice and variant.
        exitstatus: How the session ends.
    """

    told: tuple[tuple[str, bool], ...]
    written: Mapping[tuple[str, str], tuple[Golden, tuple[str, ...]]] = field(default_factory=dict)
    exitstatus: int = pytest.ExitCode.TESTS_FAILED


def renew(run: QuantRun, compared: Sequence[Compared], exitstatus: int) -> Renewal:
    """Write the goldens that the user asked for.

    Args:
        run: The session's run, its gates judged.
        compared: The variants beside their goldens.
        exitstatus: How the run ended: nothing is written by one that did not end well.
    """
    if exitstatus != pytest.ExitCode.OK:
        how = "was interrupted" if exitstatus == pytest.ExitCode.INTERRUPTED else "failed"
        return Renewal(((f"nothing was anchored: the run {how}", True),), exitstatus=exitstatus)
    if count := run.tally.skipped:
        what = f"{count} case{' was' if count == 1 else 's were'} skipped, and only whole slices are anchored"
        return Renewal(((f"nothing was anchored: {what}", True),))
    choices = _choices(run, compared)
    if choices is None:
        broken_off = ("nothing was anchored: the review was interrupted", True)
        return Renewal((broken_off,), exitstatus=pytest.ExitCode.INTERRUPTED)
    plans = [(each, _plan(each, choice)) for each, choice in zip(compared, choices, strict=True)]
    if refused := list(_refused(plans)):
        return Renewal(((_refusal(refused), True),))
    told = [(line, False) for line in (*_ungraded(plans), *_not_needed(run, plans))]
    wanted = [(each, planned) for each, planned in plans if planned.written]
    if not wanted:
        return Renewal((*told, ("nothing to anchor", False)), exitstatus=pytest.ExitCode.OK)
    return _write(run, wanted, told)


def _choices(run: QuantRun, compared: Sequence[Compared]) -> list[Choice] | None:
    """What of each golden is to be made anew; None when the user broke off."""
    reasons = accepted(run)
    if REVIEW in run.options.reanchor:
        from pytest_quantgate.plugin.review import review

        return review(run, compared, reasons)
    states = states_of(run.options.reanchor)
    return [
        Choice(
            [standing for standing in each.standings if standing.state in states],
            reasons.get((each.slice, each.variant), {}),
        )
        for each in compared
    ]


def _plan(compared: Compared, choice: Choice) -> Plan:
    from pytest_quantgate.golden.reanchor import plan

    return plan(
        compared.golden,
        choice.standings,
        compared.outcomes,
        states={each.state for each in choice.standings},
        degraded=compared.degraded,
        accepted=choice.accepted,
    )


def _refused(plans: Sequence[tuple[Compared, Plan]]) -> Iterator[str]:
    for each, planned in plans:
        yield from (full_name(each.slice, case_id, each.variant) for case_id in planned.refused)


def _refusal(names: Sequence[str]) -> str:
    noun = "1 degraded case" if len(names) == 1 else f"{len(names)} degraded cases"
    lines = [f"nothing was anchored: {noun} would be. Look at them; where one is as it should be, say why:"]
    lines += [f"    --quant-accept {shlex.quote(f'{name}=REASON')}" for name in names[:MOST_REFUSED]]
    if (rest := len(names) - MOST_REFUSED) > 0:
        lines.append(f"    ... and {rest} more")
    return "\n".join(lines)


def _ungraded(plans: Sequence[tuple[Compared, Plan]]) -> Iterator[str]:
    """Cases whose anchors stay as they are."""
    for each, planned in plans:
        if (count := len(planned.unscored)) > 0:
            what = "1 case" if count == 1 else f"{count} cases"
            such = planned.unscored[0]
            yield f"{each.slice} on {each.variant}: {what} could not be graded and was not anchored: {such}"


def _not_needed(run: QuantRun, plans: Sequence[tuple[Compared, Plan]]) -> Iterator[str]:
    used = {(each.slice, each.variant, case_id) for each, planned in plans for case_id in planned.accepted}
    for (slice_name, spec), cases in accepted(run).items():
        for case_id in cases:
            if (slice_name, spec, case_id) not in used:
                name = full_name(slice_name, case_id, spec)
                yield f"--quant-accept {name} was not needed: the case is not degraded, or not anchored by this run"


def _write(run: QuantRun, wanted: Sequence[tuple[Compared, Plan]], told: list[tuple[str, bool]]) -> Renewal:
    """Write golden after golden; where one cannot be written, what comes after it is not tried."""
    from pytest_quantgate.golden.model import Golden
    from pytest_quantgate.golden.reanchor import renewed
    from pytest_quantgate.golden.store import write

    written: dict[tuple[str, str], tuple[Golden, tuple[str, ...]]] = {}
    anchors = {each.variant: _anchor(run, each.variant) for each, _ in wanted}
    for each, planned in wanted:
        path = path_of(run, each.slice, each.variant)
        after = renewed(
            each.golden or Golden(each.slice, each.variant, path),
            planned,
            each.cases,
            each.outcomes,
            transitions=each.transitions,
            anchor=anchors[each.variant],
        )
        try:
            write(after, shown=run.goldens.shown(path))
        except QuantgateError as error:
            return Renewal((*told, (_failure(run, error, wanted, len(written)), True)), written)
        written[each.slice, each.variant] = after, planned.written
    return Renewal(tuple(told), written, pytest.ExitCode.OK)


def _failure(run: QuantRun, error: QuantgateError, wanted: Sequence[tuple[Compared, Plan]], done: int) -> str:
    """What was written and what was not."""
    files = [run.goldens.shown(path_of(run, each.slice, each.variant)) for each, _ in wanted]
    parts = [("written before", files[:done]), ("not written", files[done:])]
    lines = [f"  {what}: {', '.join(names)}" for what, names in parts if names]
    return "\n".join([f"re-anchoring failed: {error}", *lines])


def _anchor(run: QuantRun, spec: str) -> Anchor:
    """Where today's anchors come from."""
    from pytest_quantgate.clock import timestamp
    from pytest_quantgate.golden.model import Anchor
    from pytest_quantgate.plugin.assemble import base_command
    from pytest_quantgate.report.model import tool_version
    from pytest_quantgate.report.rerun import shell_line

    identity = run.answers.variants[spec].identity
    return Anchor(
        model=model_of(run.options, spec),
        identity=dict(identity.fields),
        digest=identity.digest,
        date=timestamp(),
        by=_who(),
        # not as it was typed: how many processes graded must not change a golden
        command=shell_line([*base_command(run.config), "--quant-reanchor", run.config.getoption("quant_reanchor")]),
        tool_version=tool_version(),
    )


def _who() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container without the user's name
        return "unknown"
