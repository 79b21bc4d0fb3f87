"""``--quant-reanchor review``: every change is shown, and a person says what becomes of it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.golden.reanchor import ANCHORABLE
from pytest_quantgate.plugin import terminal
from pytest_quantgate.plugin.reanchor import Choice
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from pytest_quantgate.golden.model import Standing
    from pytest_quantgate.plugin.drift import Compared
    from pytest_quantgate.plugin.session import QuantRun

Answer = Literal["yes", "no", "all", "quit"]

WORDS: Final[tuple[Answer, ...]] = ("yes", "no", "all", "quit")


def is_possible(config: pytest.Config) -> bool:
    """Whether there is somebody at a terminal to ask."""
    with _keyboard(config):
        streams = sys.stdin, sys.stdout
        return terminal.reporter(config) is not None and all(each is not None and each.isatty() for each in streams)


def review(
    run: QuantRun, compared: Sequence[Compared], accepted: Mapping[tuple[str, str], Mapping[str, str]]
) -> list[Choice] | None:
    """Show every change and ask.

    Args:
        run: The session's run, its gates judged.
        compared: The variants beside their goldens.
        accepted: Why degraded cases may be anchored as far as the command line says, by slice and variant.

    Returns:
        What of each golden is to be made anew; None when the user broke off with Ctrl-C.
    """
    asked = [_Review(run, each, dict(accepted.get((each.slice, each.variant), {}))) for each in compared]
    left = sum(len(each.changes) for each in asked)
    with _keyboard(run.config):
        try:
            if left:
                _say(run, f"review: {counted(left, 'change')}")
            for each in asked:
                if not each.ask():
                    break
        except KeyboardInterrupt:
            return None
    return [each.choice() for each in asked]


@dataclass(slots=True)
class _Review:
    """The changes of one golden.

    Attributes:
        run: The session's run.
        compared: The variant beside its golden.
        accepted: Why cases may be anchored although they are degraded, by id.
        chosen: The changes that are wanted.
    """

    run: QuantRun
    compared: Compared
    accepted: dict[str, str]
    chosen: list[Standing] = field(default_factory=list)

    @property
    def changes(self) -> list[Standing]:
        """What can change, kind by kind; a case that could not be graded cannot."""
        outcomes = self.compared.outcomes
        return [
            each
            for state in ANCHORABLE
            for each in self.compared.standings
            if each.state == state
            and (state == "unused" or (each.case_id in outcomes and outcomes[each.case_id].passed is not None))
        ]

    def ask(self) -> bool:
        """Ask about every change; False when the user wants no further question."""
        taken: str | None = None
        for standing in self.changes:
            degraded = self._unaccepted(standing.case_id) and standing.state != "unused"
            if standing.state == taken and not degraded:
                self.chosen.append(standing)
                continue
            answer = self._answer(standing, degraded=degraded)
            if answer == "quit":
                return False
            if answer == "all":
                taken = standing.state
            if answer != "no" and (not degraded or self._reason(standing.case_id)):
                self.chosen.append(standing)
        return True

    def choice(self) -> Choice:
        """What was decided."""
        return Choice(self.chosen, self.accepted)

    def _unaccepted(self, case_id: str) -> bool:
        """Whether a case is degraded, and nobody has said why it may be anchored."""
        golden = self.compared.golden
        entry = None if golden is None else golden.entries.get(case_id)
        known = case_id in self.accepted or (entry is not None and entry.accepted is not None)
        return case_id in self.compared.degraded and not known

    def _answer(self, standing: Standing, *, degraded: bool) -> Answer:
        self._show(standing)
        if degraded:
            _say(self.run, "it is degraded: the reference passes and this variant does not")
        question = "remove it" if standing.state == "unused" else "anchor it"
        while True:
            given = _read(self.run, f"{question}? [y]es, [n]o, [a]ll of these ({standing.state}), [q]uit: ")
            if given is None:
                return "quit"
            word = given.strip().lower()
            if word and (found := next((each for each in WORDS if each.startswith(word)), None)) is not None:
                return found

    def _show(self, standing: Standing) -> None:
        from pytest_quantgate.report.anchored import change_text

        golden, case_id = self.compared.golden, standing.case_id
        color = self.run.config.get_terminal_writer().hasmarkup
        text = change_text(
            full_name(self.compared.slice, case_id, self.compared.variant),
            standing,
            case=next((case for case in self.compared.cases if case.id == case_id), None),
            entry=None if golden is None else golden.entries.get(case_id),
            outcome=self.compared.outcomes.get(case_id),
            width=terminal.width(self.run.config),
            color=color,
        )
        _write(self.run, f"\n{text}")

    def _reason(self, case_id: str) -> bool:
        """Ask why a degraded case may be anchored; False when there is no reason."""
        given = _read(self.run, "why? The reason is kept in the golden; without one the case is left as it is: ")
        if given is None or not given.strip():
            return False
        self.accepted[case_id] = given.strip()
        return True


def _read(run: QuantRun, question: str) -> str | None:
    """One line from the terminal; None when there is none."""
    _write(run, question)
    try:
        return sys.stdin.readline() or None
    except (OSError, ValueError):  # the terminal went away, or said what is no text
        return None


def _say(run: QuantRun, text: str) -> None:
    terminal.line(run.config, text)


def _write(run: QuantRun, text: str) -> None:
    writer = run.config.get_terminal_writer()
    writer.write(text, flush=True)


@contextmanager
def _keyboard(config: pytest.Config) -> Iterator[None]:
    """Give the terminal back while pytest captures what tests read and write."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is None:
        yield
        return
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        # only what is read: output is captured while a test runs, and none does
        capture.resume_global_capture()
        capture.suspend_global_capture(in_=False)
