"""The run loop of a session without pytest-xdist: answers before the first item runs, gates after the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.garbage import keep_for_this_session

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
        keep_for_this_session()  # answers
        try:
            result = yield
        except (session.Failed, session.Interrupted):  # -x and the like; Ctrl-C passes by
            run.conclude()
            raise
        run.conclude()
        return result
