"""What is measured along the reference's answers: each once, in little memory, and kept."""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from pytest_quantgate.generation import fidelity as engine
from pytest_quantgate.generation import yardstick as yardsticks
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.generation.expected import Expected, Fidelity
from pytest_quantgate.generation.fidelity import Known
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.yardstick import Yardstick
from pytest_quantgate.variants.variant import LoadedModel
from tests.along import known


class Loading:
    """Gives a model, and counts how often."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.times = 0

    def __call__(self) -> LoadedModel:
        self.times += 1
        return self.loaded


def test_each_model_is_loaded_once_and_not_at_all_when_all_is_kept(
    models: dict[str, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = known(models)
    completions = {each.request.digest: Completion("", each.token_ids, "stop", 1) for each in asked}
    completions[asked[0].request.digest] = replace(completions[asked[0].request.digest], token_ids=())
    found = []
    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        for loads in (1, 0):
            yardstick = Yardstick("reference", ["candidate"], cache)
            yardstick.answers([each.request for each in asked], completions)
            before, after = Loading(models["fp16"]), Loading(models["rtn:3bit-g64"])
            yardstick.measure_reference(before, SilentProgress())
            yardstick.measure("candidate", after, SilentProgress())
            assert (before.times, after.times) == (loads, loads)
            found.append(yardstick.of("candidate"))
        assert len(found[0]) == len(asked) - 1  # nothing can be measured along an empty answer
        assert found[0] == found[1]
        another = Yardstick("reference", ["candidate", "another"], cache)
        another.answers([each.request for each in asked], completions)
        before = Loading(models["fp16"])
        another.measure_reference(before, SilentProgress())
        assert before.times == 0  # what it expects is known
        monkeypatch.setattr(engine, "along", lambda *_: iter(()))
        another.measure("another", Loading(models["fp16+kv:int2"]), SilentProgress())
        assert another.of("another") == {}


def test_what_the_reference_expects_is_looked_up_once_however_many_answers_it_gave(
    models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    class Counting(CompletionCache):
        looked_up = 0

        def get_measures(self, identity: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
            self.looked_up += identity == "reference"
            return super().get_measures(identity, keys)

    asked = known(models)
    completions = {each.request.digest: Completion("", each.token_ids, "stop", 1) for each in asked}
    with Counting(tmp_path / "cache.sqlite") as cache:
        yardstick = Yardstick("reference", ["candidate"], cache)
        yardstick.answers([each.request for each in asked], completions)
        yardstick.measure_reference(Loading(models["fp16"]), SilentProgress())
        assert cache.looked_up == 1


def test_what_an_earlier_run_kept_is_found_for_answers_that_come_later(
    models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    asked = known(models)
    completions = {each.request.digest: Completion("", each.token_ids, "stop", 1) for each in asked}
    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        for loads in (1, 0):
            yardstick = Yardstick("reference", ["candidate"], cache)
            before, after = Loading(models["fp16"]), Loading(models["rtn:3bit-g64"])
            for part in (asked[:6], asked[6:]) if not loads else (asked,):  # as a sequential run asks
                yardstick.answers([each.request for each in part], completions)
                yardstick.measure_reference(before, SilentProgress())
                yardstick.measure("candidate", after, SilentProgress())
            assert (before.times, after.times) == (loads, loads)
            assert len(yardstick.of("candidate")) == len(asked)


def test_a_torn_measure_is_made_again(models: dict[str, LoadedModel], tmp_path: Path) -> None:
    asked = known(models)[3:4]
    completions = {each.request.digest: Completion("", each.token_ids, "stop", 1) for each in asked}

    def measured(cache: CompletionCache) -> tuple[int, int, object]:
        yardstick = Yardstick("reference", ["candidate"], cache)
        yardstick.answers([each.request for each in asked], completions)
        before, after = Loading(models["fp16"]), Loading(models["rtn:3bit-g64"])
        yardstick.measure_reference(before, SilentProgress())
        yardstick.measure("candidate", after, SilentProgress())
        return before.times, after.times, yardstick.of("candidate")

    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        first = measured(cache)
        cache._write("UPDATE measures SET payload = '{}'", [()])  # noqa: SLF001  (as a torn disk would)
        assert measured(cache) == first


class Noting(SilentProgress):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def measured(
    models: dict[str, LoadedModel], asked: list[Known], cache: CompletionCache
) -> tuple[dict[str, Fidelity], list[str]]:
    """How near a candidate is along answers, measured anew, and what was told."""
    progress = Noting()
    yardstick = Yardstick("reference", ["candidate"], cache)
    yardstick.answers(
        [each.request for each in asked],
        {each.request.digest: Completion("", each.token_ids, "stop", 1) for each in asked},
    )
    yardstick.measure_reference(Loading(models["fp16"]), progress)
    yardstick.measure("candidate", Loading(models["rtn:3bit-g64"]), progress)
    return dict(yardstick.of("candidate")), progress.notes


def limit_memory(models: dict[str, LoadedModel], patch: pytest.MonkeyPatch, positions: int) -> None:
    """Let a pass that gives logits at more positions than these run out of memory."""
    kind: Any = type(models["fp16"].model)
    real = kind.forward

    def limited(self: Any, input_ids: torch.Tensor, **more: Any) -> Any:
        if input_ids.numel() > positions and more.get("logits_to_keep") != 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, input_ids=input_ids, **more)

    patch.setattr(kind, "forward", limited)


@pytest.mark.parametrize("positions", [20, 3, 1])
def test_when_memory_runs_out_less_is_read_at_once_and_nothing_else_changes(
    models: dict[str, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, positions: int
) -> None:
    asked = known(models)
    with CompletionCache(tmp_path / "plenty.sqlite") as cache:
        before, told = measured(models, asked, cache)
    assert told == []
    limit_memory(models, monkeypatch, positions)
    with CompletionCache(tmp_path / "little.sqlite") as cache:
        after, told = measured(models, asked, cache)
    assert "memory ran out along the reference's answers; going on with 16 tokens at a time" in told
    assert not any("not measured" in each for each in told)
    assert before.keys() == after.keys() == {each.request.digest for each in asked}
    for digest, found in after.items():
        assert (found.tokens, found.agreeing) == (before[digest].tokens, before[digest].agreeing)
        assert found.divergence == pytest.approx(before[digest].divergence, abs=1e-5)


def test_only_what_cannot_be_read_token_by_token_is_given_up_and_told(
    models: dict[str, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = known(models)
    limit_memory(models, monkeypatch, 0)
    with CompletionCache(tmp_path / "cache.sqlite") as cache:
        found, told = measured(models, asked, cache)
    assert [each.tokens for each in found.values()] == [1]  # its logits are those that the prompt ends with
    wanted = (
        "fp16, what the reference expects: not measured along 11 of 12 answers: memory ran out on a single token (11)"
    )
    assert wanted in told


def test_expectations_of_one_batch_are_held_at_a_time(
    models: dict[str, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = 3
    monkeypatch.setattr(engine, "_ROWS", batch)
    monkeypatch.setattr(yardsticks, "_AT_ONCE", batch)
    held: list[weakref.ref[array[int]]] = []
    most: list[int] = []

    def recorded(value: dict[str, Any]) -> Expected:
        found = real(value)
        held.append(weakref.ref(found.token_ids))
        most.append(sum(each() is not None for each in held))
        return found

    class Recording(CompletionCache):
        looked_up: ClassVar[list[int]] = []

        def get_measures(self, identity: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
            wanted = list(keys)
            if identity == "reference":
                self.looked_up.append(len(wanted))
            return super().get_measures(identity, wanted)

    asked = known(models)
    real = Expected.from_json
    monkeypatch.setattr(Expected, "from_json", recorded)
    with Recording(tmp_path / "cache.sqlite") as cache:
        found, _ = measured(models, asked, cache)
        assert len(found) == len(asked) > batch
        assert len(held) >= len(asked)
        assert max(cache.looked_up) <= batch
        assert max(most) <= batch
