"""Recall: ranks and log-probabilities are those of transformers' own logits, whatever runs beside it."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pytest_quantgate.cases.model import Message
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.prompts import Asked, Prompt, continuation, tokenize
from tests.unit.generation.test_decode import SHAPE, STOP, VOCABULARY, decode, evaluating, generate

PROBLEM = Asked("odd", problem="it cannot be told")


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(7)
    return evaluating(LlamaForCausalLM(LlamaConfig(**SHAPE)))


def prompts() -> list[Prompt]:
    """Short, long and alike prompts that ask for texts of one to six tokens, or for none."""
    chance = random.Random(3)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(chance.randrange(4, VOCABULARY) for _ in range(count))

    def asked(number: int) -> tuple[Asked, ...]:
        texts = tuple(Asked(f"text-{each}", tokens(chance.randrange(1, 7))) for each in range(number % 4))
        return (*texts, PROBLEM) if number % 5 == 0 else texts

    text = tokens(150)
    alone = [Prompt(f"alone-{n}", tokens(chance.randrange(2, 60)), 1 + n % 3, asked(n)) for n in range(24)]
    sharing = [Prompt(f"sharing-{n}", text + tokens(n + 1), 3, asked(n + 1)) for n in range(5)]
    return [*alone, *sharing, Prompt("longest", tokens(300), 5, asked(3))]


def expected(model: PreTrainedModel, prompt: Prompt, asked: Asked) -> Recall:
    """One forward pass over this prompt and this text alone."""
    if asked.problem is not None:
        return Recall(asked.text, problem=asked.problem)
    with torch.inference_mode():
        logits = cast("Any", model)(torch.tensor([prompt.token_ids + asked.token_ids])).logits[0]
    behind = logits[len(prompt.token_ids) - 1 : -1]
    log_probabilities = behind.log_softmax(dim=-1)
    ranks, chosen = [], []
    for place, token in enumerate(asked.token_ids):
        order = behind[place].argsort(descending=True).tolist()
        ranks.append(order.index(token) + 1)
        chosen.append(float(log_probabilities[place, token]))
    return Recall(asked.text, asked.token_ids, tuple(ranks), (0,) * len(ranks), tuple(chosen))


def assert_same(found: Recall, wanted: Recall) -> None:
    assert (found.text, found.token_ids, found.ranks, found.ties, found.problem) == (
        wanted.text,
        wanted.token_ids,
        wanted.ranks,
        wanted.ties,
        wanted.problem,
    )
    assert found.log_probabilities == pytest.approx(wanted.log_probabilities, abs=2e-4)


@pytest.mark.parametrize("kv_bytes", [1, 1 << 19, 1 << 30])
def test_ranks_and_probabilities_are_those_of_transformers_one_prompt_at_a_time(
    model: PreTrainedModel, kv_bytes: int
) -> None:
    for answer in decode(model, prompts(), kv_bytes).values():
        wanted = [expected(model, answer.prompt, asked) for asked in answer.prompt.asked]
        for found, right in zip(answer.recall, wanted, strict=True):
            assert_same(found, right)


def test_measuring_changes_no_answer(model: PreTrainedModel) -> None:
    for answer in decode(model, prompts()).values():
        tokens = generate(model, answer.prompt)
        assert list(answer.token_ids) == [token for token in tokens if token != STOP]


def test_small_passes_give_the_same_as_large_ones(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    together = decode(model, prompts())
    monkeypatch.setattr("pytest_quantgate.generation.decode.PREFILL_TOKENS", 8)
    for name, answer in decode(model, prompts()).items():
        for found, right in zip(answer.recall, together[name].recall, strict=True):
            assert_same(found, right)


def test_the_greedy_answer_has_rank_one(model: PreTrainedModel) -> None:
    (alone,) = decode(model, [Prompt("p", (5, 6, 7, 8), 6)]).values()
    first = alone.token_ids
    (again,) = decode(model, [Prompt("p", (5, 6, 7, 8), 6, (Asked("it", first),))]).values()
    assert again.recall[0].ranks == (1,) * len(first)


def test_one_token_costs_no_pass_of_its_own(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    forward = type(model).forward

    def counted(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        return forward(*arguments, **more)

    monkeypatch.setattr(type(model), "forward", counted)
    decode(model, [Prompt("p", (5, 6, 7), 1, (Asked("a", (9,)), Asked("b", (10,))))])
    assert len(calls) == 1
    decode(model, [Prompt("p", (5, 6, 7), 1, (Asked("a", (9, 4)), Asked("b", (10, 11, 12))))])
    assert len(calls) == 3


def test_a_token_stands_behind_all_that_it_ties_with() -> None:
    flat = LlamaForCausalLM(LlamaConfig(**SHAPE))
    with torch.no_grad():
        cast("Any", flat).lm_head.weight.zero_()
    (answer,) = decode(evaluating(flat), [Prompt("p", (5, 6), 1, (Asked("a", (9, 8)),))]).values()
    (found,) = answer.recall
    assert (found.ranks, found.ties) == ((VOCABULARY,) * 2, (VOCABULARY - 1,) * 2)


def test_logits_that_are_not_numbers_measure_nothing_and_say_so() -> None:
    broken = LlamaForCausalLM(LlamaConfig(**SHAPE))
    with torch.no_grad():
        broken.get_parameter("model.layers.1.mlp.up_proj.weight")[0, 0] = float("nan")
    steps = Decoder(evaluating(broken), frozenset(), 1 << 20).run([Prompt("p", (5, 6), 1, (Asked("a", (9,)),))])
    (answer,) = (each for step in steps for each in step.finished)
    assert answer.recall == (Recall("a", problem="the logits were not finite numbers"),)


@pytest.mark.parametrize(
    ("prefix", "answer", "behind"),
    [
        ("", "Paris", "Paris"),
        ("The capital is", "Paris", " Paris"),
        ("The capital is ", "Paris", "Paris"),
        ("The capital is", " Paris", " Paris"),
        ("The capital is:", "Paris", " Paris"),
        ('The capital is "', "Paris", "Paris"),
        ("The capital is (", "Paris", "Paris"),
        ("It costs $", "12", "12"),
        ("It costs", "$12", "$12"),
        ("Twenty-", "one", "one"),
        ("法国的首都是", "巴黎", "巴黎"),
        ("法国的首都是", "Paris", "Paris"),
        ("เมืองหลวงคือ", "กรุงเทพ", "กรุงเทพ"),
        ("Столица —", "Москва", "Москва"),
        ("Москва,", "Париж", " Париж"),
    ],
)
def test_a_space_is_put_between_two_words_and_nowhere_else(prefix: str, answer: str, behind: str) -> None:
    assert continuation(prefix, answer) == behind


class Letters:
    """A tokenizer of letters, except that "th" is one token."""

    chat_template = "the last message"
    bos_token_id = None

    def apply_chat_template(self, chat: list[dict[str, str]], **_: object) -> str:
        return chat[-1]["content"]

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text.replace("th", "þ")]}


def test_an_answer_is_tokenized_behind_its_prompt() -> None:
    chat = (Message("user", "q"),)
    requests = [
        Request(chat, 4, "a", ("x", "yz")),
        Request(chat, 4, "-t", ("ha", "o")),
        Request(chat, 4, "abcdef", ("ghi",)),
    ]
    found, refused = tokenize(cast("Any", Letters()), requests, 9)
    assert not refused
    one, two, three = (prompt.asked for prompt in found)
    assert one == (Asked("x", (ord(" "), ord("x"))), Asked("yz", (ord(" "), ord("y"), ord("z"))))
    assert [asked.problem for asked in two] == [None, None]  # a space keeps the letters apart
    (long,) = three
    assert long.problem == "with it, the prompt does not fit the model's context of 9"
    (merged,), _ = tokenize(cast("Any", Letters()), [Request((Message("user", "-t"),), 4, "", ("ha",))], 9)
    assert merged.asked[0].problem == "the tokenizer merges its beginning with the end of the prompt"
