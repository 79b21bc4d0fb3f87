"""The order in which prompts are answered, and what they share."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError, UndefinedError

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.prompts import MIN_SHARED_TOKENS, Prompt, in_groups, tokenize


def prompt(name: str, *token_ids: int, limit: int = 8) -> Prompt:
    return Prompt(name, token_ids, limit)


LONG = tuple(range(1000, 1000 + 4 * MIN_SHARED_TOKENS))


def test_questions_about_one_text_share_it() -> None:
    (group,) = in_groups([prompt("a", *LONG, 1, 2), prompt("b", *LONG, 3), prompt("c", *LONG, 1, 4)])
    assert group.shared == len(LONG)
    assert [item.digest for item in group.prompts] == ["a", "c", "b"]


def test_a_common_system_message_does_not_join_different_texts() -> None:
    system = tuple(range(MIN_SHARED_TOKENS + 1))
    other = tuple(range(5000, 5000 + len(LONG)))
    groups = in_groups([prompt("a", *system, *LONG), prompt("b", *system, *other)])
    assert [group.shared for group in groups] == [0, 0]


def test_short_common_beginnings_are_not_worth_sharing() -> None:
    groups = in_groups([prompt("a", 1, 2, 3, 4), prompt("b", 1, 2, 3, 5)])
    assert [group.shared for group in groups] == [0, 0]


def test_a_prompt_that_begins_another_keeps_a_token_of_its_own() -> None:
    (group,) = in_groups([prompt("a", *LONG), prompt("b", *LONG, 7)])
    assert group.shared < len(LONG)


def test_equal_prompts_with_different_limits_keep_a_token_of_their_own() -> None:
    (group,) = in_groups([prompt("a", *LONG, limit=1), prompt("b", *LONG, limit=9)])
    assert group.shared == len(LONG) - 1


@given(
    st.lists(st.tuples(st.sampled_from([(), LONG, LONG[:100]]), st.lists(st.integers(0, 3), min_size=1)), max_size=12),
    st.randoms(),
)
def test_every_prompt_is_in_one_group_and_order_of_input_does_not_matter(
    parts: list[tuple[tuple[int, ...], list[int]]], chance: random.Random
) -> None:
    prompts = [prompt(str(number), *head, *tail) for number, (head, tail) in enumerate(parts)]
    groups = in_groups(prompts)
    assert sorted(item.digest for group in groups for item in group.prompts) == sorted(p.digest for p in prompts)
    for group in groups:
        beginnings = {item.token_ids[: group.shared] for item in group.prompts}
        assert len(beginnings) == 1
        assert all(len(item.token_ids) > group.shared for item in group.prompts)
    lengths = [len(group.prompts[0].token_ids) for group in groups]
    assert lengths == sorted(lengths, reverse=True)
    shuffled = list(prompts)
    chance.shuffle(shuffled)
    assert in_groups(shuffled) == groups


class Words:
    """A tokenizer of whole words that may begin a text with a token of its own; it has no chat template."""

    chat_template = None

    def __init__(self, first: int | None = None) -> None:
        self.bos_token_id = first
        self.words: list[str] = []

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        found = []
        for word in text.replace("\n\n", " <break> ").split():
            if word not in self.words:
                self.words.append(word)
            found.append(100 + self.words.index(word))
        first = [self.bos_token_id] if add_special_tokens and self.bos_token_id is not None else []
        return {"input_ids": [*first, *found]}

    def read(self, prompt: Prompt) -> str:
        return " ".join(self.words[token - 100] for token in prompt.token_ids if token >= 100)


CHAT = (Message("system", "Be short."), Message("user", "What is red?"))


def test_without_a_template_the_contents_are_paragraphs_and_the_answer_begins_behind_them() -> None:
    words: Any = Words()
    plain, begun = Request(CHAT, 4), Request(CHAT, 4, answer_prefix="It is")
    (first, second), refused = tokenize(words, [plain, begun], 100)
    assert not refused
    assert words.read(first) == "Be short. <break> What is red?"
    assert words.read(second) == "Be short. <break> What is red? <break> It is"


def test_without_a_template_a_text_begins_as_the_model_has_learned() -> None:
    (prompt_of_it,), _ = tokenize(cast("Any", Words(first=7)), [Request(CHAT, 4)], 100)
    assert prompt_of_it.token_ids[0] == 7
    assert prompt_of_it.token_ids.count(7) == 1


def test_without_a_template_what_is_recalled_stands_behind_the_text() -> None:
    request = Request((Message("user", "The sky is"),), 1, recall=("blue",))
    words: Any = Words(first=7)
    (found,), _ = tokenize(words, [request], 100)
    (asked,) = found.asked
    assert asked.problem is None
    assert [words.words[token - 100] for token in asked.token_ids] == ["blue"]


def test_a_prompt_without_a_token_is_not_called_too_long() -> None:
    request = Request((Message("user", " "),), 4)
    prompts, refused = tokenize(cast("Any", Words()), [request], 100)
    assert not prompts
    assert refused[request.digest].problem == "the tokenizer makes no token of the prompt"
    assert refused[request.digest].lasting


class Failing(Words):
    """A tokenizer that fails at one word."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        if "sky" in text:
            raise self.error
        return super().__call__(text, add_special_tokens=add_special_tokens)


class Templated(Words):
    """A tokenizer whose chat template fails."""

    chat_template: Any = "{{ messages }}"

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def apply_chat_template(self, *_: object, **__: object) -> str:
        raise self.error


ASKED = Request((Message("user", "The sky is"),), 1)


@pytest.mark.parametrize("make", [Failing, Templated])
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_while_prompts_are_rendered_is_no_fault_of_theirs(
    make: Callable[[Exception], Any], error: Exception
) -> None:
    with pytest.raises(type(error)):
        tokenize(make(error), [ASKED], 100)


@pytest.mark.parametrize("make", [Failing, Templated])
@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (TemplateError("no system message"), True),
        (UndefinedError("'tools' is undefined"), True),
        (TypeError("can only concatenate str"), True),
        (ImportError("apply_chat_template requires jinja2"), False),
        (OSError("too many open files"), False),
    ],
)
def test_only_what_a_template_or_tokenizer_says_of_the_prompt_lasts(
    make: Callable[[Exception], Any], error: Exception, *, lasting: bool
) -> None:
    prompts, refused = tokenize(make(error), [ASKED], 100)
    assert not prompts
    assert refused[ASKED.digest].problem == f"the prompt cannot be rendered: {error}"
    assert refused[ASKED.digest].lasting == lasting


def test_a_tokenizer_that_fails_at_what_is_recalled_ends_nothing_else() -> None:
    asking = Request((Message("user", "Up there is"),), 1, recall=("the sky",))
    other = Request((Message("user", "Up there is"),), 1)
    prompts, refused = tokenize(cast("Any", Failing(ValueError("no such word"))), [asking, other], 100)
    assert [prompt.digest for prompt in prompts] == [other.digest]
    assert refused[asking.digest].problem == "the prompt cannot be rendered: no such word"
