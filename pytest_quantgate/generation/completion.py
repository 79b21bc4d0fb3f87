"""What is asked of a variant and what it answered; frozen values, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_quantgate.cases.model import Case, Message, digest_of

FinishReason = Literal["stop", "length", "context", "invalid"]


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to answer by greedy decoding.

    Attributes:
        messages: The chat to answer.
        max_new_tokens: Most tokens to make.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int

    @classmethod
    def of(cls, case: Case) -> Request:
        """The request that a case makes."""
        return cls(case.messages, case.max_new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the answer depends on, apart from the variant."""
        chat = [[message.role, message.content] for message in self.messages]
        return digest_of([chat, self.max_new_tokens])


@dataclass(frozen=True, slots=True)
class Completion:
    """What a variant answered.

    Attributes:
        text: The answer, special tokens removed.
        token_ids: The generated tokens, the stop token not among them.
        finish_reason: ``stop`` (the model ended), ``length`` (cut at the limit), ``context`` (the prompt
            does not fit: no answer), ``invalid`` (the logits were not numbers: no answer).
        prompt_tokens: Length of the prompt in tokens.
        margins: For each token of ``token_ids``, the logit of the chosen token less that of the
            runner-up, which is their difference in log-probability.
        problem: Why there is no answer; None when there is one.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    margins: tuple[float, ...] = ()
    problem: str | None = None
