from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants import gptq_calibration
from pytest_quantgate.variants.gptq_calibration import LENGTH, Message, digest, sequences, sequences_for


def encode(chat: Sequence[Message]) -> list[int]:
    """A token for each word, and one for each role."""
    return [hash(word) for message in chat for word in (message["role"], *message["content"].split())]


@pytest.fixture(autouse=True)
def forget() -> None:
    gptq_calibration._pairs.cache_clear()  # noqa: SLF001  (what it read may be another manual now)


def test_there_are_as_many_sequences_as_asked_for_all_of_one_length() -> None:
    found = sequences(encode, LENGTH, 128)
    assert {len(each) for each in found} == {LENGTH}
    assert len(found) == 128
    assert sequences(encode, LENGTH, 3) == found[:3]


@pytest.mark.parametrize(
    ("widest", "length", "count"), [(14336, 512, 128), (1536, 512, 48), (128, 512, 4), (1, 512, 1)]
)
def test_small_models_read_less(widest: int, length: int, count: int) -> None:
    assert sequences_for(widest, length) == count


def test_each_begins_as_a_chat_does_and_none_is_another() -> None:
    found = sequences(encode, LENGTH, 128)
    assert {each[0] for each in found} == {hash("user")}
    assert len(set(map(tuple, found))) == len(found)


def test_a_question_is_answered_by_the_passage_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = "one " * 250, "two " * 250
    manual = ModuleType("manual")
    manual.__dict__["topics"] = {"a": f"{first}\n\n{second}", "b": "alone"}
    monkeypatch.setattr(gptq_calibration, "import_module", lambda _: manual)
    asked: list[Sequence[Message]] = []

    def note(chat: Sequence[Message]) -> list[int]:
        asked.append(list(chat))
        return [0] * 8

    sequences(note, 8, 1)
    assert [message["role"] for message in asked[0]] == ["user", "assistant"]
    assert asked[0][0]["content"].endswith(first.strip() + " ")
    assert asked[0][1]["content"] == second


def test_the_digest_is_that_of_the_text_and_of_how_much_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    assert digest() == before
    monkeypatch.setattr(gptq_calibration, "SEQUENCES", 64)
    assert digest() != before


@pytest.mark.parametrize("manual", [ModuleType("empty"), None])
def test_a_python_without_its_manual_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, manual: ModuleType | None
) -> None:
    def missing(name: str) -> ModuleType:
        if manual is None:
            raise ModuleNotFoundError(name)
        return manual

    monkeypatch.setattr(gptq_calibration, "import_module", missing)
    with pytest.raises(ModelError, match=r"comes without pydoc_data\.topics"):
        digest()


def test_a_template_that_leaves_out_what_was_said_before_is_one_clear_error() -> None:
    with pytest.raises(ModelError, match=r"makes 9 tokens of a long chat, where 512 are needed[\s\S]*rtn:"):
        sequences(lambda _: [0] * 9, LENGTH, 1)
