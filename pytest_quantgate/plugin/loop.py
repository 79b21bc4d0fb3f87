"""The run loop of a session without pytest-xdist: answers before the first item runs, gates after the last."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_quantgate.plugin.session import QuantRun


class Loop:
    """Stands around pytest's run loop.

    Args:
        run: The session's run.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Make all answers before the first item runs, and report the gates after the last.

        Raises:
            pytest.UsageError: A slice could not be decided, whatever the models answer.
        """
        run = self._run
        stopped = session.testsfailed and not session.config.option.continue_on_collection_errors
        if session.config.option.collectonly or stopped:
            return (yield)
        run.select(session.items)
        if not run.tally.wanted:
            return (yield)
        session.testscollected += run.answer()  # a gate is one more result; progress ends at 100%
        _keep_for_good()
        try:
            result = yield
        except (session.Failed, session.Interrupted):  # -x and the like; Ctrl-C passes by
            run.conclude()
            raise
        run.conclude()
        return result


def _keep_for_good() -> None:
    """Take cases and answers out of the search for garbage: they stay until the end, and searching them takes long.

    Not where a model was loaded: its memory must come back, and such a run has not a second to lose.
    """
    if "torch" not in sys.modules:
        gc.freeze()
