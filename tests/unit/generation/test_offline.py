"""What vLLM is asked and what is made of its answers, with a stand-in for it; tests/with_vllm run the true one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import AuditError
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.offline import Offline
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.variants import variant as variants
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant
from tests.stored_checkpoints import MAKERS
from tests.tiny_model import CONTEXT, WORDS, build_tiny_model

ROOM = 40
STOP = 2
TOKEN = 9


class Engine:
    """Answers everything with one token, as vLLM would tell it."""

    def __init__(self) -> None:
        self.vllm_config = SimpleNamespace(model_config=SimpleNamespace(max_model_len=ROOM))
        self.engine_core = SimpleNamespace(shutdown=lambda: None)
        self.lengths: list[int] = []
        self.rival = -2.0
        self._asked: list[str] = []

    def add_request(self, name: str, prompt: Mapping[str, Any], _sampling: object) -> None:
        self._asked.append(name)
        self.lengths.append(len(prompt["prompt_token_ids"]))

    def has_unfinished_requests(self) -> bool:
        return bool(self._asked)

    def step(self) -> list[Any]:
        rival = SimpleNamespace(logprob=self.rival)
        at = [{token: SimpleNamespace(logprob=-1.0), 5: rival} for token in (TOKEN, STOP)]
        said = SimpleNamespace(token_ids=[TOKEN, STOP], logprobs=at, finish_reason="stop")
        return [SimpleNamespace(request_id=self._asked.pop(), outputs=[said])]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()

    def anything(**given: Any) -> dict[str, Any]:
        return given

    parts: dict[str, dict[str, Any]] = {
        "vllm": {
            "EngineArgs": anything,
            "LLMEngine": SimpleNamespace(from_engine_args=lambda *_, **__: made),
            "SamplingParams": anything,
            "TokensPrompt": anything,
        },
        "vllm.usage": {},
        "vllm.usage.usage_lib": {"UsageContext": SimpleNamespace(LLM_CLASS=None)},
        "vllm.sampling_params": {"RequestOutputKind": SimpleNamespace(FINAL_ONLY=None)},
    }
    for name, members in parts.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(variants, "find_spec", lambda name: found if name == "vllm" else importlib.util.find_spec(name))
    return made


@pytest.mark.parametrize(
    ("rival", "reason", "margins"), [(-2.0, "stop", (1.0,)), (-inf, "stop", (inf,)), (nan, "invalid", ())]
)
def test_only_logits_that_are_no_numbers_break_an_answer_off(
    rival: float, reason: str, margins: tuple[float, ...], engine: Engine, tmp_path: Path
) -> None:
    engine.rival = rival
    request = Request((Message("user", WORDS[0]),), 4)
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    offline = Offline(prepare_variant("fp32", source, device="cpu", kernels="vllm"), print)
    assert offline.audit is None
    kept: dict[str, Completion] = {}
    offline.generate([request], kept.update, SilentProgress())
    offline.close()
    assert (kept[request.digest].finish_reason, kept[request.digest].margins) == (reason, margins)


def test_what_it_has_no_memory_for_has_no_answer_and_all_others_have(engine: Engine, tmp_path: Path) -> None:
    def ask(words: int, *recall: str) -> Request:
        return Request((Message("user", " ".join(WORDS[:words])),), 4, recall=recall)

    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    offline = Offline(prepare_variant("fp32", source, device="cpu", kernels="vllm"), print)
    short, long, too_long = ask(3), ask(ROOM), ask(2 * CONTEXT)
    read = ask(20, " ".join(WORDS[:ROOM]))  # with the text behind it, it is too long
    kept: dict[str, Completion] = {}
    offline.generate([short, long, too_long, read], kept.update, SilentProgress())
    offline.close()
    assert (kept[short.digest].text, kept[short.digest].problem) == (WORDS[TOKEN - 6], None)
    assert engine.lengths == [kept[short.digest].prompt_tokens]
    for each in (long, read):
        assert (kept[each.digest].finish_reason, kept[each.digest].lasting) == ("unknown", False)
        assert f"vLLM has memory for {ROOM}: spread the model" in str(kept[each.digest].problem)
    assert (kept[too_long.digest].finish_reason, kept[too_long.digest].lasting) == ("context", True)


@pytest.mark.usefixtures("engine")
def test_a_quantized_checkpoint_is_audited_by_its_files_before_vllm_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = build_tiny_model(tmp_path / "tiny")
    MAKERS["gptq"](plain, tmp_path / "packed")
    variant = prepare_variant("stored", resolve_model(str(tmp_path / "packed")), device="cpu", kernels="vllm")
    offline = Offline(variant, print)
    offline.close()
    assert offline.audit is not None
    assert (offline.audit.modules_replaced, offline.audit.modules_total) == (14, 15)
    assert offline.audit.bits_per_weight == pytest.approx(variant.description.stored_bits)
    monkeypatch.delattr(sys.modules["vllm"], "LLMEngine")  # asked for, it would be another error
    with pytest.raises(AuditError, match="variant 'stored': the weights take too many bits, 4 or more: 14 of 15"):
        Offline(replace(variant, description=replace(variant.description, max_bits=4)), print)
