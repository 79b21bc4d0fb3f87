"""Answers that end as soon as every check is decided: when they do, and how they are kept apart from whole ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.finding import followed
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.early import EVERY, HELD_BACK, Early, beginning, closing_tokens, kept_for
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import Answers, answer
from pytest_quantgate.generation.turns import look_up
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, on_device, prepare_variant
from tests.tiny_model import WORDS, build_tiny_model

TINY_INSTRUCT = Path(__file__).parents[3] / "fixtures" / "tiny_instruct" / "model"
ASKED = Case("a", (Message("user", " ".join(WORDS[:4])),), (CheckSpec("word_count", {"min": 2}),), 24)
EARLY = replace(ASKED, stops_early=True)
STOPPED = Completion("one two three four", (1, 2, 3, 4), "decided", 5)
WHOLE = Completion("one two three four five", (1, 2, 3, 4, 5), "stop", 5)


class Numbers:
    """A tokenizer of a few tokens, the longest of which is as long as told; texts are given by their number."""

    all_special_ids: tuple[int, ...] = ()

    def __init__(self, longest: int, texts: Sequence[str] = ()) -> None:
        self._longest = longest
        self._texts = texts
        self.added_tokens_decoder: dict[int, object] = {}

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return self._texts[len(token_ids) // EVERY - 1]

    def get_vocab(self) -> dict[str, int]:
        return {str(number): number for number in range(3 * EVERY)} | {"x" * self._longest: 3 * EVERY}


@pytest.fixture(scope="module", params=["of bytes", "of bytes that cleans up", "of bytes as tokens"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """The ways in which the end of a text may change: unfinished characters, and spaces that are taken away."""
    made: Any = AutoTokenizer.from_pretrained(TINY_INSTRUCT)
    if request.param == "of bytes that cleans up":
        made.clean_up_tokenization_spaces = True
    if request.param == "of bytes as tokens":
        vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"\u2581": 256, "\u2581a": 257, "n't": 258}
        core = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
        strip = decoders.Strip(content=" ", left=1, right=0)
        whole = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), strip]
        core.decoder = decoders.Sequence(whole)
        fast: Any = PreTrainedTokenizerFast
        return fast(tokenizer_object=core, clean_up_tokenization_spaces=True)
    return made


def early(*requests: Request, texts: Sequence[str], longest: int = 1) -> Any:
    """Asked for the first so many tokens of an answer, which has these texts after every few tokens."""
    tokenizer: Any = Numbers(longest, texts)
    return Early(requests, tokenizer, None)


def test_a_whole_answer_has_the_digest_that_it_always_had_and_a_stopped_one_another() -> None:
    plain, stopping = Request.of(ASKED), Request.of(EARLY)
    assert plain == Request(ASKED.messages, 24)
    assert stopping.until == ('["word_count", {"min": 2}]',)
    assert stopping.whole == plain
    assert stopping.digest != plain.digest == stopping.whole.digest
    other = Request.of(replace(EARLY, checks=(CheckSpec("word_count", {"min": 3}),)))
    assert other.digest != stopping.digest


def test_an_answer_is_looked_at_every_few_tokens_without_its_end() -> None:
    request = Request.of(EARLY)
    ends = early(request, texts=["one two", "one two " + "." * (HELD_BACK - 1), "one two " + "." * HELD_BACK])
    assert [count for count in range(1, 3 * EVERY + 1) if ends(request.digest, range(count))] == [2 * EVERY, 3 * EVERY]
    assert beginning("one two" + "x" * HELD_BACK) == "one two"
    assert not early(request, texts=["a b c d e f g h i j"])("another", range(EVERY))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_later_tokens_do_not_change_a_beginning(tokenizer: Any, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), min_size=1, max_size=40))
    texts = [tokenizer.decode(ids[:count], skip_special_tokens=True) for count in range(len(ids) + 1)]
    closing = closing_tokens(tokenizer)
    for at, token in enumerate(ids, start=1):
        if token in closing:
            assert all(later.startswith(beginning(texts[at])) for later in texts[at:])


def test_a_text_is_open_behind_a_lone_byte_and_what_is_not_shown() -> None:
    core = Tokenizer(models.BPE({"<0x80>": 0, "a": 1, "<end>": 2, "<tool>": 3}, [], byte_fallback=True))
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=core, eos_token="<end>", additional_special_tokens=["<tool>"])  # noqa: S106
    assert closing_tokens(tokenizer) == {1}


def test_an_answer_whose_text_is_written_anew_is_made_whole() -> None:
    request = Request.of(EARLY)
    ends = early(request, texts=["one-and-only", "another one " + "." * HELD_BACK])
    assert not any(ends(request.digest, range(count)) for count in range(1, 2 * EVERY + 1))


def test_an_answer_that_could_become_too_long_to_be_scored_is_made_whole() -> None:
    request = Request.of(EARLY)
    texts = ["one two three " + "." * HELD_BACK]
    assert early(request, texts=texts, longest=4_000)(request.digest, range(EVERY))
    assert not early(request, texts=texts, longest=5_000)(request.digest, range(EVERY))


def test_every_check_must_be_decided() -> None:
    request = Request.of(replace(EARLY, checks=(*EARLY.checks, CheckSpec("exact", {"text": "one two three"}))))
    assert not early(request, texts=["one two " + "." * HELD_BACK])(request.digest, range(EVERY))
    assert early(request, texts=["one thing " + "." * HELD_BACK])(request.digest, range(EVERY))


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        ({"whole": WHOLE, "stopped": STOPPED}, WHOLE),
        ({"stopped": STOPPED}, STOPPED),
        ({"stopped": replace(STOPPED, text="one")}, None),  # today's checks would not stop it there
    ],
)
def test_a_whole_answer_is_used_and_a_stopped_one_only_while_it_holds(
    kept: dict[str, Completion], found: Completion | None
) -> None:
    request = Request.of(EARLY)
    stored = {{"whole": request.whole.digest, "stopped": request.digest}[which]: each for which, each in kept.items()}
    expected = {} if found is None else {request.digest: found}
    assert kept_for({request.digest: request}, lambda _: stored) == expected
    assert look_up([EARLY], lambda _: stored) == expected
    whole = {request.whole.digest: request.whole}
    assert kept_for(whole, lambda wanted: {each: stored[each] for each in wanted if each in stored}) == {
        digest: each for digest, each in stored.items() if digest == request.whole.digest
    }


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    return prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path_factory.mktemp("tiny")))), device="cpu")


def answers(variant: Variant, cases: Sequence[Case], path: Path, **more: Any) -> Answers:
    with CompletionCache(path) as cache:
        return answer(variant, [Request.of(case) for case in cases], cache, SilentProgress(), **more)


def many(*, stops_early: bool) -> list[Case]:
    return [
        replace(ASKED, messages=(Message("user", " ".join(WORDS[at : at + 3])),), stops_early=stops_early)
        for at in range(6)
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stopped_answer_is_the_beginning_of_the_whole_one(variant: Variant, tmp_path: Path, processes: int) -> None:
    elsewhere = [on_device(variant, "cpu")] * (processes - 1)
    whole = answers(variant, many(stops_early=False), tmp_path / "whole.sqlite3")
    stopped = answers(variant, many(stops_early=True), tmp_path / "stopped.sqlite3", elsewhere=elsewhere)
    ended = set()
    for case in many(stops_early=True):
        short, long = stopped.completions[Request.of(case).digest], whole.completions[Request.of(case).whole.digest]
        assert short.token_ids == long.token_ids[: len(short.token_ids)]
        assert short == long or (short.finish_reason, len(short.token_ids) % EVERY) == ("decided", 0)
        ended.add(short.finish_reason)
    assert "decided" in ended


def test_whole_answers_are_shared_and_stopped_ones_are_not(variant: Variant, tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    first = answers(variant, many(stops_early=True), path)
    assert (first.cached, first.generated) == (0, 6)
    assert answers(variant, many(stops_early=True), path).generated == 0
    ran_out = sum(each.finish_reason != "decided" for each in first.completions.values())
    then = answers(variant, many(stops_early=False), path)
    assert (then.cached, then.generated) == (ran_out, 6 - ran_out)
    last = answers(variant, many(stops_early=True), path)
    assert last.generated == 0
    assert {each.finish_reason for each in last.completions.values()} <= {"stop", "length"}


def test_a_check_of_the_users_ends_answers(variant: Variant, tmp_path: Path) -> None:
    registry = builtin_registry()
    registry.register("mine:any", lambda answer: followed(answer[:9] or "empty"), decided=lambda _: True)
    case = replace(EARLY, checks=(CheckSpec("mine:any"),))
    (found,) = answers(variant, [case], tmp_path / "one.sqlite3", registry=registry).completions.values()
    assert (found.finish_reason, len(found.token_ids)) == ("decided", EVERY)
    (whole,) = answers(variant, [case], tmp_path / "two.sqlite3").completions.values()
    assert whole.finish_reason != "decided"  # where the check is not known
