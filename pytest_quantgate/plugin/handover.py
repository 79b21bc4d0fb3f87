"""What controller and workers of a distributed run hand each other: files in a folder of the run, and graded cases.

A worker tells what it collected before the controller has anything answered; the controller leaves answers before
any test is scheduled; so each file is whole when it is read. Graded cases travel with pytest's own reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.cases.model import Location, PolicySettings, Slice
from pytest_quantgate.garbage import no_cycle_search
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.plugin import terminal
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.collect import CaseItem
from pytest_quantgate.plugin.trouble import Trouble
from pytest_quantgate.plural import counted
from pytest_quantgate.report.encoding import decode_case, decode_outcome, dump, encode_case, encode_outcome
from pytest_quantgate.report.reading import Fields, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.outcomes.model import Comparison, Outcome
    from pytest_quantgate.plugin.session import QuantRun

_ANSWERS = "answers.sqlite3"
_TOLD = "told.json"
_CHECKS_HOOK = "pytest_quantgate_register_checks"


def write_selection(run: QuantRun, items: Iterable[pytest.Item], deselected: int, file: Path) -> None:
    """Tell what a worker collected and selected.

    Args:
        run: The worker's run; its tally knows the items.
        items: What is left after selection, in order.
        deselected: How many items were left out.
        file: Where to.
    """
    wanted = run.tally.wanted
    names = dict.fromkeys(ref.slice for ref in wanted.values())
    value = {
        "slices": [_encode_slice(run, name) for name in names],
        "items": [
            [item.nodeid, ref.slice, ref.case.id, ref.candidate, isinstance(item, CaseItem)]
            for item in items
            if (ref := wanted.get(item.nodeid)) is not None
        ],
        "deselected": deselected,
        "nothing_collected": run.nothing_collected,
        "conftests": _conftests(run.config),
    }
    file.write_text(dump(value), encoding="ascii")


def write_refusal(error: pytest.UsageError, file: Path) -> None:
    """Tell why a worker's session cannot go on."""
    file.write_text(dump({"refused": [str(each) for each in error.args]}), encoding="ascii")


def take_selection(run: QuantRun, file: Path) -> None:
    """Let the controller's run know what a worker collected and selected.

    Raises:
        pytest.UsageError: The worker's session cannot go on.
        OSError: The worker could not write.
    """
    with no_cycle_search():
        value = json.loads(file.read_text(encoding="ascii"))
        if "refused" in value:
            raise pytest.UsageError(*value["refused"])
        _load_conftests(run.config, value["conftests"])
        run.nothing_collected = value["nothing_collected"]
        reporter = terminal.reporter(run.config)
        if reporter is not None and value["deselected"]:  # pytest-xdist forgets them
            reporter.stats["deselected"] = [SimpleNamespace() for _ in range(value["deselected"])]
        cases = {}
        for each in value["slices"]:
            slice_ = _decode_slice(each)
            run.book.add(slice_)
            if each["gated"] is not None:
                run.gated[slice_.name] = each["gated"]
            cases[slice_.name] = {case.id: case for case in slice_.cases}
        for nodeid, name, case_id, candidate, gated in value["items"]:
            run.tally.select(nodeid, CaseRef(name, cases[name][case_id], candidate), gated=gated)


def _encode_slice(run: QuantRun, name: str) -> dict[str, object]:
    slice_ = run.book.named(name)
    return {
        "name": slice_.name,
        "description": slice_.description,
        "path": slice_.location.path,
        "line": slice_.location.line,
        "policy": asdict(slice_.policy),
        "gated": run.gated.get(name),
        "cases": [encode_case(case) for case in slice_.cases],
    }


def _decode_slice(value: dict[str, object]) -> Slice:
    fields = Fields(value, "slice")
    return Slice(
        name=fields.text("name"),
        description=fields.text("description"),
        cases=tuple(decode_case(each) for each in fields.each("cases")),
        policy=fields.value("policy", PolicySettings),
        location=Location(fields.text("path"), fields.count("line")),
    )


def _conftests(config: pytest.Config) -> list[str]:
    """The conftest files that add checks: the controller, which collects nothing, may not have loaded them."""
    plugins = (each.plugin for each in getattr(config.hook, _CHECKS_HOOK).get_hookimpls())
    files = (getattr(plugin, "__file__", None) for plugin in plugins)
    return [file for file in files if file is not None and Path(file).name == "conftest.py"]


def _load_conftests(config: pytest.Config, files: Iterable[str]) -> None:
    for file in files:
        # what pytest does when it collects the folder; there is no public name for it
        config.pluginmanager._importconftest(  # noqa: SLF001
            Path(file),
            config.getoption("importmode"),
            config.rootpath,
            consider_namespace_packages=config.getini("consider_namespace_packages"),
        )


def write_answers(run: QuantRun, folder: Path) -> None:
    """Leave what everybody answered, why somebody did not, who was asked, and what a judge said, for the workers.

    Raises:
        pytest.UsageError: They cannot be written.
    """
    expected = 0
    with CompletionCache(folder / _ANSWERS) as store:
        for spec, answers in run.answers.answers.items():
            store.put(spec, answers.completions)
            expected += len(answers.completions)
        written = store.info().completions if store.path.exists() else 0
    value = {
        "answered": list(run.answers.answers),
        "troubles": {spec: asdict(trouble) for spec, trouble in run.answers.troubles.items()},
        "asked": run.looks.told(),
        # a judge without a verdict is not remembered: workers would all ask again
        "judged": [
            [*key, encode_outcome(outcome)] for key, outcome in run.answers.judged(run.tally.wanted.values()).items()
        ],
    }
    try:
        (folder / _TOLD).write_text(dump(value), encoding="ascii")
    except OSError as error:
        raise _no_room(folder, error.strerror) from None
    if written < expected:
        raise _no_room(folder, f"{counted(expected - written, 'answer')} missing in {_ANSWERS}")


def take_answers(run: QuantRun, folder: Path) -> None:
    """Let a worker's run know what the controller's left."""
    from pytest_quantgate.generation.run import Answers

    value = parse_object((folder / _TOLD).read_text(encoding="ascii"))
    store = CompletionCache(folder / _ANSWERS)
    for spec in value["answered"]:
        run.answers.answers[spec] = Answers(_Stored(store, spec), audit=None, cached=0, generated=0)
    run.answers.troubles.update({spec: Trouble(**trouble) for spec, trouble in value["troubles"].items()})
    run.looks.take(value["asked"])
    run.answers.take(
        {
            (spec, name, case_id): decode_outcome(Fields(outcome, "judged"))
            for spec, name, case_id, outcome in value["judged"]
        }
    )


class _Stored(Mapping[str, "Completion"]):
    """The answers of one variant by request digest, read when they are asked for."""

    def __init__(self, store: CompletionCache, spec: str) -> None:
        self._store = store
        self._spec = spec

    def __getitem__(self, digest: str) -> Completion:
        found = self._store.get(self._spec, [digest]).get(digest)
        if found is None:
            pytest.fail(f"{self._store.path}: an answer of {self._spec} that was there is gone", pytrace=False)
        return found

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError  # nobody walks over them

    def __len__(self) -> int:
        raise NotImplementedError


def encode_graded(comparison: Comparison) -> str:
    """Both outcomes of a case as a text that a report can carry."""
    return dump([encode_outcome(comparison.reference), encode_outcome(comparison.candidate)])


def decode_graded(text: str) -> tuple[Outcome, Outcome]:
    """The outcomes of reference and candidate that ``encode_graded`` wrote."""
    reference, candidate = json.loads(text)
    return decode_outcome(Fields(reference, "reference")), decode_outcome(Fields(candidate, "candidate"))


def _no_room(folder: Path, reason: str | None) -> pytest.UsageError:
    return pytest.UsageError(
        f"the answers cannot be handed to the workers in {folder}: {reason}\n"
        "  make room there, let TMPDIR name another folder, or run without -n; answers in the cache are not made again"
    )
