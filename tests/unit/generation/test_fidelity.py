"""Fidelity along the reference's answers: agreement and divergence are those of both models' own logits."""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation import fidelity as engine
from pytest_quantgate.generation import yardstick as yardsticks
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.expected import TOP, Expected, Fidelity
from pytest_quantgate.generation.fidelity import NOT_FINITE, Comparing, Expecting, Known
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.yardstick import Yardstick
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.along import logits_along
from tests.tiny_model import SPECIAL, WORDS, build_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    source = resolve_model(str(build_tiny_model(tmp_path_factory.mktemp("tiny"))))
    specs = ("fp16", "rtn:3bit-g64", "fp16+kv:int2")
    return {spec: load_variant(prepare_variant(spec, source, device="cpu")) for spec in specs}


def known(models: dict[str, LoadedModel]) -> list[Known]:
    """Requests with made-up answers of one to twelve tokens."""
    texts = [" ".join(WORDS[7 * n : 7 * n + 1 + n % 9]) for n in range(12)]
    vocabulary = len(models["fp16"].tokenizer)
    return [
        Known(
            Request((Message("user", text),), 12), tuple((31 * n + 17 * t) % (vocabulary - 6) + 6 for t in range(n + 1))
        )
        for n, text in enumerate(texts)
    ]


def expected_of(*stretches: torch.Tensor) -> Expected:
    """What a reference with these logits expects."""
    meter = Expecting()
    for logits in stretches:
        meter.take(logits)
    found = meter.found()
    assert isinstance(found, Expected)
    return found


def fidelity_of(wanted: Expected, *stretches: torch.Tensor) -> Fidelity | str:
    """How near these logits are to what is expected."""
    meter = Comparing(wanted)
    for logits in stretches:
        meter.take(logits)
    return meter.found()


def direct(loaded: LoadedModel, each: Known) -> torch.Tensor:
    """One pass of transformers over this prompt and answer alone."""
    tokenizer = cast("Any", loaded.tokenizer)
    chat = [{"role": "user", "content": each.request.messages[0].content}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits: torch.Tensor = cast("Any", loaded.model)(torch.tensor([[*prompt, *each.token_ids]])).logits[0]
    return logits[len(prompt) - 1 : -1]


def test_logits_along_answers_are_those_of_one_pass_over_each(models: dict[str, LoadedModel]) -> None:
    asked = known(models)
    found = logits_along(models["fp16"], asked)
    assert len(found) == len(asked)
    for each in asked:
        torch.testing.assert_close(found[each.request.digest], direct(models["fp16"], each), atol=2e-4, rtol=1e-4)


def test_a_variant_agrees_with_itself_wholly(models: dict[str, LoadedModel]) -> None:
    for logits in logits_along(models["fp16"], known(models)).values():
        wanted = expected_of(logits)
        assert fidelity_of(wanted, logits) == Fidelity(len(logits), len(logits), 0.0)


def test_divergence_is_that_over_the_likeliest_tokens_and_the_rest(models: dict[str, LoadedModel]) -> None:
    asked = known(models)
    before = logits_along(models["fp16"], asked)
    after = logits_along(models["rtn:3bit-g64"], asked)
    agreeing = 0
    for digest, logits in before.items():
        wanted = expected_of(logits)
        found = fidelity_of(wanted, after[digest])
        assert isinstance(found, Fidelity)
        p, q = logits.double().softmax(-1), after[digest].double().softmax(-1)
        whole = float((p * (p / q).log()).sum(-1).mean())
        order = p.argsort(dim=-1, descending=True)
        parts = [
            torch.cat((each.gather(1, order)[:, :TOP], each.gather(1, order)[:, TOP:].sum(-1, keepdim=True)), -1)
            for each in (p, q)
        ]
        assert found.divergence == pytest.approx(
            float((parts[0] * (parts[0] / parts[1]).log()).sum(-1).mean()), abs=1e-5
        )
        assert 0 < found.divergence < whole + 1e-6
        assert found.agreeing == int((p.argmax(-1) == q.argmax(-1)).sum())
        agreeing += found.agreeing
    assert 0 < agreeing < sum(map(len, before.values()))


def test_quantized_keys_and_values_are_read_as_they_are_stored(models: dict[str, LoadedModel]) -> None:
    asked = known(models)[-1:]
    plain = logits_along(models["fp16"], asked)
    stored = logits_along(models["fp16+kv:int2"], asked)
    (wanted,) = map(expected_of, plain.values())
    (found,) = (fidelity_of(wanted, logits) for logits in stored.values())
    assert isinstance(found, Fidelity)
    assert found.divergence > 0


def test_logits_that_are_no_numbers_measure_nothing() -> None:
    logits = torch.zeros(2, 100)
    wanted = expected_of(logits)
    broken = logits.clone()
    broken[1, 3] = float("nan")
    meter = Expecting()
    meter.take(broken)
    meter.take(logits)
    assert meter.found() == NOT_FINITE
    assert fidelity_of(wanted, broken) == NOT_FINITE
    assert fidelity_of(wanted, broken[:1], broken[1:]) == NOT_FINITE


def test_a_model_that_lacks_an_expected_token_is_not_measured() -> None:
    logits = torch.zeros(2, 100)
    logits[1, 99] = 1.0
    found = fidelity_of(expected_of(logits), logits[:, :90])
    assert found == "the reference expects token 99 and the model knows 90"


def test_stretches_of_an_answer_add_up_to_it() -> None:
    torch.manual_seed(5)
    before, after = torch.randn(9, 300), torch.randn(9, 300)
    wanted = expected_of(before)
    assert expected_of(before[:1], before[1:5], before[5:]) == wanted
    assert wanted.tokens == 9
    assert fidelity_of(wanted, after[:4], after[4:5], after[5:]) == fidelity_of(wanted, after)


def test_certain_models_have_a_finite_divergence() -> None:
    sure, other = torch.full((1, 100), -200.0), torch.full((1, 100), -200.0)
    sure[0, 1], other[0, 2] = 200.0, 200.0
    found = fidelity_of(expected_of(sure), other)
    assert isinstance(found, Fidelity)
    assert found.agreeing == 0
    assert 79 < found.divergence < 500


rows = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.lists(st.tuples(st.integers(0, 2**31 - 1), st.floats(-100, 0, width=32)), min_size=width, max_size=width),
        min_size=1,
        max_size=5,
    )
)


@given(rows)
def test_what_is_expected_is_read_back_as_it_was(drawn: list[list[tuple[int, float]]]) -> None:
    wanted = Expected.of(len(drawn[0]), [i for row in drawn for i, _ in row], [p for row in drawn for _, p in row])
    assert Expected.from_json(wanted.to_json()) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": 3},
        {"width": None},
        {"width": True},
        {"token_ids": "????"},
        {"token_ids": None},
        {"token_ids": ""},
        {"log_probabilities": "AAA="},
        {"log_probabilities": "AADAfwAAwH8="},
        {"log_probabilities": "AACAPwAAgD8="},
        {"token_ids": "/////wAAAAA="},
    ],
)
def test_what_is_no_stored_expectation_is_refused(change: dict[str, Any]) -> None:
    stored = Expected.of(2, (5, 7), (-0.5, -1.5)).to_json()
    assert Expected.from_json(stored)
    with pytest.raises(ValueError, match=r"numbers|shape|log-probabilities|multiple"):
        Expected.from_json({**stored, **change})


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


def test_answers_with_tokens_that_a_model_does_not_know_are_refused(models: dict[str, LoadedModel]) -> None:
    (asked,) = known(models)[-1:]
    rows = len(WORDS) + len(SPECIAL)
    with pytest.raises(ModelError, match=f"token {rows} and the model knows {rows}"):
        logits_along(models["fp16"], [replace(asked, token_ids=(rows,))])
