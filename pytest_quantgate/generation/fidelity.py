"""How near a candidate's next-token distributions are to the reference's, along the reference's answers.

The reference's distribution in the place of each token of its own answer is kept as its most probable tokens and the
rest as one (``Expected``). A candidate is measured against it in one pass, without an answer of its own.
Imports torch: import it only to run a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pytest_quantgate.generation.expected import TOP, Expected, Fidelity
from pytest_quantgate.generation.forced import forced
from pytest_quantgate.generation.kv_quant import store_of
from pytest_quantgate.generation.prefill import Prefiller, next_batch, queue_of
from pytest_quantgate.generation.prompts import Asked, Prompt, tokenize
from pytest_quantgate.generation.run import context_length

if TYPE_CHECKING:
    from pytest_quantgate.generation.completion import Request
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.variant import LoadedModel

_ROWS = 64
_TOKENS = 2048
_LEAST = -80.0  # log-probability below which a share of what is left is not told from none in float32


@dataclass(frozen=True, slots=True)
class Known:
    """A request with the reference's answer to it.

    Attributes:
        request: What was asked.
        token_ids: The answer's tokens; at least one.
    """

    request: Request
    token_ids: tuple[int, ...]


def along(loaded: LoadedModel, known: Sequence[Known], progress: Progress) -> Iterator[tuple[str, torch.Tensor]]:
    """Read the reference's answers behind their prompts, as many together as fit.

    Args:
        loaded: Who reads.
        known: The reference's answers.
        progress: Told how far it has come.

    Yields:
        Digest of a request, and the logits that predict the tokens of its answer, ``(tokens, vocabulary)`` in float32;
        nothing for a prompt that cannot be rendered.
    """
    config = loaded.model.config.get_text_config(decoder=True)
    answers = {each.request.digest: each.token_ids for each in known}
    prompts, refused = tokenize(loaded.tokenizer, (each.request for each in known), context_length(config))
    progress.advance(len(refused), 0)
    store = store_of(loaded.variant.spec.kv)
    waiting = queue_of([_with(prompt, answers[prompt.digest]) for prompt in prompts], loaded.variant.schedule)
    prefiller = Prefiller(loaded.model, loaded.variant.schedule, store)
    with torch.inference_mode():
        while waiting:
            batch = next_batch(waiting, _ROWS, _TOKENS)
            prefilled = prefiller.prefill(batch)
            for row, _, logits in forced(loaded.model, batch, prefilled, _TOKENS, store):
                yield batch[row].prompt.digest, logits
            if not waiting or waiting[0].group != batch[0].group:
                prefiller.forget()
            progress.advance(len(batch), sum(len(item.prompt.asked[0].token_ids) for item in batch))


def _with(prompt: Prompt, token_ids: tuple[int, ...]) -> Prompt:
    return replace(prompt, asked=(Asked("", token_ids),))


def expected_of(logits: torch.Tensor) -> Expected | None:
    """What the reference expects in the place of each token of its answer.

    Args:
        logits: The reference's, as ``along`` gives them.

    Returns:
        None where they are not finite numbers.
    """
    if not bool(torch.isfinite(logits).all()):
        return None
    best = logits.topk(min(TOP, logits.shape[-1]))
    values = best.values - logits.logsumexp(dim=-1, keepdim=True)
    return Expected.of(best.indices.tolist(), values.tolist())


def fidelity_of(wanted: Expected, logits: torch.Tensor) -> Fidelity | None:
    """How near a candidate is to what the reference expects.

    Args:
        wanted: What it expects along one answer.
        logits: The candidate's along the same answer.

    Returns:
        None where the logits are not finite numbers, or do not belong to that answer.
    """
    if len(wanted.token_ids) != len(logits) or not bool(torch.isfinite(logits).all()):
        return None
    ids = torch.tensor(wanted.token_ids, device=logits.device)
    p = torch.tensor(wanted.log_probabilities, device=logits.device)
    q = logits.gather(1, ids) - logits.logsumexp(dim=-1, keepdim=True)
    p, q = _with_rest(p), _with_rest(q)
    divergence = (p.exp() * (p - q)).sum(dim=-1).clamp_min(0)
    agreeing = int((logits.argmax(dim=-1) == ids[:, 0]).sum())
    return Fidelity(len(ids), agreeing, round(float(divergence.mean()), 6))


def _with_rest(log_probabilities: torch.Tensor) -> torch.Tensor:
    """``(tokens, n)`` and, as one more column, all that they leave."""
    exact = log_probabilities.double()
    rest = torch.log1p(-exact.exp().sum(dim=-1, keepdim=True).clamp(max=1 - 1e-12)).clamp_min(_LEAST)
    return torch.cat((exact, rest), dim=-1)
