"""Tasks of lm-evaluation-harness that ask for text (``generate_until``), where lm-eval is installed.

Prompts, few-shot examples and targets are the task's own, made by lm-eval's code. It is the one source that runs a
package's code: a slice file can only name a task that the installed lm-eval brings, never a file of its own.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.files import beside
from pytest_quantgate.cases.nodes import Node, plain
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.sources import places
from pytest_quantgate.cases.sources.asked import drawn, read_draw
from pytest_quantgate.cases.sources.formats import MAX_ROWS, read_table
from pytest_quantgate.cases.sources.harness_check import UnknownFilterError, check_of
from pytest_quantgate.cases.sources.registry import RawCase
from pytest_quantgate.cases.sources.row import tag_of
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.cases.surroundings import Surroundings

_KEYS: Final = ("task", "filter", "num_fewshot", "limit", "seed", "file")
_TASK_LINE: Final = re.compile(r"^task:[ \t]*[\"']?([\w.,+-]+)[\"']?[ \t]*$", re.MULTILINE)
_KIND: Final = "generate_until"
_FEWSHOT_SEED: Final = 1234  # lm-eval's own


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a slice file says under ``dataset``."""

    task: str
    filter: str | None
    shots: int | None
    limit: int | None
    seed: int | None
    rows: Sequence[Mapping[str, Any]] | None
    line: int


@dataclass(frozen=True, slots=True)
class HarnessSource:
    """Every ``generate_until`` task of the installed lm-eval."""

    name: str = "lm-eval"
    description: str = "the tasks of lm-evaluation-harness that ask for text (generate_until)"
    licence: str = "MIT; the data of each task have their own"
    homepage: str = "https://github.com/EleutherAI/lm-evaluation-harness"
    how_to_get: str = "`pip install lm-eval`; the rows of most tasks come from the hub, or from a file: `file: ...`"
    max_new_tokens: int = 256

    def found(self) -> str | None:
        """Whether lm-eval is installed; most tasks need the hub besides."""
        if find_spec("lm_eval") is None:
            return None
        return f"package lm-eval {metadata.version('lm-eval')}" + (
            ", and the hub" if places.hub_is_usable() else ", file only"
        )

    def cases(self, parameters: Node, problems: Problems, surroundings: Surroundings) -> Sequence[RawCase]:
        """Make cases of a task's documents."""
        before = len(problems)
        wanted = _wanted(parameters, problems, surroundings)
        if find_spec("lm_eval") is None:
            problems.add(parameters.line, f"lm-eval is not installed: {self.how_to_get}")
        if wanted is None or len(problems) > before:
            return []
        with _quiet():
            task = _task(wanted, problems)
            return [] if task is None else _cases(task, wanted, problems)


def _wanted(node: Node, problems: Problems, surroundings: Surroundings) -> _Wanted | None:
    pairs = fields.mapping(node, "dataset 'lm-eval'", problems, known=_KEYS, required=("task",))
    if pairs is None or "task" not in pairs:
        return None

    task = fields.name(pairs["task"], "'task'", problems)
    rows: Sequence[Mapping[str, Any]] | None = None
    if "file" in pairs:
        file = fields.text(pairs["file"], "'file'", problems)
        path = None if file is None else beside(surroundings.folder, file, pairs["file"].line, problems)
        own = problems.beside(file or "")
        nodes = [] if path is None else read_table(path, own)
        rows = [row for row in (plain(node, own) for node in nodes) if isinstance(row, dict)]
        if len(rows) < len(nodes):
            own.add(1, "every row must be an object")
        problems.extend(own.found())
    name = fields.text(pairs["filter"], "'filter'", problems) if "filter" in pairs else None
    shots = fields.integer_of(pairs, "num_fewshot", problems, least=0, most=64)
    limit, seed = read_draw(pairs, problems)
    return None if task is None else _Wanted(task, name, shots, limit, seed, rows, node.line)


def _task(wanted: _Wanted, problems: Problems) -> Any:
    """The task, with its documents; None when there is none, which is noted."""
    folder = Path(str(import_module("lm_eval.tasks").__file__)).parent
    path = _file_of(wanted, folder, problems)
    if path is None:
        return None
    # indexing all of its 13,000 files would take lm-eval many seconds
    manager = import_module("lm_eval.tasks").TaskManager(include_defaults=False, include_path=str(path.parent))
    entry = manager.task_index.get(wanted.task)
    config = (entry.cfg if entry is not None else None) or {}
    why = _refusal(config, wanted) if config else "is no task by itself: name one of its members"
    task = None
    if not why:
        try:
            task = manager.load(_spec(wanted, config))["tasks"][wanted.task]
        except Exception as error:  # noqa: BLE001  (many kinds of tasks, and the hub behind them)
            told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            why = f"cannot be loaded ({told}): give its rows as a 'file'"
        else:
            why = _refusal({**config, "output_type": task.OUTPUT_TYPE}, wanted)
            why = "shows images or sounds" if getattr(task, "MULTIMODAL", False) else why
    if why:
        problems.add(wanted.line, f"task {wanted.task!r} of lm-eval {why}")
        return None
    return task


def _refusal(config: Mapping[str, Any], wanted: _Wanted) -> str:
    """Why a task is not loaded, as its settings already tell; empty when it is."""
    kind = config.get("output_type", _KIND)
    kwargs = config.get("dataset_kwargs")
    if kind != _KIND:
        return f"is of the kind {quoted(kind)}: only {_KIND} tasks have answers to check"
    if wanted.rows is not None:
        if wanted.shots and not _has_samples(config):
            return "takes few-shot examples from the hub: with a 'file', 'num_fewshot' must be 0"
        return ""
    if isinstance(kwargs, Mapping) and kwargs.get("trust_remote_code"):
        return "runs code from the hub, which is not done: give its rows as a 'file'"
    return "" if places.hub_is_usable() else "needs the hub, which cannot be used: give its rows as a 'file'"


def _file_of(wanted: _Wanted, folder: Path, problems: Problems) -> Path | None:
    """The file that describes a task: the one that names it."""
    names: set[str] = set()
    for path in sorted(folder.glob("**/*.yaml")):
        names_here = _TASK_LINE.findall(path.read_text(encoding="utf-8", errors="replace"))
        if wanted.task in names_here:
            return path
        names.update(names_here)
    problems.add(wanted.line, f"lm-eval has no task {quoted(wanted.task)}; {_near(wanted.task, names)}")
    return None


def _near(name: str, names: set[str]) -> str:
    hint = nearest(name, names)
    return hint if hint.startswith("did") else "`lm-eval ls tasks` lists them"


def _has_samples(config: Mapping[str, Any]) -> bool:
    """Whether the few-shot examples stand in the task itself."""
    fewshot = config.get("fewshot_config")
    return isinstance(fewshot, Mapping) and "samples" in fewshot


def _spec(wanted: _Wanted, config: Mapping[str, Any]) -> Mapping[str, Any] | str:
    if wanted.rows is None:
        return wanted.task
    datasets = import_module("datasets")
    table = datasets.Dataset.from_list([dict(row) for row in wanted.rows])
    splits = {str(config[key]) for key in ("training_split", "validation_split", "test_split") if config.get(key)}

    def rows(**_: object) -> Any:
        return datasets.DatasetDict(dict.fromkeys(splits | {"test"}, table))

    shots = {} if _has_samples(config) else {"num_fewshot": 0}
    # a task's own settings are overridden only by a group that holds it
    return {"group": "rows", "task": [{"task": wanted.task, "custom_dataset": rows, "dataset_kwargs": None, **shots}]}


def _cases(task: Any, wanted: _Wanted, problems: Problems) -> Sequence[RawCase]:
    shown = f"lm-eval:{wanted.task}"
    own = Problems(shown)
    docs = task.test_docs() if task.has_test_docs() else task.validation_docs()
    config = task.config
    shots = wanted.shots if wanted.shots is not None else (config.num_fewshot or 0)
    count = min(len(docs), MAX_ROWS)
    made: list[RawCase] = []
    for place in drawn([f"{wanted.task}-{place:05}" for place in range(count)], wanted.limit, wanted.seed):
        try:
            task.set_fewshot_seed(seed=_FEWSHOT_SEED)  # for each anew: the examples depend on no other row
            doc = docs[place]
            case: dict[str, object] = {
                "id": f"{wanted.task}-{place:05}",
                "prompt": task.fewshot_context(doc, shots),
                "checks": [check_of(task, doc, wanted.filter)],
                "tags": [tag_of(wanted.task)],
            }
            prefix = task.doc_to_prefix(doc)
        except UnknownFilterError as error:
            problems.add(wanted.line, str(error))
            return []
        except Exception as error:  # noqa: BLE001  (templates of many hands)
            own.add(place + 1, " ".join(f"lm-eval cannot ask this row: {type(error).__name__}: {error}".split())[:300])
            continue
        if prefix:
            case["answer_prefix"] = prefix
        made.append(RawCase(case, shown, place + 1))
    problems.extend(own.found())
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's warnings of its own running, and those of the libraries that it imports."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), places.without_bars():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


SOURCE: Final = HarnessSource()
