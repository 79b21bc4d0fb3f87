"""A finished answer as an engine has it, and as it is kept; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.generation.prompts import Prompt
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Decoded:
    """One finished answer.

    Attributes:
        prompt: What was answered.
        token_ids: The answer, without its stop token.
        margins: Logit of each chosen token less the runner-up's.
        reason: ``stop``, ``length``, ``decided``; ``invalid`` when the logits were not numbers, ``unknown`` with a
            problem.
        recall: What was measured of each text that the prompt asks for.
        problem: Why there is no answer this time; None when there is one, or its logits say why not.
    """

    prompt: Prompt
    token_ids: tuple[int, ...]
    margins: tuple[float, ...]
    reason: FinishReason
    recall: tuple[Recall, ...] = ()
    problem: str | None = None

    def completion(self, tokenizer: PreTrainedTokenizerBase) -> Completion:
        """The answer with its text.

        Args:
            tokenizer: The model's.
        """
        invalid = f"the logits after {counted(len(self.token_ids), 'token')} were not finite numbers"
        return Completion(
            text=text_of(tokenizer, self.token_ids),
            token_ids=self.token_ids,
            finish_reason=self.reason,
            prompt_tokens=len(self.prompt.token_ids),
            margins=self.margins,
            problem=invalid if self.reason == "invalid" else self.problem,
            recall=self.recall,
        )


def text_of(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> str:
    """The text of an answer's tokens, special ones removed."""
    return str(tokenizer.decode(list(token_ids), skip_special_tokens=True))
