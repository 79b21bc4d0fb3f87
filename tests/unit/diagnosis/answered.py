"""Cases and recorded answers to choose points from, and two tokenizers that are made in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.generation.completion import Completion, FinishReason, Request
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.outcomes.model import Comparison, Outcome

CONTEXT = 200
END = 1
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


@cache
def byte_tokenizer() -> Any:
    """A token for each byte of a text, and a chat template."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({each: place for place, each in enumerate((*_SPECIAL, *letters))}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast  # its constructor carries no types
    return fast(
        tokenizer_object=core,
        pad_token="<|pad|>",  # noqa: S106
        eos_token="<|end|>",  # noqa: S106
        additional_special_tokens=list(_SPECIAL[2:]),
        chat_template=TEMPLATE,
    )


def asked(case_id: str, prompt: str = "Say it.", **more: Any) -> Case:
    """A case with one check, unless others are given."""
    checks = more.pop("checks", (CheckSpec("json"),))
    return Case(case_id, (Message("user", prompt),), checks, 8, **more)


def prompt_of(case: Case, tokenizer: Any = None) -> tuple[int, ...]:
    """The prompt of a case as tokens."""
    (prompt,), _ = tokenize(tokenizer or byte_tokenizer(), [Request.of(case)], 10_000)
    return prompt.token_ids


def answered(
    case: Case,
    tokens: Sequence[int],
    *,
    passed: bool = True,
    margins: Sequence[float] = (),
    ended: FinishReason = "stop",
    recall: Sequence[Recall] = (),
) -> Outcome:
    """What a variant of the byte tokenizer answered, every check said the same of it."""
    text = " ".join(map(str, tokens))
    prompt = len(prompt_of(case))
    completion = Completion(text, tuple(tokens), ended, prompt, tuple(margins), recall=tuple(recall))
    return Outcome(completion, tuple(CheckResult(spec.name, passed, "") for spec in case.checks), passed)


def degraded(case: Case, before: Sequence[int], after: Sequence[int], **more: Any) -> Comparison:
    """A case that broke; keywords are the reference's."""
    return Comparison(case, answered(case, before, **more), answered(case, after, passed=False))


def preserved(case: Case, before: Sequence[int], after: Sequence[int], **more: Any) -> Comparison:
    """A case that both pass; keywords are the reference's."""
    return Comparison(case, answered(case, before, **more), answered(case, after))
