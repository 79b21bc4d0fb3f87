"""Greedy decoding of many prompts over one model, at the speed of its linear layers.

Prompts are prefilled with hardly any padding, common beginnings once; rows decode together in a `SlotPool`; a row that
is finished gives its place to a waiting prompt at once. In float32 an answer does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.completion import FinishReason
from pytest_quantgate.generation.decoded import Decoded
from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.kv_audit import check_stored
from pytest_quantgate.generation.kv_quant import store_of
from pytest_quantgate.generation.prefill import Prefilled, Prefiller, Waiting, next_batch, queue_of
from pytest_quantgate.generation.prompts import Prompt
from pytest_quantgate.generation.recall import measure
from pytest_quantgate.generation.slots import Layer, SlotPool, capacity_for
from pytest_quantgate.generation.step import ShortStep, agrees, short_step, top_two
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.memory import is_out_of_memory, release_memory
from pytest_quantgate.variants.schedule import USUAL, Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREFILL_TOKENS = 2048  # tokens of one prefill, padding included; a longer prompt is prefilled alone
PREFILL_SHARE = 1 / 8  # of the memory for keys and values; where that is little, prefills are shorter
ADMIT_SHARE = 1 / 8  # share of rows that must be free before decoding is interrupted for a prefill
WIDE = 1024  # columns from which on attending to them costs more than the linear layers do


@dataclass(frozen=True, slots=True)
class Step:
    """What one prefill or decoding step gave: the answers that it finished and the tokens that it made."""

    finished: tuple[Decoded, ...]
    tokens: int


@dataclass(slots=True)
class _Row:
    """An answer in the making."""

    prompt: Prompt
    recall: tuple[Recall, ...]
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
        return Decoded(self.prompt, tuple(self.token_ids), tuple(self.margins), reason, self.recall)


class Decoder:
    """Greedy decoding over one loaded model.

    Args:
        model: A decoder-only model in evaluation mode that keeps keys and values and nothing else.
        stops: Token ids that end an answer.
        kv_bytes: Memory that keys and values may take, those of prompts that are being read included; decides how many
            rows run at a time.
        note: Told, in one line, what the user should know (memory ran out, the batch was halved).
        schedule: How prompts are batched; its attention is the model's matter.
        kv: How keys and values are quantized, one of ``variants.kv.SCHEMES``; None where they are not.
        decided: Told a prompt's digest and the answer so far after each token; whether the answer may end there. None
            where every answer is made whole.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stops: frozenset[int],
        kv_bytes: int,
        note: Callable[[str], None] = lambda _: None,
        *,
        schedule: Schedule = USUAL,
        kv: str | None = None,
        decided: Callable[[str, Sequence[int]], bool] | None = None,
    ) -> None:
        self._model = model
        self._stops = stops
        self._kv_bytes = kv_bytes
        self._note = note
        self._prefill_tokens = PREFILL_TOKENS
        self._schedule = schedule
        self._kv = kv
        self._step_audited = False
        self._store = store_of(kv)
        self._decided = decided
        self._max_rows = schedule.max_rows
        self._rows_in_use = 0
        self._short: ShortStep | None = short_step(model)
        self._compared = False

    def run(self, prompts: Sequence[Prompt]) -> Iterator[Step]:
        """Answer all prompts; each appears in exactly one step.

        When memory runs out the batch is halved, unfinished prompts start again, and the run goes on. A prompt that
        does not even fit in memory alone is finished without an answer.

        Raises:
            AuditError: Keys and values of the first prompt, or of the first step, are not quantized as they should be.
        """
        pending = {prompt.digest: prompt for prompt in prompts}
        alone: Prompt | None = None
        while pending:
            tried = list(pending.values()) if alone is None else [alone]
            alone, ran_out = None, False
            try:
                for step in self._attempt(tried):
                    for decoded in step.finished:
                        del pending[decoded.prompt.digest]
                    yield step
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                # The traceback holds the tensors that did not fit; without it they can be freed.
                error.__traceback__ = None
                ran_out = True
            if pending:
                release_memory()
            if not ran_out:
                continue
            if self._rows_in_use > 1:
                self._halve()
            elif len(tried) > 1:
                # One row, and still the memory of another prompt, or of a beginning in common, may have been beside it.
                alone = queue_of(list(pending.values()), self._schedule)[0].prompt
            else:
                del pending[tried[0].digest]
                # The batch may have been halved for this one's sake.
                self._max_rows, self._prefill_tokens = self._schedule.max_rows, PREFILL_TOKENS
                yield Step((_too_large(tried[0]),), 0)

    def _halve(self) -> None:
        rows = self._rows_in_use
        self._max_rows = rows // 2
        self._prefill_tokens //= 2
        self._note(f"memory ran out with {rows} prompts at a time; going on with {self._max_rows}")

    @torch.inference_mode()
    def _attempt(self, prompts: Sequence[Prompt]) -> Iterator[Step]:
        waiting = queue_of(prompts, self._schedule)
        longest_of_last = list(accumulate((item.prompt.total for item in reversed(waiting)), max))
        read_of_last = list(accumulate((len(item.prompt.token_ids) + item.shared for item in reversed(waiting)), max))
        prefiller = Prefiller(self._model, self._schedule, self._store)
        rows: list[_Row] = []
        pool: SlotPool | None = None
        while waiting or rows:
            if waiting and pool is not None and len(rows) == pool.rows:
                last = len(waiting) - 1
                self._make_pool_wider(pool, rows, len(waiting), longest_of_last[last], read_of_last[last])
            self._rows_in_use = 1 if pool is None else pool.rows
            if pool is not None and rows and not (waiting and _worth_a_prefill(pool, waiting)):
                yield self._step(pool, rows)
                continue
            # The first prefill is of one prompt: it tells what a column takes, and so how many rows fit.
            free = 1 if pool is None else pool.rows - pool.active
            batch = next_batch(waiting, free, self._prefill_tokens)
            prefilled = prefiller.prefill(batch)
            if not waiting or waiting[0].group != batch[0].group:
                prefiller.forget()
            if pool is None:
                if self._kv is not None:
                    check_stored(self._kv, prefilled.layers[0])
                columns = self._columns(prefilled.layers[0])
                self._prefill_tokens = max(1, min(self._prefill_tokens, int(columns * PREFILL_SHARE)))
                shape = self._shape(columns, longest_of_last[-1], read_of_last[-1], 1, 1 + len(waiting))
                self._rows_in_use = shape[0]
                pool = SlotPool(prefilled.layers[0], *shape, self._store)
            yield self._admit(pool, rows, batch, prefilled)
            del prefilled

    def _admit(self, pool: SlotPool, rows: list[_Row], batch: Sequence[Waiting], prefilled: Prefilled) -> Step:
        """Take the first token of each prefilled prompt; those that go on become rows of the pool."""
        recalls = measure(self._model, batch, prefilled, self._prefill_tokens, self._store)
        fresh = [_Row(item.prompt, recall) for item, recall in zip(batch, recalls, strict=True)]
        finished = []
        for index, (row, reason) in enumerate(zip(fresh, self._take(fresh, prefilled.logits), strict=True)):
            if reason is not None:
                finished.append(row.done(reason))
            else:
                pool.add(*prefilled.row(index), len(row.prompt.token_ids))
                rows.append(row)
        return Step(tuple(finished), len(batch))

    def _step(self, pool: SlotPool, rows: list[_Row]) -> Step:
        """One token for every active row."""
        pool.make_room()
        logits = self._logits(torch.tensor([row.token_ids[-1] for row in rows]), pool)
        if self._kv is not None and not self._step_audited:  # steps write by another way than prefills
            check_stored(self._kv, pool.written())
            self._step_audited = True
        pool.advance()
        reasons = self._take(rows, logits)
        made = len(rows)
        finished = []
        for index in range(made - 1, -1, -1):
            reason = reasons[index]
            if reason is not None:
                finished.append(rows[index].done(reason))
                for source, target in pool.remove(index):
                    rows[target] = rows[source]
                rows.pop()
        return Step(tuple(finished), made)

    def _logits(self, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        """The logits behind the last token of each active row; the short way where that is known to be right."""
        short = self._shortly(token_ids, pool)
        if short is not None and self._compared:
            return short
        # Both write the column under the cursor in every layer; what stays is what the model's own forward writes.
        whole = self._whole(token_ids, pool)
        if short is not None:
            self._compared = True
            if not agrees(short, whole):
                self._short = None
        return whole

    def _shortly(self, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor | None:
        """The same by the short way; None where there is none, or none any more since it failed."""
        if self._short is None:
            return None
        try:
            return self._short.logits(token_ids, pool)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._short = None
            return None

    def _whole(self, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        """The same by the model's own forward."""
        starts = torch.tensor(pool.starts)[:, None]
        columns = torch.arange(pool.window, pool.cursor + 1)
        return logits_of(
            self._model,
            input_ids=token_ids[:, None],
            attention_mask=columns >= starts,
            position_ids=pool.cursor - starts,
            past_key_values=pool,
            use_cache=True,
            logits_to_keep=1,
        )[:, -1]

    def _take(self, rows: Sequence[_Row], logits: torch.Tensor) -> list[FinishReason | None]:
        """Choose the most probable token of each row of ``(rows, vocabulary)`` logits."""
        tokens, tops, seconds = top_two(logits)
        taken = zip(rows, tokens.tolist(), tops.tolist(), (tops - seconds).tolist(), strict=True)
        reasons = [row.take(token, top, margin, self._stops) for row, token, top, margin in taken]
        if self._decided is None:
            return reasons
        return [reason or self._ended_early(row) for row, reason in zip(rows, reasons, strict=True)]

    def _ended_early(self, row: _Row) -> FinishReason | None:
        ended = self._decided is not None and self._decided(row.prompt.digest, row.token_ids)
        return "decided" if ended else None

    def _columns(self, layers: Sequence[Layer]) -> int:
        """Columns that fit the memory budget, of keys and values like these."""
        per_column = sum(
            (keys.shape[1] * keys.shape[3] + values.shape[1] * values.shape[3]) * keys.element_size()
            for keys, values in layers
        )
        return self._kv_bytes // per_column

    def _shape(self, columns: int, longest: int, read: int, least: int, most: int) -> tuple[int, int]:
        """Rows and columns of a pool that fits the memory budget beside a prefill.

        Args:
            columns: What fits the budget.
            longest: Positions of the longest row.
            read: Columns of the longest prompt that is still to be read, and of what it shares with others.
            least: Fewest rows.
            most: Most rows.
        """
        capacity = capacity_for(longest)
        rows = (columns - max(self._prefill_tokens, read)) // capacity
        if self._max_rows is not None:
            rows = min(rows, self._max_rows)
        return max(least, min(rows, most)), capacity

    def _make_pool_wider(self, pool: SlotPool, rows: Sequence[_Row], waiting: int, longest: int, read: int) -> None:
        """Once the long prompts are through, their columns serve more rows; ``longest`` and ``read`` of the waiting."""
        longest = max(longest, *(row.prompt.total for row in rows))
        if capacity_for(longest) * 2 <= pool.capacity:
            wanted = len(rows) + waiting
            shape = self._shape(self._columns(pool.memory()), longest, read, pool.rows, max(wanted, pool.rows))
            if shape[0] > pool.rows:
                self._rows_in_use = shape[0]
                pool.resize(*shape)


def _too_large(prompt: Prompt) -> Decoded:
    """What stands for an answer that did not fit in memory."""
    what = f"memory ran out on this prompt of {counted(len(prompt.token_ids), 'token')} alone"
    problem = f"{what}: free memory, shorten it, or use another --quant-device"
    return Decoded(prompt, (), (), "unknown", problem=problem)


def _worth_a_prefill(pool: SlotPool, waiting: Sequence[Waiting]) -> bool:
    """Whether to interrupt the rows for waiting prompts: enough room, and none that would be mostly padding."""
    width = pool.cursor - pool.window
    if width > WIDE and 2 * len(waiting[0].prompt.token_ids) < width:
        return False
    return pool.rows - pool.active >= max(1, min(len(waiting), int(pool.rows * ADMIT_SHARE)))
