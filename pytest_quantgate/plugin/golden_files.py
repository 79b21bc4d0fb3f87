"""Where the goldens of a run's slices lie: beside the slice file; those of packaged suites below the root folder."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.golden.store import golden_path
from pytest_quantgate.plugin.files import absolute

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_quantgate.plugin.session import QuantRun


def path_of(run: QuantRun, name: str, variant: str) -> Path:
    """The file that holds what a variant is anchored to on a slice.

    Args:
        run: The session's run.
        name: Name of a slice that was collected.
        variant: Canonical spec.
    """
    file = absolute(run.config.invocation_params.dir / run.book.named(name).location.path)
    for suite in run.options.suites:
        if file in _files(suite):
            return golden_path(run.config.rootpath, name, variant, suite=suite)
    return golden_path(file.parent, name, variant)


@cache
def _files(suite: str) -> frozenset[Path]:
    return frozenset(map(absolute, suite_files(suite)))
