"""Reading prompts: with hardly any padding, and a beginning that several have in common only once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.kv_quant import Store, as_they_are, cache_of
from pytest_quantgate.generation.prompts import Prompt, in_groups, one_by_one
from pytest_quantgate.generation.slots import Layer
from pytest_quantgate.variants.schedule import USUAL, Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PADDING = 0.10  # largest share of a prefill that may be padding


@dataclass(frozen=True, slots=True)
class Waiting:
    """A prompt in the queue.

    Attributes:
        prompt: What is to be read.
        group: Number of its group.
        shared: Tokens that its group has in common; 0 for none.
    """

    prompt: Prompt
    group: int
    shared: int


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Prompts that the model has read.

    Attributes:
        layers: ``(keys, values)`` of each layer: one batch of all prompts, or a batch of one for each.
        logits: ``(prompts, vocabulary)`` after the last token of each.
    """

    layers: list[list[Layer]]
    logits: torch.Tensor

    def row(self, index: int) -> tuple[list[Layer], int]:
        """Where a prompt's keys and values are: layers, and the row in them."""
        return (self.layers[index], 0) if len(self.layers) > 1 else (self.layers[0], index)


def queue_of(prompts: Sequence[Prompt], schedule: Schedule) -> deque[Waiting]:
    """The prompts in the order of a schedule, those that share a beginning side by side."""
    groups = in_groups(prompts) if schedule.share_beginnings else one_by_one(prompts)
    waiting = deque(
        Waiting(prompt, number, group.shared) for number, group in enumerate(groups) for prompt in group.prompts
    )
    if schedule.reverse:
        waiting.reverse()
    return waiting


def next_batch(waiting: deque[Waiting], rows: int, tokens: int) -> list[Waiting]:
    """Take from the queue what one prefill should hold: one group, or prompts of nearly the same length.

    Args:
        waiting: The queue; not empty. What is taken leaves it.
        rows: Most prompts; at least 1.
        tokens: Most tokens, padding included; a longer prompt is taken alone.
    """
    head = waiting[0]
    longest = 0
    batch: list[Waiting] = []
    taken = 0
    while waiting and len(batch) < rows:
        item = waiting[0]
        length = len(item.prompt.token_ids)
        longest = max(longest, length)
        taken += length
        padded = longest * (len(batch) + 1)
        alike = item.group == head.group if head.shared else not item.shared and taken >= (1 - PADDING) * padded
        if batch and not (alike and padded <= tokens):
            break
        batch.append(waiting.popleft())
    return batch


class Prefiller:
    """Reads batches of prompts; keeps the common beginning of a group from one batch to the next.

    Args:
        model: A decoder-only model in evaluation mode.
        schedule: How prompts that share nothing are padded, and how much of them one pass reads.
        store: How keys and values are stored.
    """

    def __init__(self, model: PreTrainedModel, schedule: Schedule = USUAL, store: Store = as_they_are) -> None:
        self._model = model
        self._schedule = schedule
        self._store = store
        self._group: int | None = None
        self._shared = cache_of(store)

    def prefill(self, batch: Sequence[Waiting]) -> Prefilled:
        """Read the prompts of one batch, all of one group or none that shares anything."""
        return self._with_shared(batch) if batch[0].shared else self._together(batch)

    def forget(self) -> None:
        """Give the memory of a common beginning back."""
        self._group, self._shared = None, cache_of(self._store)

    def _together(self, batch: Sequence[Waiting]) -> Prefilled:
        """One forward pass, padded on the left; several where the schedule wants chunks."""
        lengths = torch.tensor([len(item.prompt.token_ids) for item in batch])
        longest = int(lengths.max()) + self._schedule.padding
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, item in enumerate(batch):
            ids[row, longest - len(item.prompt.token_ids) :] = torch.tensor(item.prompt.token_ids)
        columns = torch.arange(longest)
        padding = (longest - lengths)[:, None]
        mask = columns >= padding
        positions = (columns - padding).clamp(min=0)
        padded = not bool(mask.all())
        cache = cache_of(self._store)
        chunk = self._schedule.chunk or longest
        for begin in range(0, longest, chunk):
            part = slice(begin, begin + chunk)
            logits = logits_of(
                self._model,
                input_ids=ids[:, part],
                # Without padding no mask: attention then uses its causal kernel, which needs no square of memory.
                attention_mask=mask[:, : part.stop] if padded else None,
                position_ids=positions[:, part],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return Prefilled([_layers(cache)], logits[:, -1])

    def _with_shared(self, batch: Sequence[Waiting]) -> Prefilled:
        """The shared part once, then each prompt's own end."""
        shared = batch[0].shared
        if self._group != batch[0].group:
            self._group, self._shared = batch[0].group, cache_of(self._store)
            self._append(batch[0].prompt.token_ids[:shared])
        layers, logits = [], []
        for item in batch:
            end = item.prompt.token_ids[shared:]
            logits.append(self._append(end))
            layers.append(_layers(self._shared))
            self._shared.crop(-len(end))
        return Prefilled(layers, torch.cat(logits))

    def _append(self, token_ids: Sequence[int]) -> torch.Tensor:
        begin = self._shared.get_seq_length()
        return logits_of(
            self._model,
            input_ids=torch.tensor([token_ids]),
            position_ids=torch.arange(begin, begin + len(token_ids))[None],
            past_key_values=self._shared,
            use_cache=True,
            logits_to_keep=1,
        )[:, -1]


def _layers(cache: DynamicCache) -> list[Layer]:
    return [
        (layer.keys, layer.values)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    ]
