"""Fidelity along the reference's answers: agreement and divergence are those of both models' own logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.expected import TOP, Expected, Fidelity
from pytest_quantgate.generation.fidelity import NOT_FINITE, TOO_LONG, Comparing, Expecting, Known, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.variants.variant import LoadedModel
from tests.along import known, logits_along
from tests.tiny_model import SPECIAL, WORDS


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


@pytest.mark.parametrize("seed", range(4))
def test_a_rest_that_float32_rounds_away_is_no_divergence(seed: int) -> None:
    torch.manual_seed(seed)
    before, after = torch.zeros(1, 128), torch.full((1, 128), -3.7)
    wanted = expected_of(before)
    after[0, list(wanted.token_ids)] = 17 + torch.rand(TOP)  # all others together are about a billionth
    found = fidelity_of(wanted, after)
    assert isinstance(found, Fidelity)
    p, q = before.double().softmax(-1)[0], after.double().softmax(-1)[0]
    best = torch.zeros(128, dtype=torch.bool)
    best[list(wanted.token_ids)] = True
    parts = [torch.cat((each[best], each[~best].sum()[None])) for each in (p, q)]
    assert found.divergence == pytest.approx(float((parts[0] * (parts[0] / parts[1]).log()).sum()), abs=1e-4)


def test_certain_models_have_a_finite_divergence() -> None:
    sure, other = torch.full((1, 100), -200.0), torch.full((1, 100), -200.0)
    sure[0, 1], other[0, 2] = 200.0, 200.0
    found = fidelity_of(expected_of(sure), other)
    assert isinstance(found, Fidelity)
    assert found.agreeing == 0
    assert 79 < found.divergence < 500


numbers = st.floats(-100, 0, width=32)
rows = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.tuples(
            st.lists(st.integers(0, 2**31 - 1), min_size=width, max_size=width),
            st.lists(numbers, min_size=width + 1, max_size=width + 1),
        ),
        min_size=1,
        max_size=5,
    )
)


@given(rows)
def test_what_is_expected_is_read_back_as_it_was(drawn: list[tuple[list[int], list[float]]]) -> None:
    ids, values = ([each for row in part for each in row] for part in zip(*drawn, strict=True))
    wanted = Expected.of(len(drawn[0][0]), ids, values)
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
        {"log_probabilities": "AAAAvwAAwL8="},
        {"log_probabilities": "AADAfwAAwH8AAMB/"},
        {"log_probabilities": "AACAPwAAgD8AAIA/"},
        {"token_ids": "/////wAAAAA="},
    ],
)
def test_what_is_no_stored_expectation_is_refused(change: dict[str, Any]) -> None:
    stored = Expected.of(2, (5, 7), (-0.5, -1.5, -1.7)).to_json()
    assert Expected.from_json(stored)
    with pytest.raises(ValueError, match=r"numbers|shape|log-probabilities|multiple"):
        Expected.from_json({**stored, **change})


def test_nothing_is_read_beyond_a_models_context(
    models: dict[str, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = (replace(each, token_ids=(7, 8, 9, 10)[:count]) for count, each in enumerate(known(models)[3:5], 3))
    prompts, _ = tokenize(models["fp16"].tokenizer, [short.request, long.request], 1000)
    room = max(len(prompt.token_ids) for prompt in prompts) + 2  # an answer's last token is not read
    monkeypatch.setattr(models["fp16"].model.config, "max_position_embeddings", room)
    asked = [short, long]
    found = dict(along(models["fp16"], asked, lambda wanted: {each: Expecting() for each in wanted}, SilentProgress()))
    assert isinstance(found[short.request.digest], Expected)
    assert found[long.request.digest] == TOO_LONG


def test_answers_with_tokens_that_a_model_does_not_know_are_refused(models: dict[str, LoadedModel]) -> None:
    (asked,) = known(models)[-1:]
    rows = len(WORDS) + len(SPECIAL)
    with pytest.raises(ModelError, match=f"token {rows} and the model knows {rows}"):
        logits_along(models["fp16"], [replace(asked, token_ids=(rows,))])
