from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantgate.cases.model import CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.finding import Finding, followed
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.checks.settings import GradingSettings
from pytest_quantgate.generation import run
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import Answers
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.plugin import answers
from pytest_quantgate.plugin.answers import AnswerBook
from pytest_quantgate.plugin.book import CaseRef
from tests.unit.checks.judge.conftest import Server, server  # noqa: F401  (a fixture)
from tests.unit.outcomes.build import case


def test_a_request_that_is_asked_again_at_a_later_look_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_variant: Any, asked: Sequence[Request], *_: Any, **__: Any) -> Answers:
        none = Completion("", (), "unknown", 0, problem="the server is busy")
        return Answers({each.digest: none for each in asked}, None, cached=0, generated=len(asked))

    monkeypatch.setattr(run, "answer", answer)
    options: Any = SimpleNamespace(
        reference="fp16", candidates=("nf4",), controls=(), noise_floor=False, noise_kernels=False, fidelity=False
    )
    book = AnswerBook(options, lambda _, case: case, builtin_registry)
    nobody: Any = SimpleNamespace()
    book.variants = {"fp16": nobody, "nf4": nobody}
    refs = [CaseRef("words", case(name), "nf4") for name in ("first", "second")]  # both ask the same
    with CompletionCache(tmp_path / "cache.sqlite3") as cache:
        for look in (1, 2):
            book.make(refs[:look], cache, SilentProgress())
    assert book.troubles == {}
    assert [(each.cached, each.generated) for each in book.answers.values()] == [(0, 1), (0, 1)]


def judged_book(registry: CheckRegistry, texts: dict[str, str], count: int) -> tuple[AnswerBook, list[CaseRef]]:
    """A book in which each variant has said one text to every case, and its items: case by case, then by candidate."""
    cases = [
        replace(
            case(f"c{number}"),
            messages=(Message("user", f"Comfort number {number}."),),
            checks=(CheckSpec("judge", {"rubric": "The answer is kind."}),),
        )
        for number in range(count)
    ]
    options: Any = SimpleNamespace(
        reference="fp16", candidates=("nf4", "int8"), controls=(), noise_floor=False, noise_kernels=False
    )
    book = AnswerBook(options, lambda _, case: case, lambda: registry)
    for spec, text in texts.items():
        said = {Request.of(each).digest: Completion(text, (1,), "stop", 3) for each in cases}
        book.answers[spec] = Answers(said, None, cached=0, generated=count)
    return book, [CaseRef("kind", each, spec) for each in cases for spec in options.candidates]


def test_the_same_answer_gets_one_verdict_whoever_gave_it(
    server: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    server.says(*['{"verdict": "pass"}', '{"verdict": "fail"}'] * 20)  # a judge that changes its mind
    registry = builtin_registry(GradingSettings(judge=server.endpoint))
    book, refs = judged_book(registry, dict.fromkeys(("fp16", "nf4", "int8"), "There, there."), 8)
    book.ask_judge(refs, registry)
    moved = {book.comparison(ref, registry).transition for ref in refs}
    assert moved == {Transition.PRESERVED, Transition.FAILING}
    assert len(server.asked) == 8


def test_every_judged_case_is_graded_once_for_each_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    together, graded = threading.Barrier(2, timeout=60), list[tuple[str, str]]()

    def judge(answer: str, *, rubric: str, case: Any) -> Finding:  # noqa: ARG001
        together.wait()  # two are always graded at the same time
        graded.append((case.id, answer))
        return followed("kind")

    monkeypatch.setattr(answers, "JUDGED_AT_ONCE", 2)
    registry = CheckRegistry()
    registry.register("judge", judge, shorthand="rubric")
    book, refs = judged_book(registry, {spec: f"{spec} says so" for spec in ("fp16", "nf4", "int8")}, 6)
    book.ask_judge(refs, registry)
    assert len(graded) == 3 * 6
    assert set(Counter(graded).values()) == {1}
