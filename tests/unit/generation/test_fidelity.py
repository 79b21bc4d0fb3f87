"""Fidelity along the reference's answers: agreement and divergence are those of both models' own logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import fidelity as engine
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.expected import TOP, Expected, Fidelity
from pytest_quantgate.generation.fidelity import Known, along, expected_of, fidelity_of
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.yardstick import Yardstick
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.tiny_model import WORDS, build_tiny_model


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
    found = dict(along(models["fp16"], asked, SilentProgress()))
    assert len(found) == len(asked)
    for each in asked:
        torch.testing.assert_close(found[each.request.digest], direct(models["fp16"], each), atol=2e-4, rtol=1e-4)


def test_a_variant_agrees_with_itself_wholly(models: dict[str, LoadedModel]) -> None:
    for logits in dict(along(models["fp16"], known(models), SilentProgress())).values():
        wanted = expected_of(logits)
        assert wanted is not None
        assert fidelity_of(wanted, logits) == Fidelity(len(logits), len(logits), 0.0)


def test_divergence_is_that_over_the_likeliest_tokens_and_the_rest(models: dict[str, LoadedModel]) -> None:
    asked = known(models)
    before = dict(along(models["fp16"], asked, SilentProgress()))
    after = dict(along(models["rtn:3bit-g64"], asked, SilentProgress()))
    agreeing = 0
    for digest, logits in before.items():
        wanted = expected_of(logits)
        assert wanted is not None
        found = fidelity_of(wanted, after[digest])
        assert found is not None
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
    plain = dict(along(models["fp16"], asked, SilentProgress()))
    stored = dict(along(models["fp16+kv:int2"], asked, SilentProgress()))
    (wanted,) = map(expected_of, plain.values())
    assert wanted is not None
    (found,) = (fidelity_of(wanted, logits) for logits in stored.values())
    assert found is not None
    assert found.divergence > 0


def test_logits_that_are_no_numbers_measure_nothing() -> None:
    logits = torch.zeros(2, 100)
    wanted = expected_of(logits)
    assert wanted is not None
    broken = logits.clone()
    broken[1, 3] = float("nan")
    assert expected_of(broken) is None
    assert fidelity_of(wanted, broken) is None
    assert fidelity_of(wanted, logits[:1]) is None


def test_certain_models_have_a_finite_divergence() -> None:
    sure, other = torch.full((1, 100), -200.0), torch.full((1, 100), -200.0)
    sure[0, 1], other[0, 2] = 200.0, 200.0
    wanted = expected_of(sure)
    assert wanted is not None
    found = fidelity_of(wanted, other)
    assert found is not None
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
    wanted = Expected.of([[i for i, _ in row] for row in drawn], [[p for _, p in row] for row in drawn])
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
    stored = Expected.of([(5, 7)], [(-0.5, -1.5)]).to_json()
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
