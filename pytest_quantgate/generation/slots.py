"""Key-value memory that is allocated once: rows come and go, nothing is concatenated.

All rows share one write position, the cursor. A row of length n occupies the n positions before the cursor, so rows
are padded on the left and every decoding step writes one column. Keys carry their rotary position already, so where
a row lies does not matter. When the cursor reaches the end, all rows move to the left together.

Rows of about the same length stay side by side, in runs: attention may then go over each run by itself and leave out
what lies before its longest row, which in a mixed batch is most of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import proxy

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from pytest_quantgate.generation.kv_quant import Store, as_they_are

SLACK = 1.25  # room beyond the longest row, so that moving to the left is rare
SLACK_TOKENS = 64
ALIKE = 0.8  # length of a run's shortest row to that of its longest, at least
ALIKE_TOKENS = 32  # or so few columns apart: another call of attention costs more than they do

Layer = tuple[torch.Tensor, torch.Tensor]


def capacity_for(longest: int) -> int:
    """Columns to allocate for rows of at most ``longest`` positions."""
    return int(longest * SLACK) + SLACK_TOKENS


class SlotPool(Cache):
    """Keys and values of the active rows, as a transformers cache.

    Active rows are always the first `active` ones, so that a step works on plain slices.

    Args:
        like: One ``(keys, values)`` pair a layer, shaped ``(batch, heads, length, width)``; gives dtype, device
            and widths.
        rows: Most rows at a time.
        capacity: Columns; at least `capacity_for` of the longest row.
        store: What becomes of keys and values that a step writes; prefilled rows are stored already.
    """

    def __init__(self, like: Sequence[Layer], rows: int, capacity: int, store: Store = as_they_are) -> None:
        self.rows = rows
        self.capacity = capacity
        self.store = store
        self.cursor = 0
        self.starts: list[int] = []
        self._slots = [SlotLayer(self, keys, values) for keys, values in like]
        super().__init__(layers=[*self._slots])

    @property
    def active(self) -> int:
        """Number of rows in use."""
        return len(self.starts)

    @property
    def window(self) -> int:
        """First column that any row uses."""
        return min(self.starts, default=self.cursor)

    def add(self, layers: Sequence[Layer], index: int, length: int) -> None:
        """Take in one prefilled row.

        Args:
            layers: A ``(keys, values)`` pair a layer; the row's positions are the last ``length`` columns.
            index: Which row of ``layers``.
            length: Number of positions; at most those of the longest row that the pool was made for.
        """
        if not self.starts:
            self.cursor = length
        elif length > self.cursor:
            self._move(length - self.cursor)
        row, start = self.active, self.cursor - length
        for slot, (keys, values) in zip(self._slots, layers, strict=True):
            for memory, source in ((slot.keys, keys), (slot.values, values)):
                # A masked column weighs 0, but 0 times a stray NaN would still be NaN.
                memory[row, :, :start] = 0
                memory[row, :, start : self.cursor] = source[index, :, -length:]
        self.starts.append(start)

    def remove(self, row: int) -> list[tuple[int, int]]:
        """Give a row up. The last row of its run takes its place, that of the next run the place of this, and so on.

        Returns:
            Which rows moved, in order: from where, to where. After that the last active row is gone.
        """
        moves = []
        for run, _ in self.runs():
            last = run.stop - 1
            if last > row:
                self._copy_row(last, row)
                moves.append((last, row))
            row = max(row, last)
        self.starts.pop()
        return moves

    def runs(self) -> list[tuple[slice, int]]:
        """Neighbouring rows of about the same length, and the first column that any row of them uses."""
        runs: list[tuple[slice, int]] = []
        first = shortest = longest = 0
        for row, start in enumerate(self.starts):
            length = self.cursor - start
            both = (min(shortest, length), max(longest, length)) if row > first else (length, length)
            if both[0] < ALIKE * both[1] and both[1] - both[0] > ALIKE_TOKENS:
                runs.append((slice(first, row), self.cursor - longest))
                first, both = row, (length, length)
            shortest, longest = both
        if self.starts:
            runs.append((slice(first, self.active), self.cursor - longest))
        return runs

    def make_room(self) -> None:
        """See that the next step has a column to write."""
        if self.cursor == self.capacity:
            self._move(-self.window)

    def advance(self) -> None:
        """Close a step: what was written under the cursor now belongs to the rows."""
        self.cursor += 1

    def resize(self, rows: int, capacity: int) -> None:
        """Trade columns for rows, layer by layer, so that little is held twice.

        Args:
            rows: New number of rows; at least `active`.
            capacity: New number of columns; at least those of the longest row.
        """
        window, cursor = self.window, self.cursor
        length = cursor - window
        for slot in self._slots:
            slot.keys = _copied(slot.keys[: self.active, :, window:cursor], rows, capacity)
            slot.values = _copied(slot.values[: self.active, :, window:cursor], rows, capacity)
        self.starts = [start - window for start in self.starts]
        self.rows, self.capacity, self.cursor = rows, capacity, length

    def layer(self, index: int) -> SlotLayer:
        """Keys and values of one layer."""
        return self._slots[index]

    def _copy_row(self, source: int, target: int) -> None:
        columns = slice(self.starts[source], self.cursor)
        left = slice(self.starts[target], self.starts[source])  # of the row that was there: may hold NaN, see add
        for slot in self._slots:
            for memory in (slot.keys, slot.values):
                memory[target, :, left] = 0
                memory[target, :, columns] = memory[source, :, columns]
        self.starts[target] = self.starts[source]

    def _move(self, columns: int) -> None:
        """Move all rows to the right (left when negative)."""
        window, cursor, active = self.window, self.cursor, self.active
        for slot in self._slots:
            for memory in (slot.keys, slot.values):
                memory[:active, :, window + columns : cursor + columns] = memory[:active, :, window:cursor].clone()
                if columns > 0:  # what opens up on the left was never written, see add
                    memory[:active, :, : window + columns] = 0
        self.starts = [start + columns for start in self.starts]
        self.cursor += columns

    def memory(self) -> list[Layer]:
        """Keys and values of each layer, as allocated."""
        return [(slot.keys, slot.values) for slot in self._slots]

    def written(self) -> list[Layer]:
        """What a step wrote, before ``advance``: as ``memory``, each ``(active rows, heads, 1, width)``."""
        at = slice(self.cursor, self.cursor + 1)
        rows = slice(self.active)
        return [(slot.keys[rows, :, at], slot.values[rows, :, at]) for slot in self._slots]


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # its __init_subclass__ has no annotations
    """One layer of a pool, in the form that attention asks for.

    Attributes:
        keys: ``(rows, heads, capacity, width)``.
        values: Likewise.
    """

    keys: torch.Tensor
    values: torch.Tensor
    is_sliding = False

    def __init__(self, pool: SlotPool, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pool: SlotPool = proxy(pool)  # the pool owns its layers: without a cycle its memory goes when it does
        # Empty, not zeros: the operating system hands out memory only as columns are written.
        self.keys = keys.new_empty(pool.rows, keys.shape[1], pool.capacity, keys.shape[3])
        self.values = values.new_empty(pool.rows, values.shape[1], pool.capacity, values.shape[3])
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: memory is allocated with the pool."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one column and return all that the active rows may attend to."""
        self.write(key_states, value_states)
        columns = slice(self._pool.window, self._pool.cursor + 1)
        return self.keys[: self._pool.active, :, columns], self.values[: self._pool.active, :, columns]

    def write(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write what a step made of the active rows' last tokens, under the cursor.

        Args:
            keys: ``(rows, heads, 1, width)``.
            values: Likewise.
        """
        rows, cursor = self._pool.active, self._pool.cursor
        self.keys[:rows, :, cursor : cursor + 1] = self._pool.store(keys)
        self.values[:rows, :, cursor : cursor + 1] = self._pool.store(values)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns that a query of this length sees, and the first of them."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self._pool.cursor - self._pool.window

    def get_max_length(self) -> int:
        """No maximum that a model has to know of: the pool makes room."""
        return -1


def _copied(used: torch.Tensor, rows: int, capacity: int) -> torch.Tensor:
    fresh = used.new_empty(rows, used.shape[1], capacity, used.shape[3])
    fresh[: used.shape[0], :, : used.shape[2]] = used
    return fresh
