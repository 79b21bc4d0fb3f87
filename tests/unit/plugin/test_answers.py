from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation import run
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import Answers
from pytest_quantgate.plugin.answers import AnswerBook
from pytest_quantgate.plugin.book import CaseRef
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
