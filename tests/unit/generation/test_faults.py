"""Answers that a fault of the device broke off: this run knows them, and the next one asks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import run
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import Progress, SilentProgress
from pytest_quantgate.generation.run import Answers, answer
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, prepare_variant
from tests.tiny_model import build_tiny_model

FIRST, SECOND = (Request((Message("user", text),), 4) for text in ("kol", "tul"))
SOUND = Completion("one", (1,), "stop", 3)
BROKEN = Completion("", (), "invalid", 3, problem="the logits after 0 tokens were not finite numbers")
UNREADABLE = Completion("", (), "invalid", 0, problem="the prompt cannot be rendered: no system message")


class Device:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.gives: dict[str, Completion] = {}
        self.asked: list[str] = []

    def generate(
        self, requests: Sequence[Request], keep: Callable[[Mapping[str, Completion]], None], _progress: Progress
    ) -> None:
        self.asked.extend(each.digest for each in requests)
        keep({each.digest: self.gives[each.digest] for each in requests})

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(run, "_engine", lambda *_: device)
    return device


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    source = resolve_model(str(build_tiny_model(tmp_path_factory.mktemp("tiny"))))
    return prepare_variant("fp16", source, device="cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CompletionCache]:
    with CompletionCache(tmp_path / "cache.sqlite3") as cache:
        yield cache


def answers(variant: Variant, cache: CompletionCache) -> Answers:
    return answer(variant, [FIRST], cache, SilentProgress(), lambda _: [FIRST, SECOND])


def test_what_broke_off_is_answered_for_this_run_and_asked_again_by_the_next(
    variant: Variant, cache: CompletionCache, device: Device
) -> None:
    device.gives = {FIRST.digest: BROKEN, SECOND.digest: SOUND}
    assert answers(variant, cache).completions == device.gives
    assert device.asked == [FIRST.digest, SECOND.digest]  # each once
    device.gives[FIRST.digest] = SOUND
    again = answers(variant, cache)
    assert device.asked[2:] == [FIRST.digest]
    assert set(again.completions.values()) == {SOUND}
    assert answers(variant, cache).generated == 0


def test_a_prompt_that_cannot_be_rendered_is_not_tried_again(
    variant: Variant, cache: CompletionCache, device: Device
) -> None:
    device.gives = {FIRST.digest: UNREADABLE, SECOND.digest: SOUND}
    answers(variant, cache)
    assert answers(variant, cache).completions == device.gives
    assert device.asked == [FIRST.digest, SECOND.digest]
