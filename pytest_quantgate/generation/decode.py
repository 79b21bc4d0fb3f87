"""Greedy decoding of many prompts over one model, at the speed of its linear layers.

Prompts are prefilled with hardly any padding, common beginnings once; rows decode together in a `SlotPool`; a row that
is finished gives its place to a waiting prompt at once. In float32 an answer does not depend on its neighbours.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.completion import FinishReason
from pytest_quantgate.generation.prompts import Prompt, in_groups
from pytest_quantgate.generation.slots import Layer, SlotPool, capacity_for

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREFILL_TOKENS = 2048  # tokens of one prefill, padding included; a longer prompt is prefilled alone
PADDING = 0.10  # largest share of a prefill that may be padding
ADMIT_SHARE = 1 / 8  # share of rows that must be free before decoding is interrupted for a prefill


@dataclass(frozen=True, slots=True)
class Decoded:
    """One finished answer.

    Attributes:
        prompt: What was answered.
        token_ids: The answer, without its stop token.
        margins: Logit of each chosen token less the runner-up's.
        reason: ``stop``, ``length``, or ``invalid`` when the logits were not numbers.
    """

    prompt: Prompt
    token_ids: tuple[int, ...]
    margins: tuple[float, ...]
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Step:
    """What one prefill or decoding step gave: the answers that it finished and the tokens that it made."""

    finished: tuple[Decoded, ...]
    tokens: int


@dataclass(slots=True)
class _Row:
    """An answer in the making."""

    prompt: Prompt
    token_ids: list[int] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)

    def take(self, token: int, top: float, margin: float, stops: frozenset[int]) -> FinishReason | None:
        """Add the next token; the reason when the answer is finished."""
        if not (float("-inf") < top < float("inf")):
            return "invalid"
        if token in stops:
            return "stop"
        self.token_ids.append(token)
        self.margins.append(round(margin, 4))
        return "length" if len(self.token_ids) == self.prompt.max_new_tokens else None

    def done(self, reason: FinishReason) -> Decoded:
        return Decoded(self.prompt, tuple(self.token_ids), tuple(self.margins), reason)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A prompt in the queue, with the group whose beginning it shares (``shared`` 0: none)."""

    prompt: Prompt
    group: int
    shared: int


class Decoder:
    """Greedy decoding over one loaded model.

    Args:
        model: A decoder-only model in evaluation mode that keeps keys and values and nothing else.
        stops: Token ids that end an answer.
        kv_bytes: Memory that keys and values may take; decides how many rows run at a time.
        note: Told, in one line, what the user should know (memory ran out, the batch was halved).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stops: frozenset[int],
        kv_bytes: int,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._model = model
        self._stops = stops
        self._kv_bytes = kv_bytes
        self._note = note
        self._prefill_tokens = PREFILL_TOKENS
        self._max_rows: int | None = None
        self._rows_in_use = 0

    def run(self, prompts: Sequence[Prompt]) -> Iterator[Step]:
        """Answer all prompts; each appears in exactly one step.

        When memory runs out the batch is halved, unfinished prompts start again, and the run goes on.

        Raises:
            ModelError: A single prompt does not fit in memory.
        """
        pending = {prompt.digest: prompt for prompt in prompts}
        while pending:
            try:
                for step in self._attempt(list(pending.values())):
                    for decoded in step.finished:
                        del pending[decoded.prompt.digest]
                    yield step
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                # The traceback holds the tensors that did not fit; without it they can be freed.
                error.__traceback__ = None
                self._halve(max(len(prompt.token_ids) for prompt in pending.values()))

    def _halve(self, longest: int) -> None:
        rows = self._rows_in_use
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if rows <= 1:
            raise ModelError(
                f"memory ran out on a single prompt (the longest has {longest} tokens)",
                hint="free memory, or shorten the prompts of the slice",
            )
        self._max_rows = rows // 2
        self._prefill_tokens //= 2
        self._note(f"memory ran out with {rows} prompts at a time; going on with {self._max_rows}")

    @torch.inference_mode()
    def _attempt(self, prompts: Sequence[Prompt]) -> Iterator[Step]:
        groups = in_groups(prompts)
        waiting = deque(
            _Waiting(prompt, number, group.shared) for number, group in enumerate(groups) for prompt in group.prompts
        )
        prefix = _Prefix(self._model)
        rows: list[_Row] = []
        pool: SlotPool | None = None
        self._rows_in_use = 1
        while waiting or rows:
            if waiting and pool is not None and len(rows) == pool.rows:
                self._make_pool_wider(pool, rows, waiting)
            if waiting and (pool is None or not rows or _worth_a_prefill(pool, len(waiting))):
                batch = self._next_batch(waiting, None if pool is None else pool.rows - pool.active)
                self._rows_in_use = max(len(rows) + len(batch), 1)
                layers, logits = prefix.prefill(batch) if batch[0].shared else self._prefill(batch)
                if pool is None:
                    longest = max(item.prompt.total for item in (*batch, *waiting))
                    shape = self._shape(layers[0], longest, len(batch), len(batch) + len(waiting))
                    self._rows_in_use = shape[0]
                    pool = SlotPool(layers[0], *shape)
                fresh = [_Row(item.prompt) for item in batch]
                finished = []
                for index, (row, reason) in enumerate(zip(fresh, self._take(fresh, logits), strict=True)):
                    if reason is not None:
                        finished.append(row.done(reason))
                    else:
                        source, position = (layers[index], 0) if batch[0].shared else (layers[0], index)
                        pool.add(source, position, len(row.prompt.token_ids))
                        rows.append(row)
                del layers
                yield Step(tuple(finished), len(batch))
            elif pool is not None:
                self._rows_in_use = len(rows)
                yield self._step(pool, rows)

    def _next_batch(self, waiting: deque[_Waiting], free: int | None) -> list[_Waiting]:
        """Take from the queue what one prefill should hold: one group, or prompts of nearly the same length."""
        head = waiting[0]
        longest = len(head.prompt.token_ids)
        limit = self._max_rows or len(waiting)
        limit = limit if free is None else min(limit, free)
        batch: list[_Waiting] = []
        tokens = 0
        while waiting and len(batch) < limit:
            item = waiting[0]
            tokens += len(item.prompt.token_ids)
            padded = longest * (len(batch) + 1)
            alike = item.group == head.group if head.shared else not item.shared and tokens >= (1 - PADDING) * padded
            if batch and not (alike and padded <= self._prefill_tokens):
                break
            batch.append(waiting.popleft())
        return batch

    def _prefill(self, batch: Sequence[_Waiting]) -> tuple[list[list[Layer]], torch.Tensor]:
        """Prefill prompts of nearly equal length, padded on the left; logits are ``(batch, vocabulary)``."""
        device = self._model.device
        lengths = torch.tensor([len(item.prompt.token_ids) for item in batch])
        longest = int(lengths.max())
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, item in enumerate(batch):
            ids[row, longest - len(item.prompt.token_ids) :] = torch.tensor(item.prompt.token_ids)
        columns = torch.arange(longest)
        padding = (longest - lengths)[:, None]
        mask = columns >= padding
        cache = DynamicCache()
        output = self._model(
            input_ids=ids.to(device),
            # Without padding no mask is given: attention then uses its causal kernel, which needs no square of memory.
            attention_mask=None if bool(mask.all()) else mask.to(device),
            position_ids=(columns - padding).clamp(min=0).to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return [_layers(cache)], output.logits[:, -1]

    def _step(self, pool: SlotPool, rows: list[_Row]) -> Step:
        """One token for every active row."""
        device = self._model.device
        pool.make_room()
        starts = torch.tensor(pool.starts)[:, None]
        columns = torch.arange(pool.window, pool.cursor + 1)
        output = self._model(
            input_ids=torch.tensor([[row.token_ids[-1]] for row in rows]).to(device),
            attention_mask=(columns >= starts).to(device),
            position_ids=(pool.cursor - starts).to(device),
            past_key_values=pool,
            use_cache=True,
            logits_to_keep=1,
        )
        pool.advance()
        reasons = self._take(rows, output.logits[:, -1])
        made = len(rows)
        finished = []
        for index in range(made - 1, -1, -1):
            reason = reasons[index]
            if reason is not None:
                finished.append(rows[index].done(reason))
                pool.remove(index)
                rows[index] = rows[-1]
                rows.pop()
        return Step(tuple(finished), made)

    def _take(self, rows: Sequence[_Row], logits: torch.Tensor) -> list[FinishReason | None]:
        """Choose the most probable token of each row of ``(rows, vocabulary)`` logits."""
        values, tokens = logits.float().topk(2, dim=-1)
        margins = (values[:, 0] - values[:, 1]).tolist()
        return [
            row.take(token, top, margin, self._stops)
            for row, token, top, margin in zip(rows, tokens[:, 0].tolist(), values[:, 0].tolist(), margins, strict=True)
        ]

    def _shape(self, layers: Sequence[Layer], longest: int, least: int, most: int) -> tuple[int, int]:
        """Rows and columns of a pool that fits the memory budget."""
        capacity = capacity_for(longest)
        per_column = sum(
            (keys.shape[1] * keys.shape[3] + values.shape[1] * values.shape[3]) * keys.element_size()
            for keys, values in layers
        )
        rows = self._kv_bytes // (per_column * capacity)
        if self._max_rows is not None:
            rows = min(rows, self._max_rows)
        return max(1, least, min(rows, most)), capacity

    def _make_pool_wider(self, pool: SlotPool, rows: Sequence[_Row], waiting: Sequence[_Waiting]) -> None:
        """Once the long prompts are through, their columns serve more rows."""
        longest = max(prompt.total for prompt in (*(row.prompt for row in rows), *(item.prompt for item in waiting)))
        if capacity_for(longest) * 2 <= pool.capacity:
            wanted = len(rows) + len(waiting)
            shape = self._shape(pool.memory(), longest, pool.rows, max(wanted, pool.rows))
            if shape[0] > pool.rows:
                self._rows_in_use = shape[0]
                pool.resize(*shape)


class _Prefix:
    """The common beginning of one group, kept while its prompts are prefilled."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._group: int | None = None
        self._cache = DynamicCache()

    def prefill(self, batch: Sequence[_Waiting]) -> tuple[list[list[Layer]], torch.Tensor]:
        """Prefill prompts of one group: the shared part once, then each one's own end.

        Returns:
            For each prompt its layers, with a batch dimension of 1, and logits ``(batch, vocabulary)``.
        """
        shared = batch[0].shared
        if self._group != batch[0].group:
            self._group, self._cache = batch[0].group, DynamicCache()
            self._forward(batch[0].prompt.token_ids[:shared])
        layers, logits = [], []
        for item in batch:
            end = item.prompt.token_ids[shared:]
            logits.append(self._forward(end))
            layers.append(_layers(self._cache))
            self._cache.crop(-len(end))
        return layers, torch.cat(logits)

    def _forward(self, token_ids: Sequence[int]) -> torch.Tensor:
        begin = self._cache.get_seq_length()
        device = self._model.device
        output = self._model(
            input_ids=torch.tensor([token_ids]).to(device),
            position_ids=torch.arange(begin, begin + len(token_ids))[None].to(device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


def _worth_a_prefill(pool: SlotPool, waiting: int) -> bool:
    """Whether enough rows are free to interrupt the others for a prefill."""
    return pool.rows - pool.active >= max(1, min(waiting, int(pool.rows * ADMIT_SHARE)))


def _layers(cache: DynamicCache) -> list[Layer]:
    return [
        (layer.keys, layer.values)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    ]


def _is_out_of_memory(error: BaseException) -> bool:
    # On a CPU torch raises a plain RuntimeError; its text is the only sign.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
