"""A laboratory for gated runs: real weights, real bitsandbytes, real pytest, in a second or two each.

Every test that uses it runs three times: without pytest-xdist, with -n0 and with -n2. Those marked ``alone`` run once,
and say why -n means nothing to them.
"""

from __future__ import annotations

import gc
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401  (its pytest plugin imports it in every run, see below)
import pytest
import rich.table  # noqa: F401  (see below)
import scipy.stats  # noqa: F401  (see below)

from pytest_quantgate.cases import suites
from pytest_quantgate.cases.model import Message
from pytest_quantgate.checks import builtin  # noqa: F401
from pytest_quantgate.checks.code import check as code_check  # noqa: F401
from pytest_quantgate.gate import judge, power  # noqa: F401
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.paths import CACHE_VARIABLE

# The inner runs share this process, and pytester forgets modules that they were the first to import: torch
# cannot be imported twice, scipy takes seconds each time, and our own modules make classes again.
from pytest_quantgate.plugin import assemble, backends, dryrun, fixture, golden_files, loop, start, worker  # noqa: F401
from pytest_quantgate.report import power as power_table  # noqa: F401
from pytest_quantgate.report import store, terminal  # noqa: F401
from pytest_quantgate.variants import rounding, ruin  # noqa: F401
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant
from tests.integration import workers
from tests.tiny_model import CONTEXT, WORDS, build_tiny_model

NEW_TOKENS = 4
WAYS = {"plain": (), "n0": ("-n0",), "n2": ("-n2",)}
Case = dict[str, Any]


@dataclass(frozen=True)
class Tiny:
    """The tiny model and what its variants answer to prompts of made-up words.

    Attributes:
        folder: The checkpoint.
        texts: Answers by spec and prompt.
    """

    folder: Path
    texts: dict[str, dict[str, str]]

    def prompts(self, other: str = "nf4") -> Iterator[str]:
        """Prompts that fp16 and the other variant answer differently."""
        return (prompt for prompt, text in self.texts["fp16"].items() if text != self.texts[other][prompt])


@pytest.fixture(scope="package")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Tiny:
    workers.make_ready()
    folder = build_tiny_model(tmp_path_factory.mktemp("tiny"))
    found = asked(folder, "fp16", "nf4", "int8")
    assert default_cache_path().is_relative_to(cache_folder)
    gc.freeze()  # garbage is collected around each model, and need not be looked for in all that is imported
    return found


def asked(folder: Path, *specs: str) -> Tiny:
    """What variants of a model answer to sixty prompts; the answers are cached."""
    draw = random.Random(1)
    prompts = [" ".join(draw.sample(WORDS, 4)) for _ in range(60)]
    requests = {prompt: Request((Message("user", prompt),), NEW_TOKENS) for prompt in prompts}
    source = resolve_model(str(folder))
    texts = {}
    with CompletionCache(default_cache_path()) as cache:
        for spec in specs:
            found = answer(prepare_variant(spec, source), list(requests.values()), cache, SilentProgress())
            texts[spec] = {prompt: found.completions[requests[prompt].digest].text for prompt in prompts}
    return Tiny(folder, texts)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "way" in metafunc.fixturenames and metafunc.definition.get_closest_marker("alone") is None:
        metafunc.parametrize("way", WAYS, indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    """How inner runs are distributed: one of ``WAYS``."""
    name: str | None = getattr(request, "param", None)
    if name == "n2":
        request.getfixturevalue("forked_workers")
    elif name is not None:  # the others load what is installed
        _load_only(request.getfixturevalue("monkeypatch"), *workers.PLUGINS[: 1 + (name == "n0")])
    return name or "plain"


def _load_only(monkeypatch: pytest.MonkeyPatch, *plugins: str) -> None:
    for name, value in workers.only(*plugins).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def forked_workers(started_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  (its environment)
    """Workers of inner runs are forks of a process that has imported what they import."""
    monkeypatch.setattr("execnet.gateway_io.Popen2IOMaster", workers.ForkedWorker)


@pytest.fixture
def started_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of inner runs import what pytest loads: hypothesis and sources without bytecode take longest."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    _load_only(monkeypatch, *workers.PLUGINS)


def ship_suites(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the packaged suites be those in a folder, in workers too."""
    monkeypatch.setattr(suites, "_root", lambda: folder)  # so what the conftest sets in this process is undone
    golden_files._files.cache_clear()  # noqa: SLF001  (suites do not change while pytest runs, but between tests)
    lab.pytester.makeconftest(
        f"""
        from pathlib import Path
        from pytest_quantgate.cases import suites

        suites._root = lambda: Path({str(folder)!r})
        """
    )


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for this test alone."""
    folder = tmp_path / "quantgate-cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="package")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs are kept that many tests begin with."""
    return tmp_path_factory.mktemp("kept")


@dataclass
class Lab:
    """Writes slices whose cases move as a test wants them to, and runs pytest on them.

    Args:
        pytester: The folder and the runner.
        tiny: The model.
        way: How runs are distributed.
        kept: Where runs are kept that many tests begin with.
    """

    pytester: pytest.Pytester
    tiny: Tiny
    way: str
    kept: Path
    _prompts: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self._prompts = self.tiny.prompts()

    def _case(self, name: str, check: Any, **more: Any) -> Case:
        return {"id": name, "prompt": more.pop("prompt", None) or next(self._prompts), "checks": [check], **more}

    def preserved(self, name: str, **more: Any) -> Case:
        """The reference and nf4 pass."""
        prompt = next(self._prompts)
        both = [self.tiny.texts[spec][prompt] for spec in ("fp16", "nf4")]
        return self._case(name, {"one_of": both}, prompt=prompt, **more)

    def degraded(self, name: str, **more: Any) -> Case:
        """The reference passes, nf4 does not."""
        prompt = next(self._prompts)
        return self._case(name, {"exact": self.tiny.texts["fp16"][prompt]}, prompt=prompt, **more)

    def improved(self, name: str, **more: Any) -> Case:
        """The reference does not pass, nf4 does."""
        prompt = next(self._prompts)
        return self._case(name, {"exact": self.tiny.texts["nf4"][prompt]}, prompt=prompt, **more)

    def failing(self, name: str, **more: Any) -> Case:
        """Neither passes."""
        return self._case(name, {"exact": "what no model of made-up words will say"}, **more)

    def unscored(self, name: str, **more: Any) -> Case:
        """The prompt does not fit the model's context."""
        return self._case(name, {"exact": "anything"}, prompt=" ".join(WORDS[: 2 * CONTEXT]), **more)

    def of_many_lengths(self, count: int) -> list[Case]:
        """Cases whose answers are finished one after another, with 1, 3, 5... tokens, and pass however they read."""
        return [
            self._case(
                f"case-{number}",
                {"word_count": {"max": CONTEXT}},
                prompt=" ".join(WORDS[number : number + 4]),
                max_new_tokens=2 * number + 1,
            )
            for number in range(count)
        ]

    def many(self, count: int, *, degraded: int = 0) -> list[Case]:
        """Preserved cases, the last of them degraded instead."""
        return [
            self.preserved(f"case-{number}") if number < count - degraded else self.degraded(f"case-{number}")
            for number in range(count)
        ]

    def write(self, name: str, cases: list[Case], *, file: str | None = None, **gate: Any) -> Path:
        """Write ``NAME.slice.yaml``; every value of JSON is one of YAML too."""
        document = {
            "slice": name,
            "gate": {"min_cases": 1, **gate},
            "defaults": {"max_new_tokens": NEW_TOKENS},
            "cases": cases,
        }
        path = self.pytester.path / (file or f"{name}.slice.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        return path

    def run(self, *arguments: str, candidates: tuple[str, ...] = ("nf4",)) -> pytest.RunResult:
        """Run pytest on the folder, in this process."""
        named = [word for spec in candidates for word in ("--quant-cand", spec)]
        return self.run_pytest(f"--quant-model={self.tiny.folder}", *named, *arguments)

    def run_pytest(self, *arguments: str) -> pytest.RunResult:
        """Run pytest on the folder, in this process, without adding a model or a candidate."""
        order = workers.Order()
        words = (*arguments, *WAYS[self.way])
        result = self.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True, plugins=[order])
        return workers.as_without(result, order.ids) if self.way == "n2" else result

    def once(self, name: str, run: Callable[[], None]) -> None:
        """Do a run that many tests begin with: what it leaves on disk is kept, and given to the next test.

        Args:
            name: Of the run; there is one of each name for each way.
            run: Does it in the folder, whose slices are the same each time, and looks at what it gave.
        """
        there = self.kept / f"{name}-{self.way}"
        if there.exists():
            shutil.copytree(there, self.pytester.path, dirs_exist_ok=True)
            return
        run()
        for left in ("golden", ".pytest_cache"):
            if (self.pytester.path / left).is_dir():
                shutil.copytree(self.pytester.path / left, there / left)

    def progress(self, file: str, letters: str) -> str:
        """The line that shows how the tests of a file ended; workers show them in any order and without the file."""
        return "*[[]100%]" if self.way == "n2" else f"{file} {letters} *[[]100%]"


@pytest.fixture
def lab(pytester: pytest.Pytester, tiny: Tiny, way: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("COLUMNS", "120")
    return Lab(pytester, tiny, way, kept)


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goldens are written by a person, and not in CI."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("LOGNAME", "ana")


@pytest.fixture
def anchored(lab: Lab, at_home: None) -> Lab:  # noqa: ARG001  (nothing is written elsewhere)
    """Three cases, anchored on fp16 and nf4."""
    lab.write("words", lab.many(3))

    def anchor() -> None:
        assert lab.run("--quant-reanchor=new").ret == pytest.ExitCode.OK

    lab.once("anchored", anchor)
    return lab
