"""Answers in pieces: the tokens that a tokenizer makes of them, or their words."""

from __future__ import annotations

from math import nan

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.report import pieces
from pytest_quantgate.report.pieces import tokens_of, words_of


def byte_level() -> Tokenizer:
    """Tokens of bytes, as most models have them: one of these is half of an é."""
    vocabulary = {"Hello": 0, "Ġworld": 1, "Ã": 2, "©": 3, "Ċ": 4, "<|end|>": 5}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="Hello"))  # noqa: S106  (a token, not a secret)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def with_word_marks() -> Tokenizer:
    """Tokens that begin with a mark where a word begins."""
    tokenizer = Tokenizer(models.WordLevel({"\u2581Hello": 0, "\u2581world": 1, "ly": 2}, unk_token="ly"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def answer(text: str, *ids: int, margins: tuple[float, ...] = ()) -> Completion:
    return Completion(text, ids, "stop", 5, margins)


def texts(found: pieces.Pieces | None) -> list[str]:
    assert found is not None
    return [found.text(index) for index in range(len(found.keys))]


def test_tokens_of_bytes_keep_their_spaces_and_half_characters_are_named() -> None:
    assert texts(tokens_of(answer("Hello world\né", 0, 1, 4, 2, 3), byte_level())) == [
        *("Hello", " world", "\n"),
        *("Ã", "©"),
    ]


def test_tokens_with_word_marks_keep_their_spaces() -> None:
    assert texts(tokens_of(answer("Hello worldly", 0, 1, 2), with_word_marks())) == [" Hello", " world", "ly"]


def test_a_tokenizer_that_breaks_down_gives_no_tokens() -> None:
    long = 32 * "a" + "!"
    tokenizer = Tokenizer(models.WordLevel({long: 0, "b": 1}, unk_token="b"))  # noqa: S106
    tokenizer.decoder = decoders.Replace(Regex("(a+)+$"), "")
    assert tokens_of(answer(long, 0), tokenizer) is None


def test_special_tokens_are_shown() -> None:
    assert texts(tokens_of(answer("Hello", 0, 5), byte_level())) == ["Hello", "<|end|>"]


@pytest.mark.parametrize("ids", [(0, 6), (0, -1), (0, 10**30), (1,), ()])
def test_tokens_that_do_not_give_the_answer_are_not_taken_for_its_tokens(ids: tuple[int, ...]) -> None:
    assert tokens_of(answer("Hello", *ids), byte_level()) is None


def test_an_empty_answer_has_no_tokens() -> None:
    assert texts(tokens_of(answer(""), byte_level())) == []


def test_margins_are_those_that_were_recorded_and_are_numbers() -> None:
    found = tokens_of(answer("Hello world world", 0, 1, 1, margins=(1.5, nan)), byte_level())
    assert found is not None
    assert [found.margin(index) for index in range(3)] == [1.5, None, None]


def test_words_keep_the_white_space_before_them() -> None:
    assert texts(words_of(answer(" one\n two  "))) == [" one", "\n two", "  "]
    assert texts(words_of(answer(""))) == []


def test_no_more_words_are_looked_at_than_anybody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_WORDS", 3)
    assert len(words_of(answer("a " * 1000)).keys) == 3
