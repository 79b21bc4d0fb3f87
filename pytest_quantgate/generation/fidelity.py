"""How near a candidate's next-token distributions are to the reference's, along the reference's answers.

The reference's distribution in the place of each token of its own answer is kept as its most probable tokens and the
rest as one (``Expected``). A candidate is measured against it in one pass, without an answer of its own. Answers are
read in batches and long ones in stretches, so that logits of few tokens are held at a time.
Imports torch: import it only to run a model.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import torch

from pytest_quantgate.generation.expected import TOP, Expected, Fidelity
from pytest_quantgate.generation.forced import LOGITS_SHARE, forced
from pytest_quantgate.generation.kv_quant import Store, store_of
from pytest_quantgate.generation.prefill import Prefiller, Waiting, next_batch, queue_of
from pytest_quantgate.generation.prompts import Asked, Prompt, tokenize
from pytest_quantgate.generation.run import context_length, refuse_unknown_tokens
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.memory import is_out_of_memory, release_memory
from pytest_quantgate.variants.variant import LoadedModel, check_day

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantgate.generation.completion import Request
    from pytest_quantgate.generation.progress import Progress

_ROWS: Final = 64
_TOKENS: Final = 256  # whose logits are held at a time
_LEAST: Final = -80.0  # log-probability of all other tokens together, at least: there may be none

UNREADABLE: Final = "the prompt cannot be read"
TOO_LONG: Final = "prompt and answer do not fit the model's context"
TOO_LARGE: Final = "memory ran out on a single token"
NOT_FINITE: Final = "the logits are not finite numbers"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known:
    """A request with the reference's answer to it.

    Attributes:
        request: What was asked.
        token_ids: The answer's tokens; at least one.
    """

    request: Request
    token_ids: tuple[int, ...]


class Meter(Protocol[T_co]):
    """Measures along one answer while it is read."""

    def take(self, logits: torch.Tensor) -> None:
        """Look at what predicts the next tokens of the answer, ``(tokens, vocabulary)`` in float32."""

    def found(self) -> T_co | str:
        """What was measured once the whole answer was read, or why nothing was."""


def along(
    loaded: LoadedModel,
    known: Sequence[Known],
    meters: Callable[[Sequence[str]], Mapping[str, Meter[T]]],
    progress: Progress,
) -> Iterator[tuple[str, T | str]]:
    """Read the reference's answers behind their prompts, as many together as fit.

    When memory runs out, half as much is read at once, and the run goes on; an answer that cannot even be read token by
    token is left out.

    Args:
        loaded: Who reads.
        known: The reference's answers.
        meters: Gives what measures along the answers of a batch, by the digest of the request, and leaves out those of
            which nothing is known; asked once more for a batch that did not fit.
        progress: Told how far it has come.

    Yields:
        Digest of a request, and what was measured along its answer, or why nothing was.

    Raises:
        ModelError: Prompts or answers have tokens that the model does not know, or as for ``check_day``.
    """
    model, schedule = loaded.model, loaded.variant.schedule
    config = model.config.get_text_config(decoder=True)
    answers = {each.request.digest: each.token_ids for each in known}
    room = context_length(config)
    prompts, refused = tokenize(loaded.tokenizer, (each.request for each in known), room)
    check_day(loaded.variant)
    left_out = dict.fromkeys(refused, UNREADABLE)
    # an answer's last token is predicted and not read; another model than the reference may have less room
    left_out |= {each.digest: TOO_LONG for each in prompts if len(each.token_ids + answers[each.digest]) - 1 > room}
    prompts = [_with(prompt, answers[prompt.digest]) for prompt in prompts if prompt.digest not in left_out]
    embedding: Any = model.get_input_embeddings()
    refuse_unknown_tokens(embedding.weight.shape[0], prompts, loaded.variant.model.name)
    yield from left_out.items()
    progress.advance(len(left_out), 0)
    store = store_of(loaded.variant.spec.kv)
    waiting = queue_of(prompts, schedule)
    prefiller = Prefiller(model, schedule, store)
    tokens = _TOKENS
    while waiting:
        batch = next_batch(waiting, min(_ROWS, tokens), int(tokens / LOGITS_SHARE))
        found: dict[str, T | str]
        try:
            found = _read(model, batch, prefiller, tokens, store=store, meters=meters)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            error.__traceback__ = None  # it holds the tensors that did not fit
            prefiller.forget()
            release_memory()
            if tokens > 1:
                waiting.extendleft(reversed(batch))
                tokens //= 2
                some = counted(tokens, "token")
                progress.note(f"memory ran out along the reference's answers; going on with {some} at a time")
                continue
            found = {item.prompt.digest: TOO_LARGE for item in batch}
        if not waiting or waiting[0].group != batch[0].group:
            prefiller.forget()
        yield from found.items()
        progress.advance(len(batch), sum(len(item.prompt.asked[0].token_ids) for item in batch))


@torch.inference_mode()
def _read(
    model: PreTrainedModel,
    batch: Sequence[Waiting],
    prefiller: Prefiller,
    tokens: int,
    *,
    store: Store,
    meters: Callable[[Sequence[str]], Mapping[str, Meter[T]]],
) -> dict[str, T | str]:
    """What is measured along the answers of one batch, ``tokens`` of which may have logits at a time."""
    by_digest = meters([item.prompt.digest for item in batch])
    prefilled = prefiller.prefill(batch)
    for row, _, logits in forced(model, batch, prefilled, int(tokens / LOGITS_SHARE), store):
        meter = by_digest.get(batch[row].prompt.digest)
        if meter is not None:
            meter.take(logits)
        del logits  # as in forced
    return {digest: meter.found() for digest, meter in by_digest.items()}


def _with(prompt: Prompt, token_ids: tuple[int, ...]) -> Prompt:
    return replace(prompt, asked=(Asked("", token_ids),))


class Expecting:
    """Collects what the reference expects in the place of each token of its answer."""

    def __init__(self) -> None:
        self._width = TOP
        self._token_ids = array("i")
        self._log_probabilities = array("f")
        self._finite = True

    def take(self, logits: torch.Tensor) -> None:
        """Take the most probable tokens; see ``Meter``."""
        self._finite = self._finite and bool(torch.isfinite(logits).all())
        if self._finite:
            self._width = min(TOP, logits.shape[-1])
            ids = logits.topk(self._width).indices
            self._token_ids.extend(ids.flatten().tolist())
            self._log_probabilities.extend(_with_rest(logits, ids).flatten().tolist())

    def found(self) -> Expected | str:
        """What it expects, unless its logits are not finite numbers."""
        return Expected(self._width, self._token_ids, self._log_probabilities) if self._finite else NOT_FINITE


class Comparing:
    """Compares a candidate with what the reference expects along one answer.

    Args:
        expected: What it expects.
    """

    def __init__(self, expected: Expected) -> None:
        self._ids = torch.frombuffer(expected.token_ids, dtype=torch.int32).view(-1, expected.width)
        self._values = torch.frombuffer(expected.log_probabilities, dtype=torch.float32).view(-1, expected.width + 1)
        self._agreeing = 0
        self._divergences: list[float] = []
        self._problem: str | None = None

    def take(self, logits: torch.Tensor) -> None:
        """Compare the next tokens; see ``Meter``."""
        if self._problem is not None:
            return
        begin = len(self._divergences)
        part = slice(begin, begin + len(logits))
        ids, p = self._ids[part], self._values[part].to(logits.device)
        if int(ids.max()) >= logits.shape[-1]:
            self._problem = f"the reference expects token {int(ids.max())} and the model knows {logits.shape[-1]}"
        elif not bool(torch.isfinite(logits).all()):
            self._problem = NOT_FINITE
        else:
            ids = ids.long().to(logits.device)
            p, q = p.double(), _with_rest(logits, ids).double()
            self._divergences += (p.exp() * (p - q)).sum(dim=-1).clamp_min(0).tolist()
            self._agreeing += int((logits.argmax(dim=-1) == ids[:, 0]).sum())

    def found(self) -> Fidelity | str:
        """How near the candidate is, unless its logits are not finite numbers or of too few tokens."""
        if self._problem is not None:
            return self._problem
        tokens = len(self._divergences)
        return Fidelity(tokens, self._agreeing, round(fsum(self._divergences) / tokens, 6))


def _with_rest(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of ``(tokens, n)`` ids and, as one more column, of all other tokens together.

    These are added up themselves: what the others leave of 1 is mostly rounding where it is small.
    """
    rest = logits.scatter(1, ids, float("-inf")).logsumexp(dim=-1, keepdim=True)
    whole = logits.logsumexp(dim=-1, keepdim=True)
    return torch.cat((logits.gather(1, ids) - whole, (rest - whole).clamp_min(_LEAST)), dim=-1)
