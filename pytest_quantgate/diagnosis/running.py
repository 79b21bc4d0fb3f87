"""A loaded model that can be watched and begun in the middle. Imports torch: import it only to run a model.

The model's own forward pass does everything: masks, positions, norms, caps. What is not wanted of it is passed by: the
layers below the first wanted one hand on what they are given, and that one is given the states it should begin with. So
nothing is said twice about an architecture but where its parts are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicLayer

from pytest_quantgate.diagnosis.architecture import UNREADABLE, architecture_of
from pytest_quantgate.diagnosis.hooks import entering, given, leaving, passed_by
from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.kv_quant import cache_of, store_of
from pytest_quantgate.generation.step import agrees
from pytest_quantgate.variants.loading import set_attention

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel
    from transformers.cache_utils import DynamicCache

_EAGER = "eager"  # the one implementation that gives its probabilities


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What one pass over some tokens left.

    Attributes:
        token_ids: The tokens.
        states: The residual stream, ``(layers + 1, tokens, width)`` in the compute dtype: as it enters each layer, and
            behind the last one, before the final norm.
        logits: ``(vocabulary,)`` in float32, behind the last token.
        memory: ``(keys, values)`` of each layer as attention read them, ``(1, heads, tokens, width of a head)``.
    """

    token_ids: tuple[int, ...]
    states: torch.Tensor
    logits: torch.Tensor
    memory: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class Runner:
    """A loaded model that can be watched, and begun in the middle.

    No method keeps a gradient. Modules are looked up when they are needed, so those of the model may be exchanged.

    Args:
        model: A decoder-only model in evaluation mode.
        kv: How keys and values are quantized, one of ``variants.kv.SCHEMES``; None where they are not.
        name: Of the variant, for messages.

    Raises:
        ModelError: Its architecture cannot be read.
    """

    def __init__(self, model: PreTrainedModel, *, kv: str | None = None, name: str = "") -> None:
        self.model = model
        self.architecture = architecture_of(model)
        self.name = name or type(model).__name__
        self._store = store_of(kv)
        self._compared = False

    @property
    def n_layers(self) -> int:
        """Number of decoder layers."""
        return len(self.architecture.layers)

    def memory(self, stored: Iterable[tuple[torch.Tensor, torch.Tensor]] = ()) -> DynamicCache:
        """Keys and values to read tokens into, stored as the variant stores them.

        Args:
            stored: What it begins with, for each layer; it is in it as it is.
        """
        return cache_of(self._store, stored)

    @torch.no_grad()
    def read(self, token_ids: Sequence[int], memory: DynamicCache, *, keep: int = 1) -> torch.Tensor:
        """One pass over tokens behind those that are in memory already.

        Args:
            token_ids: At least one.
            memory: Is added to.
            keep: Behind how many of the last tokens logits are wanted.

        Returns:
            Logits, ``(keep, vocabulary)`` in the compute dtype.
        """
        return self._pass(torch.tensor([token_ids]), memory, keep=keep)[0]

    @torch.no_grad()
    def trace(self, token_ids: Sequence[int]) -> Trace:
        """One pass over tokens, with everything that is needed to begin again in its middle.

        The first trace of a runner is made once more from its middle, and compared.

        Args:
            token_ids: At least one.

        Raises:
            ModelError: The model does not compute its layers one behind the other, so that it cannot be begun in the
                middle.
        """
        seen: list[torch.Tensor] = []
        left: list[Any] = []
        memory = self.memory()
        with ExitStack() as stack:
            for site in self.sites():
                stack.enter_context(entering(site, lambda states: seen.append(states[0])))
            stack.enter_context(leaving(self.sites()[0], left.append))
            logits = self.read(token_ids, memory)[-1]
        if not all(isinstance(each, torch.Tensor) for each in left):
            raise self.unreadable("its layers give more than states")
        if len(seen) != self.n_layers + 1:
            raise self.unreadable(f"its pass went through {len(seen)} of {self.n_layers + 1} places")
        trace = Trace(tuple(token_ids), torch.stack(seen), logits.float(), _stored(memory))
        if not self._compared and bool(logits.isfinite().all()):
            middle = self.n_layers // 2
            if not agrees(self.resume(trace, middle, trace.states[middle][None])[0], logits):
                raise self.unreadable("begun in the middle it gives other logits than in one go")
            self._compared = True
        return trace

    @torch.no_grad()
    def step(self, trace: Trace, layer: int, states: torch.Tensor) -> torch.Tensor:
        """One layer alone, at all positions of a trace.

        Args:
            trace: Whose tokens' positions they stand at.
            layer: Which one, from 0.
            states: What enters it, ``(tokens, width)``.

        Returns:
            What leaves it, ``(tokens, width)``.
        """
        left: list[torch.Tensor] = []
        sites = self.sites()
        with (
            passed_by([*sites[:layer], *sites[layer + 1 : -1]]),
            given(sites[layer], states[None]),
            entering(sites[-1], lambda each: left.append(each[0])),
        ):
            self.read(trace.token_ids, self.memory())
        return left[0]

    @torch.no_grad()
    def resume(self, trace: Trace, layer: int, states: torch.Tensor, begin: int = 0) -> torch.Tensor:
        """The layers from one on, over states that stand at the last positions of a trace.

        What comes before ``begin`` is read from the trace's own keys and values.

        Args:
            trace: Of this model.
            layer: The first that runs, from 0; the number of layers for none, so that only norm and head are left.
            states: What enters it, ``(rows, tokens - begin, width)``; each row is a version of its own.
            begin: Position of the first of them.

        Returns:
            Logits behind the last position, ``(rows, vocabulary)`` in float32.
        """
        rows = len(states)
        before = [
            (keys[:, :, :begin].expand(rows, -1, -1, -1), values[:, :, :begin].expand(rows, -1, -1, -1))
            for keys, values in trace.memory
        ]
        ids = torch.tensor([trace.token_ids[begin:]]).expand(rows, -1)
        sites = self.sites()
        with passed_by(sites[:layer]), given(sites[layer], states):
            return self._pass(ids, self.memory(before if begin else ()))[:, -1].float()

    @torch.no_grad()
    def lens(self, states: torch.Tensor) -> torch.Tensor:
        """Logits that the final norm and the output head read off states, as the model itself would at its end.

        Args:
            states: Residual streams, ``(..., width)``.

        Returns:
            ``(..., vocabulary)`` in float32; soft-capped where the model does so.
        """
        flat = states.reshape(-1, 1, states.shape[-1])  # each a text of one token
        sites = self.sites()
        with passed_by(sites[:-1]), given(sites[-1], flat):
            logits = self._pass(torch.zeros(len(flat), 1, dtype=torch.long), self.memory())
        return logits.float().reshape(*states.shape[:-1], -1)

    def choices(self, token_ids: Sequence[int], begin: int) -> torch.Tensor:
        """The most probable next token behind each of the last positions, in one pass.

        Args:
            token_ids: The tokens.
            begin: The first position that is asked for.

        Returns:
            ``(tokens - begin,)`` of int64; -1 where the logits are not numbers.
        """
        logits = self.read(token_ids, self.memory(), keep=len(token_ids) - begin)
        best, at = logits.max(dim=-1)
        return torch.where(best.isfinite(), at, -1)

    def attention(self, token_ids: Sequence[int], begin: int, take: Callable[[int, torch.Tensor], None]) -> None:
        """Attention probabilities of the last positions, one layer at a time.

        Args:
            token_ids: The tokens.
            begin: The first position whose attention is wanted; what comes before is read first, the usual way.
            take: Given each layer, and its probabilities ``(heads, tokens - begin, tokens)`` in float32; a row has the
                sum 1 and is zero behind its own position. Nothing of them is kept.

        Raises:
            ModelError: The model's code does not give them.
        """
        memory = self.memory()
        if begin:
            self.read(token_ids[:begin], memory)
        with self.attending(take):
            self.read(token_ids[begin:], memory)

    @contextmanager
    def attending(self, take: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
        """Has what is read meanwhile give its attention probabilities, as `attention` does.

        Raises:
            ModelError: The model's code does not give them.
        """

        def show(layer: int, output: Any) -> None:
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            if not isinstance(weights, torch.Tensor):
                raise self.unreadable("its attention does not give its probabilities")
            rows = weights[0].float()
            take(layer, rows / rows.sum(dim=-1, keepdim=True))  # half precision rounds them

        before = self.model.config.get_text_config(decoder=True)._attn_implementation  # noqa: SLF001
        with ExitStack() as stack:
            if before != _EAGER:
                set_attention(self.model, _EAGER, self.name)
                stack.callback(set_attention, self.model, before, self.name)
            for number, layer in enumerate(self.architecture.layers):
                stack.enter_context(leaving(self.module(layer.attention), partial(show, number)))
            yield

    def module(self, name: str) -> nn.Module:
        """A module of the model by its full name."""
        return self.model.get_submodule(name)

    def sites(self) -> list[nn.Module]:
        """What the residual stream enters, one behind the other: the layers, and the final norm."""
        names = [*(layer.name for layer in self.architecture.layers), self.architecture.final_norm]
        return [self.module(name) for name in names]

    def _pass(self, ids: torch.Tensor, memory: DynamicCache, *, keep: int = 1) -> torch.Tensor:
        """The model's own forward pass over ``(rows, tokens)``: logits ``(rows, keep, vocabulary)``."""
        begin = memory.get_seq_length()
        return logits_of(
            self.model,
            input_ids=ids,
            position_ids=torch.arange(begin, begin + ids.shape[1])[None],
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=keep,
        )

    def unreadable(self, why: str) -> ModelError:
        """The error for a model that cannot be looked into."""
        return ModelError(f"{type(self.model).__name__} cannot be looked into: {why}", where=self.name, hint=UNREADABLE)


def _stored(memory: DynamicCache) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Keys and values of each layer."""
    return tuple(
        (layer.keys, layer.values)
        for layer in memory.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    )
