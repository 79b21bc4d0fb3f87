"""Teacher forcing: given texts, read behind prompts that were just read. Imports torch: import to run a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

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
    are read behind the keys and values of their prompts, several in one pass. Texts with a problem are left out.

    Args:
        model: The model that read the prompts.
        batch: The prompts.
        prefilled: What reading them gave.
        tokens: Most positions of one pass, prompts and padding included; a longer one is made alone.
        store: How keys and values are stored.

    Yields:
        Number of the prompt in the batch, the text, and ``(tokens, vocabulary)`` logits in float32.
    """
    long = []
    for row, item in enumerate(batch):
        for asked in item.prompt.asked:
            if len(asked.token_ids) > 1:
                long.append((row, asked))
            elif asked.token_ids:
                yield row, asked, prefilled.logits[row][None].float()
    for part in _passes(long, prefilled, tokens):
        for (row, asked), further in zip(part, _read(model, batch, prefilled, part, store), strict=True):
            yield row, asked, torch.cat((prefilled.logits[row][None], further)).float()


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
    store: Store,
) -> Iterator[torch.Tensor]:
    """The logits after each token of each text but its last: ``(tokens - 1, vocabulary)``."""
    device = model.device
    layers, _ = prefilled.row(part[0][0])
    rows = torch.tensor([prefilled.row(row)[1] for row, _ in part], device=device)
    cache = cache_of(store, ((keys.index_select(0, rows), values.index_select(0, rows)) for keys, values in layers))
    longest = max(len(asked.token_ids) for _, asked in part) - 1
    # Padded on the right: what follows a text's last token is seen by nothing that is looked at.
    ids = torch.zeros(len(part), longest, dtype=torch.long)
    for index, (_, asked) in enumerate(part):
        ids[index, : len(asked.token_ids) - 1] = torch.tensor(asked.token_ids[:-1])
    width = layers[0][0].shape[-2]
    lengths = torch.tensor([[len(batch[row].prompt.token_ids)] for row, _ in part])
    mask = torch.arange(width + longest) >= width - lengths
    output = model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=(lengths + torch.arange(longest)).to(device),
        past_key_values=cache,
        use_cache=True,
    )
    for index, (_, asked) in enumerate(part):
        yield output.logits[index, : len(asked.token_ids) - 1]
