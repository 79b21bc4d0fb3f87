"""Greedy decoding: the answers are those of one prompt alone, whatever runs beside it."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedModel

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import run
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.decoded import Decoded
from pytest_quantgate.generation.prefill import Prefilled, Prefiller, Waiting
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import Prompt
from pytest_quantgate.generation.slots import SlotPool
from pytest_quantgate.variants.schedule import Schedule
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant
from tests.tiny_model import WORDS, build_tiny_model

VOCABULARY = 89
STOP = 3
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,
}


def evaluating(model: Any) -> PreTrainedModel:
    ready: PreTrainedModel = model.eval()
    return ready


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(11)
    return evaluating(LlamaForCausalLM(LlamaConfig(**SHAPE)))


def generate(model: Any, prompt: Prompt) -> list[int]:
    """What transformers answers to this prompt alone, stop token included."""
    ids = torch.tensor([prompt.token_ids])
    tokens: list[int] = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=prompt.max_new_tokens,
        do_sample=False,
        eos_token_id=STOP,
        pad_token_id=0,
    )[0, ids.shape[1] :].tolist()
    return tokens


def mixed_prompts(seed: int = 5) -> list[Prompt]:
    """Short and long prompts, some of which begin alike, with different limits."""
    chance = random.Random(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(chance.randrange(4, VOCABULARY) for _ in range(count))

    text = tokens(150)
    alone = [Prompt(f"alone-{n}", tokens(chance.randrange(2, 60)), chance.randrange(1, 40)) for n in range(20)]
    sharing = [Prompt(f"sharing-{n}", text + tokens(n + 1), 12) for n in range(5)]
    return [*alone, *sharing, Prompt("longest", tokens(300), 30)]


def decode(model: PreTrainedModel, prompts: Sequence[Prompt], kv_bytes: int = 1 << 30) -> dict[str, Decoded]:
    steps = list(Decoder(model, frozenset({STOP}), kv_bytes).run(prompts))
    decoded = [answer for step in steps for answer in step.finished]
    assert len(decoded) == len(prompts)
    return {answer.prompt.digest: answer for answer in decoded}


def tokens_of(answers: dict[str, Decoded]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (answer.token_ids, answer.reason) for name, answer in answers.items()}


def test_answers_equal_those_of_transformers_generate(model: PreTrainedModel) -> None:
    for name, answer in decode(model, mixed_prompts()).items():
        expected = generate(model, answer.prompt)
        stopped = expected[-1] == STOP
        assert list(answer.token_ids) == (expected[:-1] if stopped else expected), name
        assert answer.reason == ("stop" if stopped else "length"), name


@pytest.mark.parametrize("kv_bytes", [1, 1 << 19, 1 << 21, 1 << 30])
def test_answers_do_not_depend_on_batch_size_or_order(model: PreTrainedModel, kv_bytes: int) -> None:
    prompts = mixed_prompts()
    expected = tokens_of(decode(model, prompts))
    random.Random(kv_bytes).shuffle(prompts)
    assert tokens_of(decode(model, prompts, kv_bytes)) == expected


def test_answers_do_not_depend_on_what_else_is_asked(model: PreTrainedModel) -> None:
    prompts = mixed_prompts()
    together = tokens_of(decode(model, prompts))
    alone = {prompt.digest: tokens_of(decode(model, [prompt]))[prompt.digest] for prompt in prompts}
    assert together == alone


def test_memory_that_was_never_written_is_never_read(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    text = tuple(chance.randrange(4, VOCABULARY) for _ in range(400))
    # The short one decodes alone until the second text, longer than it, moves it to the right.
    prompts = [
        Prompt("shared-long", text, 1),
        Prompt("shared-short", (*text[:210], 7), 60),
        Prompt("other", tuple(chance.randrange(4, VOCABULARY) for _ in range(350)), 30),
        *mixed_prompts(),
    ]
    expected = tokens_of(decode(model, prompts))
    new_empty = torch.Tensor.new_empty

    def poisoned(tensor: torch.Tensor, *shape: int) -> torch.Tensor:
        return new_empty(tensor, *shape).fill_(float("nan"))

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    for kv_bytes in (1, 1 << 19, 1 << 21, 1 << 30):
        assert tokens_of(decode(model, prompts, kv_bytes)) == expected


def test_key_value_memory_keeps_to_its_budget(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    new_empty = torch.Tensor.new_empty

    def counted(tensor: torch.Tensor, *shape: int) -> torch.Tensor:
        fresh = new_empty(tensor, *shape)
        held.append(fresh.nbytes)
        return fresh

    monkeypatch.setattr(torch.Tensor, "new_empty", counted)
    prompts = [Prompt(str(n), tuple(range(4, 20 + n % 3)), 3 if n else 400) for n in range(60)]
    decode(model, prompts, kv_bytes=1 << 21)
    layers_and_sides = 2 * model.config.num_hidden_layers
    assert max(held) * layers_and_sides <= 1 << 21


def test_keys_and_values_of_what_is_being_read_are_within_the_budget(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: weakref.WeakSet[SlotPool] = weakref.WeakSet()
    held: list[int] = []
    make, prefill = SlotPool.__init__, Prefiller.prefill

    def made(pool: SlotPool, *arguments: Any) -> None:
        make(pool, *arguments)
        pools.add(pool)

    def counted(prefiller: Prefiller, batch: Sequence[Waiting]) -> Prefilled:
        read = batch[0].shared + sum(len(item.prompt.token_ids) for item in batch)
        held.append(read + sum(pool.rows * pool.capacity for pool in pools))
        return prefill(prefiller, batch)

    monkeypatch.setattr(SlotPool, "__init__", made)
    monkeypatch.setattr(Prefiller, "prefill", counted)
    begun = tuple(4 + n % 50 for n in range(200))
    prompts = [Prompt(f"about one text {n}", (*begun, 4 + n, 9), 2 + n % 3) for n in range(12)]
    prompts += [Prompt(str(n), tuple(range(4, 20 + n % 3)), 2) for n in range(60)]
    budget = 2048
    a_column = 2 * model.config.num_hidden_layers * model.config.num_key_value_heads * model.config.head_dim * 4
    decode(model, prompts, kv_bytes=budget * a_column)
    assert max(held) <= budget
    assert max(held) > budget / 2  # it is made use of


def test_memory_of_keys_and_values_goes_with_the_last_answer(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: weakref.WeakSet[SlotPool] = weakref.WeakSet()
    make = SlotPool.__init__

    def made(pool: SlotPool, *arguments: Any) -> None:
        make(pool, *arguments)
        pools.add(pool)

    monkeypatch.setattr(SlotPool, "__init__", made)
    gc.disable()  # whoever asks next measures at once what is free
    try:
        assert decode(model, mixed_prompts())
        assert not pools
    finally:
        gc.enable()


def test_sliding_window_attention_gives_the_answers_of_generate() -> None:
    torch.manual_seed(3)
    model = evaluating(MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=16)))
    for answer in decode(model, mixed_prompts()).values():
        assert list(answer.token_ids) == [token for token in generate(model, answer.prompt) if token != STOP]


def test_margins_are_the_gap_between_the_two_best_logits(model: PreTrainedModel) -> None:
    prompt = mixed_prompts()[0]
    answer = decode(model, [prompt])[prompt.digest]
    ids = torch.tensor([prompt.token_ids + answer.token_ids])
    with torch.inference_mode():
        logits = cast("Any", model)(ids).logits[0, len(prompt.token_ids) - 1 : -1]
    best = logits.topk(2).values
    assert list(answer.margins) == pytest.approx((best[:, 0] - best[:, 1]).tolist(), abs=1e-3)


def test_weights_that_are_not_numbers_give_no_answer_and_say_so() -> None:
    broken = LlamaForCausalLM(LlamaConfig(**SHAPE))
    with torch.no_grad():
        broken.get_parameter("model.layers.1.mlp.up_proj.weight")[0, 0] = float("nan")
    answers = decode(evaluating(broken), mixed_prompts()[:4])
    assert {answer.reason for answer in answers.values()} == {"invalid"}
    assert {answer.token_ids for answer in answers.values()} == {()}


OUT_OF_MEMORY = """
import resource, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.prompts import Prompt

torch.set_num_threads(1)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=512, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096, initializer_range=0.2)).eval()
prompts = [Prompt(str(n), tuple(4 + (n * 7 + k) % 60 for k in range(4)), 3000 if n == 0 else 2) for n in range(64)]
list(Decoder(model, frozenset(range(64)), 1 << 20).run(prompts[:1]))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
notes = []
finished = 0
for step in Decoder(model, frozenset(), 1 << 40, notes.append).run(prompts):
    finished += len(step.finished)
    if finished == 63:  # the 64th answer is long, and proves nothing more
        break
print(finished, len(notes), notes[0] if notes else "")
"""


def test_running_out_of_memory_halves_the_batch_and_goes_on() -> None:
    # 64 rows of 3,800 columns need about 2 GB of keys and values; 400 MB are there.
    result = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, "400"], capture_output=True, text=True, timeout=1200, check=False
    )
    assert result.returncode == 0, result.stderr
    finished, notes, first = result.stdout.split(maxsplit=2)
    assert finished == "63"
    assert int(notes) >= 2
    assert first.startswith("memory ran out with 64 prompts at a time; going on with 32")


class Memory:
    """Memory for so many positions: of each row of a pool as far as it was written, and of prompts that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, positions: int) -> None:
        self.positions = positions
        self.rows: list[int] = []
        self._pools: weakref.WeakSet[Any] = weakref.WeakSet()
        make, add, make_room = SlotPool.__init__, Prefiller.prefill, SlotPool.make_room

        def made(pool: SlotPool, *arguments: Any) -> None:
            make(pool, *arguments)
            self._pools.add(pool)

        def prefill(prefiller: Prefiller, batch: Sequence[Waiting]) -> Prefilled:
            self._take(sum(len(item.prompt.token_ids) for item in batch))
            return add(prefiller, batch)

        def step(pool: SlotPool) -> None:
            self.rows.append(pool.active)
            self._take(pool.active)
            make_room(pool)

        monkeypatch.setattr(SlotPool, "__init__", made)
        monkeypatch.setattr(SlotPool, "make_room", step)
        monkeypatch.setattr(Prefiller, "prefill", prefill)

    def _take(self, more: int) -> None:
        taken = sum(pool.rows * pool.cursor for pool in self._pools)
        if taken + more > self.positions:
            raise MemoryError


def finished(steps: Iterator[Any]) -> dict[str, Decoded]:
    return {each.prompt.digest: each for step in steps for each in step.finished}


@pytest.mark.parametrize("positions", [320, 299], ids=["while it is answered", "while it is read"])
def test_a_prompt_that_does_not_fit_in_memory_has_no_answer_and_all_others_have(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, positions: int
) -> None:
    prompts = [each for each in mixed_prompts() if not each.digest.startswith("sharing")]
    expected = tokens_of(decode(model, prompts))
    memory = Memory(monkeypatch, positions)
    found = finished(Decoder(model, frozenset({STOP}), 1 << 30).run(prompts))
    (longest,) = (each for each in prompts if each.digest == "longest")
    problem = (
        "memory ran out on this prompt of 300 tokens alone: free memory, shorten it, or use another --quant-device"
    )
    assert found.pop("longest") == Decoded(longest, (), (), "unknown", problem=problem)
    del expected["longest"]
    assert tokens_of(found) == expected
    assert all(each.problem is None for each in found.values())
    assert max(memory.rows) > 1  # nothing else was answered one by one for its sake


def test_a_prompt_that_fits_when_it_is_alone_is_answered(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One at a time, the second is read beside the memory that the first was answered in.
    prompts = [Prompt(str(length), tuple(4 + (length + n) % 80 for n in range(length)), 5) for length in (200, 190)]
    expected = tokens_of(decode(model, prompts))
    Memory(monkeypatch, 250)
    found = finished(Decoder(model, frozenset({STOP}), 1 << 30, schedule=Schedule(max_rows=1)).run(prompts))
    assert tokens_of(found) == expected


def test_what_did_not_fit_in_memory_is_asked_again_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    asked = [Request((Message("user", " ".join(WORDS[:words])),), 4) for words in (3, 30)]
    with CompletionCache(tmp_path / "answers.sqlite3") as cache:
        with monkeypatch.context() as tight:
            Memory(tight, 20)
            first = run.answer(variant, asked, cache, SilentProgress())
        again = run.answer(variant, asked, cache, SilentProgress())
    short, long = (first.completions[each.digest] for each in asked)
    assert (short.problem, long.finish_reason, long.text) == (None, "unknown", "")
    assert str(long.problem).startswith("memory ran out on this prompt of ")
    assert (again.cached, again.generated) == (1, 1)
    assert again.completions[asked[1].digest].problem is None
