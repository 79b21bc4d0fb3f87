"""Which slices a command is about: files, folders, and suites that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.load import SLICE_SUFFIX, load_slices
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.registry import quoted_name
from pytest_quantgate.errors import SliceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_quantgate.cases.model import CheckSpec, Slice
    from pytest_quantgate.checks.registry import CheckRegistry

_MOST_NAMED: Final = 3


class _Watched:
    """The checks of a registry, and the names that were asked for in vain."""

    def __init__(self, registry: CheckRegistry) -> None:
        self._registry = registry
        self.unknown: dict[str, None] = {}

    def parse(self, name: str, raw: object) -> tuple[CheckSpec | None, tuple[str, ...]]:
        """As the registry does."""
        if self._registry.get(name) is None:
            self.unknown[name] = None
        return self._registry.parse(name, raw)

    @property
    def hint(self) -> str | None:
        """What to do where an unknown check is one of the user's own; None where all are known."""
        if not self.unknown:
            return None
        names = [quoted_name(name) for name in list(self.unknown)[:_MOST_NAMED]]
        others = ["..."] if len(self.unknown) > _MOST_NAMED else []
        return (
            f"if your conftest.py or a plugin registers {' or '.join([*names, *others])} "
            "(pytest_quantgate_register_checks), only pytest knows it: "
            "`pytest FOLDER --quant-cand nf4 --quant-dry-run` reads slices as a run does"
        )


def slices_of(paths: Sequence[Path], suites: Iterable[str], registry: CheckRegistry) -> tuple[Slice, ...]:
    """Load every slice that is named or lies below a folder that is named; each file once.

    Args:
        paths: Slice files and folders.
        suites: Names of packaged suites.
        registry: The checks that the files may ask for.

    Raises:
        SliceError: With every problem of every file.
        UsageError: Nothing is named; a path does not exist or holds no slice file; there is no such suite.
    """
    packaged = {file: f"{suite}/{file.name}" for suite in suites for file in suite_files(suite)}
    files = [file for path in paths for file in slice_files(path)]
    if not files and not packaged:
        raise UsageError("no slice is named", hint="name slice files or folders, or --suite NAME, such as core")
    watched = _Watched(registry)
    try:
        return load_slices(dict.fromkeys([*files, *packaged]), watched, shown=packaged)
    except SliceError as error:
        raise SliceError(error.problems, hint=watched.hint) from None


def slice_files(path: Path) -> Iterator[Path]:
    """The slice file that a path names, or all below the folder that it names, sorted.

    Raises:
        UsageError: It does not exist or holds no slice file.
    """
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, a folder that may not be entered
        reason = f"cannot be read: {error.strerror or error}"
        raise UsageError(reason, where=str(path), hint="name a slice file, or a folder that holds some") from None
    if is_folder:
        found = sorted(path.rglob(f"*{SLICE_SUFFIX}"))
        if not found:
            raise UsageError("no slice file below this folder", where=str(path), hint=f"they end in {SLICE_SUFFIX}")
        yield from found
    elif not is_there:
        raise UsageError("no such file or folder", where=str(path), hint="`quantgate init` writes a first slice")
    elif not path.name.endswith(SLICE_SUFFIX):
        # It might well be valid, and pytest would still never run it.
        raise UsageError("not a slice file", where=str(path), hint=f"pytest collects files that end in {SLICE_SUFFIX}")
    else:
        yield path
