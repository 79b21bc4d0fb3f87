"""Teacher forcing: given texts, read behind prompts that were just read. Imports torch: import to run a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.kv_quant import Store, as_they_are, cache_of
from pytest_quantgate.generation.prefill import Prefilled, Waiting
from pytest_quantgate.generation.prompts import Asked

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LOGITS_SHARE = 1 / 8  # of a pass's positions that may give logits: one takes as much memory as dozens of prompt tokens


def forced(
    model: PreTrainedModel, batch: Sequence[Waiting], prefilled: Prefilled, tokens: int, store: Store = as_they_are
) -> Iterator[tuple[int, Asked, torch.Tensor]]:
    """The logits that predict each token of every text that the prompts of one prefill ask for.

    The first token of a text costs nothing: its logits are those that the prompt ended with. Texts of several tokens
    are read behind the keys and values of their prompts, several in one pass; a text whose logits would take more than
    their share of it in stretches, one after another. Texts with a problem are left out.

    Args:
        model: The model that read the prompts.
        batch: The prompts.
        prefilled: What reading them gave.
        tokens: Most positions of one pass, prompts and padding included; a longer text is read alone.
        store: How keys and values are stored.

    Yields:
        Number of the prompt in the batch, the text, and ``(tokens, vocabulary)`` logits in float32; of a text that is
        read in stretches one after another.
    """
    long = []
    for row, item in enumerate(batch):
        for asked in item.prompt.asked:
            if len(asked.token_ids) > 1:
                long.append((row, asked))
            elif asked.token_ids:
                yield row, asked, prefilled.logits[row][None].float()
    for part in _passes(long, prefilled, tokens):
        stretch = max(1, int(tokens * LOGITS_SHARE) // len(part))
        yield from _read(model, batch, prefilled, part, stretch=stretch, store=store)


def _passes(
    texts: Sequence[tuple[int, Asked]], prefilled: Prefilled, tokens: int
) -> Iterator[Sequence[tuple[int, Asked]]]:
    """Texts that are read together: behind one batch of keys and values, and no more than fit."""
    part: list[tuple[int, Asked]] = []
    longest = 0
    for row, asked in texts:
        length = len(asked.token_ids)
        layers, _ = prefilled.row(row)
        width = layers[0][0].shape[-2] + max(longest, length)
        another = part and prefilled.row(part[0][0])[0] is not layers
        logits = (len(part) + 1) * max(longest, length)
        if part and (another or (len(part) + 1) * width > tokens or logits > tokens * LOGITS_SHARE):
            yield part
            part, longest = [], 0
        part.append((row, asked))
        longest = max(longest, length)
    if part:
        yield part


def _read(
    model: PreTrainedModel,
    batch: Sequence[Waiting],
    prefilled: Prefilled,
    part: Sequence[tuple[int, Asked]],
    *,
    stretch: int,
    store: Store,
) -> Iterator[tuple[int, Asked, torch.Tensor]]:
    """The logits of each text, those that its prompt ended with the first, after at most ``stretch`` tokens at once."""
    layers, _ = prefilled.row(part[0][0])
    rows = torch.tensor([prefilled.row(row)[1] for row, _ in part], device=model.device)
    cache = cache_of(store, ((keys.index_select(0, rows), values.index_select(0, rows)) for keys, values in layers))
    counts = torch.tensor([[len(asked.token_ids) - 1] for _, asked in part])
    longest = int(counts.max())
    # Padded on the right: what follows a text's last token is seen by nothing that is looked at.
    ids = torch.zeros(len(part), longest, dtype=torch.long)
    for index, (_, asked) in enumerate(part):
        ids[index, : len(asked.token_ids) - 1] = torch.tensor(asked.token_ids[:-1])
    width = layers[0][0].shape[-2]
    lengths = torch.tensor([[len(batch[row].prompt.token_ids)] for row, _ in part])
    mask = torch.arange(width + longest) >= width - lengths
    # None beyond a text's own: padding must not take a batch beyond the context.
    positions = lengths + torch.arange(longest).minimum(counts - 1)
    for begin in range(0, longest, stretch):
        end = min(begin + stretch, longest)
        found = logits_of(
            model,
            input_ids=ids[:, begin:end],
            attention_mask=mask[:, : width + end],
            position_ids=positions[:, begin:end],
            past_key_values=cache,
            use_cache=True,
        )
        for index, (row, asked) in enumerate(part):
            logits = found[index, : max(0, len(asked.token_ids) - 1 - begin)]
            if begin == 0:
                logits = torch.cat((prefilled.logits[row][None], logits))
            if len(logits):
                yield row, asked, logits.float()
        del found, logits  # else they take their place until the next stretch has its own
