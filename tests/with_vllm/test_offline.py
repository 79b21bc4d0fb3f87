"""vLLM in process, beside the engine that it stands for: the shipped tiny model, in float32 on a CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.loading import load_tokenizer
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, on_device, prepare_variant, run_another_way
from tests.served import TINY_INSTRUCT

SHARED = Path("/dev/shm")  # noqa: S108  (where processes share memory)
CONTEXT = 1024  # of the tiny model
FOLLOWING = Request((Message("user", "What is 9 + 9?"),), 16)


def ask(text: str, tokens: int = 24, **more: object) -> Request:
    return replace(Request((Message("user", text),), tokens), **more)  # type: ignore[arg-type]


SUMS = [ask(f"What is {first} + {second}?") for first in (2, 13, 40) for second in (5, 17, 38)]
ASKED = [
    *SUMS,
    ask("What is 2 + 2?", 3),  # is cut
    ask("What is 3 + 4?", answer_prefix="The answer"),
    ask("What is 6 + 1?", recall=("The answer is 7.", "seven", "The")),
    ask("word " * 2000),  # does not fit
]


def copied(folder: Path) -> Path:
    folder.mkdir()
    for file in TINY_INSTRUCT.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def prepared(spec: str, kernels: str, device: str = "cpu", model: Path = TINY_INSTRUCT) -> Variant:
    return prepare_variant(spec, resolve_model(str(model)), device=device, compute_dtype="auto", kernels=kernels)


def answers_of(
    variant: Variant, folder: Path, asked: Sequence[Request] = ASKED, elsewhere: Sequence[Variant] = ()
) -> list[Completion]:
    def more(answered: Mapping[str, Completion]) -> list[Request]:
        return [FOLLOWING] if answered else []

    with CompletionCache(folder / "answers.sqlite3") as cache:
        found = answer(variant, asked, cache, SilentProgress(), more, elsewhere=elsewhere)
    assert (found.audit is None) == (variant.offline and variant.spec.name != "gptq")
    return [found.completions[each.digest] for each in [*asked, FOLLOWING]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Completion]:
    return answers_of(prepared("fp32", "auto"), tmp_path_factory.mktemp("transformers"))


def same(found: Sequence[Completion], expected: Sequence[Completion]) -> None:
    for one, other in zip(found, expected, strict=True):
        bare = {"margins": (), "recall": ()}
        assert replace(one, **bare) == replace(other, **bare)  # type: ignore[arg-type]
        assert one.margins == pytest.approx(other.margins, abs=1e-3)
        for mine, theirs in zip(one.recall, other.recall, strict=True):
            assert (mine.text, mine.token_ids, mine.problem) == (theirs.text, theirs.token_ids, theirs.problem)
            assert (mine.ranks, mine.ties) == (theirs.ranks, theirs.ties)
            assert mine.log_probabilities == pytest.approx(theirs.log_probabilities, abs=1e-3)


def test_it_answers_as_transformers_does(tmp_path: Path, expected: list[Completion]) -> None:
    assert {each.finish_reason for each in expected} == {"stop", "length", "context"}
    assert any(each.recall for each in expected)
    same(answers_of(prepared("fp32", "vllm"), tmp_path), expected)


def test_a_second_run_another_way_does_so_too(tmp_path: Path, expected: list[Completion]) -> None:
    same(answers_of(run_another_way(prepared("fp32", "vllm"), kernels=False), tmp_path), expected)


def test_two_processes_share_the_requests(tmp_path: Path, expected: list[Completion]) -> None:
    variant = prepared("fp32", "vllm")
    same(answers_of(variant, tmp_path, elsewhere=[on_device(variant, "cpu")]), expected)


def test_one_model_is_spread_over_two_devices_and_leaves_nothing_behind(
    tmp_path: Path, expected: list[Completion]
) -> None:
    before = set(SHARED.glob("psm_*"))  # the smaller files of vLLM's own it never removes
    same(answers_of(prepared("fp32", "vllm", "cpu+cpu"), tmp_path), expected)
    assert set(SHARED.glob("psm_*")) <= before


def test_a_text_that_fills_the_context_is_not_read_and_all_others_are(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(TINY_INSTRUCT)
    for words in range(500, 512):  # until prompt and text are as long as the context
        filling = ask("7 " * words, 1, recall=("7", "7 7 7"))
        (prompt,), _ = tokenize(tokenizer, [filling], CONTEXT)
        lengths = [len(prompt.token_ids) + len(asked.token_ids) for asked in prompt.asked]
        if max(lengths) == CONTEXT:
            break
    assert lengths[0] < lengths[1] == CONTEXT
    short, long = answers_of(prepared("fp32", "vllm"), tmp_path, [filling])[0].recall
    assert short.problem is None
    assert long.problem is not None
    assert "fills the model's context" in long.problem


def test_weights_that_no_identity_knows_are_not_read(tmp_path: Path, expected: list[Completion]) -> None:
    folder = copied(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    zeroed = {name: torch.zeros_like(each) for name, each in weights.items()}
    save_file(zeroed, folder / "consolidated.safetensors")
    (folder / "params.json").write_text("{}")
    same(answers_of(prepared("fp32", "vllm", model=folder), tmp_path), expected)


def test_a_draft_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"speculators_config": {"verifier": {}}}))
    with pytest.raises(ModelError, match=r"makes it the draft of another model\n  name that model"):
        answers_of(prepared("fp32", "vllm", model=folder), tmp_path, SUMS)


def test_it_computes_packed_weights_as_they_are_spread_out_elsewhere(tmp_path: Path) -> None:
    spread = answers_of(prepared("gptq:4bit-g64", "auto"), tmp_path, SUMS)
    packed = answers_of(prepared("gptq:4bit-g64", "vllm"), tmp_path, SUMS)
    assert [each.token_ids for each in packed] == [each.token_ids for each in spread]
    assert len({each.token_ids for each in spread}) > 1
    for one, other in zip(packed, spread, strict=True):  # float16 against float32
        assert one.margins == pytest.approx(other.margins, abs=0.1)


def test_a_checkpoint_that_it_cannot_load_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace('"LlamaForCausalLM"', '"NoSuchForCausalLM"').replace('"llama"', '"bart"')
    )
    with pytest.raises(ModelError, match=r"variant 'fp32': vLLM cannot load it: [\s\S]*leave out --quant-kernels vllm"):
        answers_of(prepared("fp32", "vllm", model=folder), tmp_path, SUMS)
