"""The fixture ``quant_case`` and the marker that repeats a test for every case and candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.errors import SliceError
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.session import RUN_KEY
from pytest_quantgate.printable import no_command, visible

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.outcomes.model import Comparison, Outcome
    from pytest_quantgate.plugin.session import QuantRun

FIXTURE = "quant_case"


class QuantCase:
    """One case, answered by the reference and by one candidate.

    Args:
        ref: What is compared.
        run: The session's run.
    """

    def __init__(self, ref: CaseRef, run: QuantRun) -> None:
        self._ref = ref
        self._run = run

    def __repr__(self) -> str:
        return f"<QuantCase {self._ref.slice}::{self._ref.case.id}[{self._ref.candidate}]>"

    @property
    def case(self) -> Case:
        """What was asked, and the checks."""
        return self._ref.case

    @property
    def comparison(self) -> Comparison:
        """Both outcomes and how they changed."""
        return self._run.comparison(self._ref)

    @property
    def reference(self) -> Outcome:
        """What the reference answered, graded."""
        return self.comparison.reference

    @property
    def candidate(self) -> Outcome:
        """What the candidate answered, graded."""
        return self.comparison.candidate

    @property
    def transition(self) -> Transition:
        """How the case moved from the reference to the candidate."""
        return self.comparison.transition

    def assert_not_degraded(self) -> None:
        """Fail when the reference passes the case and the candidate does not, or when that cannot be told.

        Raises:
            AssertionError: With both answers side by side, or with why the case is unscored.
        """
        __tracebackhide__ = True
        comparison = self.comparison
        if comparison.transition is Transition.DEGRADED:
            raise AssertionError(f"{self._ref.case.id} is degraded\n{self._run.side_by_side(self._ref)}")
        if comparison.transition is Transition.UNSCORED:
            reason = comparison.reference.unscored or comparison.candidate.unscored
            msg = f"{self._ref.case.id} is unscored, so nothing shows that it is not degraded: {reason}"
            raise AssertionError(no_command(msg))


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a marked test once per case and candidate; once, to be skipped, when there is no candidate.

    Raises:
        pytest.Collector.CollectError: The marker is used wrongly, or a slice file has problems.
    """
    run = metafunc.config.stash.get(RUN_KEY, None)
    if run is None:
        return
    if FIXTURE not in metafunc.fixturenames:
        raise _error(metafunc, f"has the quant_slice marker and does not use the fixture {FIXTURE}: add it as argument")
    marker = metafunc.definition.get_closest_marker("quant_slice")
    names = marker.args if marker is not None and not marker.kwargs else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise _error(metafunc, 'write the marker as @pytest.mark.quant_slice("NAME.slice.yaml"), with one path or more')
    folder = metafunc.definition.path.parent
    try:
        slices = [run.book.load(folder / name) for name in names]
    except SliceError as error:
        raise _error(metafunc, no_command(visible(str(error), keep="\n"))) from None
    refs = [
        CaseRef(slice_.name, case, candidate)
        for slice_ in slices
        for case in slice_.cases
        for candidate in run.options.candidates
    ]
    prefixed = len(slices) > 1
    ids = [
        f"{ref.slice}-{ref.case.id}-{ref.candidate}" if prefixed else f"{ref.case.id}-{ref.candidate}" for ref in refs
    ]
    metafunc.parametrize(FIXTURE, refs, indirect=True, ids=ids)


def case_of(request: pytest.FixtureRequest) -> QuantCase:
    """The value of the fixture for the running test."""
    ref = getattr(request, "param", None)
    run = request.config.stash.get(RUN_KEY, None)
    if run is None:
        pytest.skip("no candidate: name one with --quant-cand, for example --quant-cand nf4")
    if not isinstance(ref, CaseRef):
        pytest.fail(
            f'{FIXTURE} needs the marker @pytest.mark.quant_slice("NAME.slice.yaml") on the test', pytrace=False
        )
    trouble = run.answers.trouble(ref.candidate)
    if trouble is not None:
        pytest.fail(no_command(trouble.reason), pytrace=False)
    return QuantCase(ref, run)


def _error(metafunc: pytest.Metafunc, message: str) -> pytest.Collector.CollectError:
    return pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {message}")
