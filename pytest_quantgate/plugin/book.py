"""The slices of a session: each file is loaded once, whoever asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.errors import Problem, SliceError
from pytest_quantgate.garbage import no_cycle_search
from pytest_quantgate.plugin.files import seen_from

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case, Slice
    from pytest_quantgate.cases.sources.registry import SourceRegistry
    from pytest_quantgate.cases.surroundings import TokenCounter
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings


@dataclass(frozen=True, slots=True)
class CaseRef:
    """One case to compare on one candidate.

    Attributes:
        slice: Name of the slice.
        case: The case.
        candidate: Canonical spec of the candidate.
    """

    slice: str
    case: Case
    candidate: str


class SliceBook:
    """The slices that were seen, by file and by name.

    Args:
        config: The session's configuration; its plugins may add checks and data sets.
        count_tokens: Counts as the model of the run does.
        grading: What checks may do.

    Attributes:
        fault: The failure of a plugin that was to add checks or data sets.
    """

    def __init__(self, config: pytest.Config, count_tokens: TokenCounter, grading: GradingSettings) -> None:
        self._config = config
        self._grading = grading
        self._count_tokens = count_tokens
        self.fault: pytest.UsageError | None = None
        self._by_file: dict[Path, Slice] = {}
        self._by_name: dict[str, tuple[Path, Slice]] = {}

    @cached_property
    def registry(self) -> CheckRegistry:
        """The built-in checks and those that plugins add.

        Raises:
            pytest.UsageError: One of them fails at it.
        """
        from pytest_quantgate.checks.builtin import builtin_registry

        registry = builtin_registry(self._grading)
        self._call("pytest_quantgate_register_checks", registry)
        return registry

    @cached_property
    def sources(self) -> SourceRegistry:
        """The built-in data sets and those that plugins add.

        Raises:
            pytest.UsageError: One of them fails at it.
        """
        from pytest_quantgate.cases.sources import builtin_sources

        sources = builtin_sources()
        self._call("pytest_quantgate_register_sources", sources)
        return sources

    def _call(self, hook: str, registry: object) -> None:
        from pytest_quantgate.plugin import hooks

        try:
            hooks.call(self._config, hook, registry)
        except pytest.UsageError as error:
            self.fault = error
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all slices that were loaded, in order."""
        return tuple(self._by_name)

    def named(self, name: str) -> Slice:
        """The slice of that name."""
        return self._by_name[name][1]

    def add(self, slice_: Slice) -> None:
        """Know a slice that another process loaded."""
        self._by_name[slice_.name] = (Path(slice_.location.path), slice_)

    def load(self, path: Path, shown: str | None = None) -> Slice:
        """The slice of a file.

        Args:
            path: The file.
            shown: How errors name it; by default relative to the folder where pytest was started.

        Raises:
            SliceError: With every problem of the file, and when another file has a slice of that name.
        """
        try:
            key = path.resolve()
        except (OSError, RuntimeError, ValueError):  # no path, or links in a circle; reading it tells
            key = path
        if key not in self._by_file:
            with no_cycle_search():
                loaded = load_slice(
                    path,
                    self.registry,
                    shown=shown or seen_from(self._config.invocation_params.dir, path),
                    count_tokens=self._count_tokens,
                    sources=self.sources,
                )
            self._refuse_duplicate(loaded, key)
            self._by_file[key] = loaded
            self._by_name[loaded.name] = (key, loaded)
        return self._by_file[key]

    def _refuse_duplicate(self, loaded: Slice, key: Path) -> None:
        other, first = self._by_name.get(loaded.name, (key, loaded))
        if other != key:
            message = f"duplicate slice {loaded.name!r} (first at {first.location})"
            raise SliceError([Problem(loaded.location.path, loaded.location.line, message)])
