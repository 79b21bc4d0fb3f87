"""From requests to token ids, in the order in which they are best answered."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.variants.memory import is_out_of_memory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPACE_AFTER = frozenset(".,:;!?)]}%")
UNSPACED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))

_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What comes of a template and a prompt that do not go together, and would the next time."""

MIN_SHARED_TOKENS = 64  # below this, a prefill of its own for the common part costs more than it saves


@dataclass(frozen=True, slots=True)
class Asked:
    """A text whose probability behind the prompt is asked for.

    Attributes:
        text: The text as the check names it.
        token_ids: Its tokens; empty when there is a problem.
        problem: Why it cannot be measured; None when it can.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as the model sees it.

    Attributes:
        digest: Digest of the request.
        token_ids: The rendered chat, at least one token.
        max_new_tokens: Limit of the answer, already cut to what the context leaves.
        asked: What is to be measured of the texts that the request's ``recall`` names.
    """

    digest: str
    token_ids: tuple[int, ...]
    max_new_tokens: int
    asked: tuple[Asked, ...] = ()

    @property
    def total(self) -> int:
        """Positions that prompt and answer may take up together."""
        return len(self.token_ids) + self.max_new_tokens


@dataclass(frozen=True, slots=True)
class PromptGroup:
    """Prompts that begin alike, longest first; the common part is prefilled once.

    Attributes:
        prompts: At least one.
        shared: Number of leading tokens they have in common and that are worth a prefill of their own; 0 for none.
            Every prompt is longer than this.
    """

    prompts: tuple[Prompt, ...]
    shared: int


def tokenize(
    tokenizer: PreTrainedTokenizerBase, requests: Iterable[Request], context_length: int
) -> tuple[list[Prompt], dict[str, Completion]]:
    """Render requests with the model's chat template; for a base model, which has none, as plain text.

    Args:
        tokenizer: The model's tokenizer.
        requests: What is asked.
        context_length: Most positions that the model can attend to.

    Returns:
        The prompts that can be answered, and, by request digest, a completion that names the problem for each
        one that cannot: too long for the context, without a token, or refused by the template or the tokenizer. What
        they raise for no fault of the prompt's, such as a library that is missing, does not last.

    Raises:
        MemoryError: As does a ``RuntimeError`` that says the same: it is no fault of a prompt's.
    """
    prompts: list[Prompt] = []
    refused: dict[str, Completion] = {}
    for request in requests:
        try:
            text = _rendered(tokenizer, request)
            token_ids = _ids(tokenizer, text)
            before = request.answer_prefix if tokenizer.chat_template else text
            wholes = [_ids(tokenizer, text + continuation(before, answer)) for answer in request.recall]
        except Exception as error:  # templates are the model's own programs and raise what they like
            if is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())[:200]
            refused[request.digest] = Completion(
                "",
                (),
                "invalid" if isinstance(error, _FAULTS) else "unknown",
                0,
                problem=f"the prompt cannot be rendered: {reason}",
            )
            continue
        if not token_ids:  # of characters that it drops
            problem = "the tokenizer makes no token of the prompt"
            refused[request.digest] = Completion("", (), "invalid", 0, problem=problem)
            continue
        room = context_length - len(token_ids)
        if room < 1:
            problem = f"the prompt of {len(token_ids)} tokens does not fit the model's context of {context_length}"
            refused[request.digest] = Completion("", (), "context", len(token_ids), problem=problem)
            continue
        asked = [
            _asked(answer, whole, token_ids, context_length)
            for answer, whole in zip(request.recall, wholes, strict=True)
        ]
        prompts.append(Prompt(request.digest, token_ids, min(request.max_new_tokens, room), tuple(asked)))
    return prompts, refused


def _asked(answer: str, whole: tuple[int, ...], prompt: tuple[int, ...], context_length: int) -> Asked:
    if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
        return Asked(answer, problem="the tokenizer merges its beginning with the end of the prompt")
    if len(whole) > context_length:
        return Asked(answer, problem=f"with it, the prompt does not fit the model's context of {context_length}")
    return Asked(answer, whole[len(prompt) :])


def _rendered(tokenizer: PreTrainedTokenizerBase, request: Request) -> str:
    """The prompt as text: the chat, or without a template its contents and the answer's beginning in paragraphs."""
    if not tokenizer.chat_template:
        return request.paragraphs
    chat = [{"role": message.role, "content": message.content} for message in request.messages]
    text = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    return text + request.answer_prefix


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """The tokens of a prompt; a template writes special ones itself, plain text begins as the model's texts did."""
    found: list[int] = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    first = tokenizer.bos_token_id
    if not tokenizer.chat_template and first is not None and first in tokenizer("")["input_ids"][:1]:
        return (first, *found)
    return tuple(found)


def continuation(prefix: str, answer: str) -> str:
    """An answer as it would stand behind a prefix: with a space between two words that are written with spaces.

    None is put where the prefix is empty, ends in white space, in an opening bracket or quote, or in anything else
    that is neither a letter, a digit nor a mark after which English puts a space; nor before an answer that begins
    with anything but a letter or digit; nor beside a script that is written without spaces.
    """
    if not prefix:
        return answer
    last, first = prefix[-1], answer[0]
    ends_word = (last.isalnum() and not _is_unspaced(last)) or last in SPACE_AFTER
    return f" {answer}" if ends_word and first.isalnum() and not _is_unspaced(first) else answer


def _is_unspaced(letter: str) -> bool:
    """Whether a script writes words without spaces: wide ones (Chinese, Japanese), and Thai, Lao, Burmese, Khmer.

    Korean is wide and puts spaces between words; particles stick to them, so none is put for it either.
    """
    unspaced = any(begin <= letter <= end for begin, end in UNSPACED)
    return unspaced or unicodedata.east_asian_width(letter) in "WF"


def in_groups(prompts: Sequence[Prompt]) -> list[PromptGroup]:
    """Group prompts by a long common beginning; longest first, the same for any order of the input.

    A prompt joins its neighbour's group when they share at least `MIN_SHARED_TOKENS` and half of the prompt: a
    system message that all have in common must not keep two questions about one long text apart.

    Longest first means that later prompts fit the memory that earlier ones leave, that little is padded, and
    that a machine which is too small says so at the start.
    """
    groups: list[PromptGroup] = []
    members: list[Prompt] = []
    shared = 0

    def close() -> None:
        if members:
            ordered = tuple(sorted(members, key=_longest_first))
            groups.append(PromptGroup(ordered, shared if len(ordered) > 1 else 0))

    for prompt in sorted(prompts, key=lambda prompt: (prompt.token_ids, prompt.digest)):
        if members:
            known = members[0].token_ids[:shared] if len(members) > 1 else members[0].token_ids[:-1]
            common = _common(known, prompt.token_ids[:-1])
            if common >= max(MIN_SHARED_TOKENS, len(prompt.token_ids) // 2):
                members.append(prompt)
                shared = common
                continue
        close()
        members, shared = [prompt], 0
    close()
    return sorted(groups, key=lambda group: _longest_first(group.prompts[0]))


def one_by_one(prompts: Sequence[Prompt]) -> list[PromptGroup]:
    """Each prompt in a group of its own; longest first, the same for any order of the input."""
    return [PromptGroup((prompt,), 0) for prompt in sorted(prompts, key=_longest_first)]


def _longest_first(prompt: Prompt) -> tuple[int, str]:
    return (-len(prompt.token_ids), prompt.digest)


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
