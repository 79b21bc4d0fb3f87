"""A tiny random Llama with its own tokenizer, made once and copied for each test that changes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.paths import CACHE_VARIABLE

CHAT_TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant: "
CONTEXT = 128
SPECIAL_TOKENS = {"unk_token": "<unk>", "eos_token": "<end>", "pad_token": "<end>"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = ["<unk>", "<end>", "user", "assistant", ":", *(f"w{number}" for number in range(59))]
    tokens = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=SPECIAL_TOKENS["unk_token"])
    )
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    make_tokenizer: Any = PreTrainedTokenizerFast
    tokenizer = make_tokenizer(tokenizer_object=tokens, **SPECIAL_TOKENS)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
    )
    model: Any = LlamaForCausalLM(config)
    model.half().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def made(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of each kind of ``tests.stored_checkpoints``, made once: tests must leave it as it is."""
    from tests.stored_checkpoints import MAKERS

    above = tmp_path_factory.mktemp("stored")

    def make(name: str) -> Path:
        folder = above / name
        if not folder.exists():
            folder.mkdir()
            MAKERS[name](pristine, folder)
        return folder

    return make


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A whole checkpoint that the test may break."""
    return Path(shutil.copytree(pristine, tmp_path / "model"))


@pytest.fixture
def edit_weights(folder: Path) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Loads the weights, lets the test change the dictionary, and saves them again."""
    from safetensors.torch import load_file, save_file

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        file = folder / "model.safetensors"
        weights: dict[str, Any] = dict(load_file(file))
        change(weights)
        save_file(weights, file, metadata={"format": "pt"})

    return edit
