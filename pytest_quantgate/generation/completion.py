"""What is asked of a variant and what it answered; frozen values, no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from pytest_quantgate.cases.model import Case, Message, digest_of
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.checks.recall import asked_of
from pytest_quantgate.generation.expected import Fidelity

FinishReason = Literal["stop", "length", "decided", "context", "invalid", "unknown"]

DECIDED_VERSION: Final = 1
"""Of when an answer counts as decided."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to answer by greedy decoding.

    Attributes:
        messages: The chat to answer.
        max_new_tokens: Most tokens to make.
        answer_prefix: Text that the answer is made to begin with.
        recall: Texts whose probability as the answer's next tokens is asked for.
        until: Canonical texts of checks; the answer may end as soon as each of them is decided. Empty for a whole one.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int
    answer_prefix: str = ""
    recall: tuple[str, ...] = ()
    until: tuple[str, ...] = ()

    @classmethod
    def of(cls, case: Case) -> Request:
        """The request that a case makes; of a case with later turns, its first turn."""
        until = tuple(spec.canonical() for spec in case.checks) if case.stops_early else ()
        return cls(case.messages, case.max_new_tokens, case.answer_prefix, asked_of(case.checks), until)

    @property
    def whole(self) -> Request:
        """The same request for an answer that nothing stops."""
        return replace(self, until=()) if self.until else self

    @property
    def paragraphs(self) -> str:
        """The prompt for a model without a chat template: contents and the answer's beginning, with blank lines."""
        return "\n\n".join(filter(None, [*(message.content for message in self.messages), self.answer_prefix]))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the answer depends on, apart from the variant."""
        chat = [[message.role, message.content] for message in self.messages]
        parts: list[object] = [chat, self.max_new_tokens]
        # Only where they say something: the digests of all other requests stay what they were, and their answers kept.
        if self.answer_prefix or self.recall:
            parts.append({"answer_prefix": self.answer_prefix, "recall": self.recall})
        if self.until:
            parts.append({"until": self.until, "version": DECIDED_VERSION})
        return digest_of(parts)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a variant answered.

    Attributes:
        text: The answer, special tokens removed; without the answer prefix.
        token_ids: The generated tokens, the stop token not among them; empty for an answer made elsewhere.
        finish_reason: ``stop`` (the model ended), ``length`` (cut at the limit), ``decided`` (stopped when every check
            was decided), ``context`` (the prompt does not fit: no answer), ``invalid`` (the logits were not numbers:
            no answer), ``unknown`` (made elsewhere, and nobody says; with a problem: a server gave no answer, or memory
            ran out).
        prompt_tokens: Length of the prompt in tokens, the answer prefix included.
        margins: For each generated token, the logit of the chosen token less that of the
            runner-up, which is their difference in log-probability; not finite where no other token was possible, which
            is null in JSON.
        problem: Why there is no answer; None when there is one.
        recall: What was measured of each text that the request's ``recall`` names; empty when it names none.
        counted: Number of generated tokens, as whoever recorded or served the answer counted them; None for answers
            made here.
        fidelity: How near the variant's next-token distributions are to the reference's along the reference's answer to
            the same case; None where that was not measured. It is not stored with the answer.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    margins: tuple[float, ...] = ()
    problem: str | None = None
    recall: tuple[Recall, ...] = ()
    counted: int | None = None
    fidelity: Fidelity | None = None

    @property
    def lasting(self) -> bool:
        """Whether the variant would say the same the next time.

        Not where a server or memory kept it from answering, nor where logits were not numbers, which a fault of the
        device may do; a prompt that is too long, or cannot be rendered, stays so.
        """
        rendered = self.prompt_tokens > 0
        return (
            self.problem is None
            or self.finish_reason == "context"
            or (self.finish_reason == "invalid" and not rendered)
        )

    @property
    def has_tokens(self) -> bool:
        """Whether its tokens are known: an answer that was recorded elsewhere may be text alone."""
        return bool(self.token_ids) or not self.text

    @property
    def length(self) -> int | None:
        """Number of generated tokens; None for a recorded answer whose tokens nobody counted."""
        if self.counted is not None:
            return self.counted
        return len(self.token_ids) if self.has_tokens else None
