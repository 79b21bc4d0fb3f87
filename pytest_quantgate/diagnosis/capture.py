"""What goes on in a model where answers part, read and kept on disk. Imports torch: import it only to read.

Each place is one token, and it is read in a pass of its own, behind the keys and values of what stands before it: as it
was when the answer was made, token by token. So the attention that is read out is one row a head, whatever the length.
What bitsandbytes int8 does depends on neighbours: read alone, a token is rounded otherwise than within a text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn import functional

from pytest_quantgate.diagnosis.hooks import entering, leaving
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.probes.lens import target_statistics
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.errors import QuantgateError

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

PLACES: Final = ("parting", "subject")
"""Where a case is read: the last token before its answers part, and the last token of its subject if it has one."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one model did at the places of one point; tensors in float32 on the CPU.

    L layers, width d, f neurons in a feed-forward block, H heads, T tokens. P places: the first of ``PLACES`` or both.

    Attributes:
        residual: The residual stream as it enters each layer, and behind the last one; ``(P, L + 1, d)``.
        attention_out: What each attention block gives; ``(P, L, d)``.
        feed_forward_out: What each feed-forward block gives; ``(P, L, d)``.
        gate: Its gates before the activation function; ``(P, L, f)``; None for blocks without gates.
        neurons: What its last linear module is given; ``(P, L, f)``.
        attention: Attention probabilities, each row of sum 1 and zero behind the place; ``(P, L, H, T)``.
        lens: Probability, rank, entropy in nats and log-probability of the target, read off each state of ``residual``;
            ``(P, L + 1, 4)``.
        rival_log_probability: Of the rival where the answers part; None where the point has none.
        broken_layer: The first layer where something is not a finite number, L for what stands behind all layers; None
            where everything is.
    """

    residual: torch.Tensor
    attention_out: torch.Tensor
    feed_forward_out: torch.Tensor
    gate: torch.Tensor | None
    neurons: torch.Tensor
    attention: torch.Tensor
    lens: torch.Tensor
    rival_log_probability: float | None
    broken_layer: int | None

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the places."""
        return PLACES[: len(self.residual)]

    @property
    def target_log_probability(self) -> float:
        """Of the target where the answers part."""
        return float(self.lens[0, -1, 3])

    @property
    def target_rank(self) -> float:
        """Of the target where the answers part; NaN where logits are no numbers."""
        return float(self.lens[0, -1, 1])

    @property
    def finite(self) -> bool:
        """Whether everything is a finite number."""
        return self.broken_layer is None


class Readings(Mapping[str, Reading]):
    """Readings by case id, each in a file of its own in a private folder that is removed by ``close``.

    Args:
        folder: Where the private folder is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(mkdtemp(prefix="activations-", dir=folder))
        self._files: dict[str, Path] = {}

    def keep(self, case_id: str, reading: Reading) -> None:
        """Write a reading down.

        Raises:
            QuantgateError: It cannot be written.
        """
        path = self._folder / f"{len(self._files)}.safetensors"
        numbers = {"rival_log_probability": torch.float64, "broken_layer": torch.int64}
        held = {field.name: getattr(reading, field.name) for field in fields(reading)}
        tensors = {
            name: torch.tensor(value, dtype=numbers[name]) if name in numbers else value.contiguous()
            for name, value in held.items()
            if value is not None
        }
        try:
            save_file(tensors, path)
        except (OSError, SafetensorError) as error:
            raise QuantgateError(
                f"activations cannot be kept: {error}", where=str(self._folder), hint="free some space on that disk"
            ) from error
        self._files[case_id] = path

    def close(self) -> None:
        """Remove everything."""
        self._files.clear()
        rmtree(self._folder, ignore_errors=True)

    def __getitem__(self, case_id: str) -> Reading:
        held: dict[str, Any] = load_file(self._files[case_id])
        rival, broken = held.pop("rival_log_probability", None), held.pop("broken_layer", None)
        return Reading(
            **{"gate": None, **held},
            rival_log_probability=None if rival is None else float(rival),
            broken_layer=None if broken is None else int(broken),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def capture(runner: Runner, points: Sequence[Point], folder: Path, told: Callable[[int], None]) -> Readings:
    """Reads a model at every point: as many passes as the prompt has parts, two for each place.

    Args:
        runner: The model.
        points: Where; each of another case.
        folder: Where the readings are kept, until they are closed.
        told: Called with 1 after each point.

    Raises:
        ModelError: The model cannot be looked into.
        QuantgateError: The readings cannot be kept.
    """
    readings = Readings(folder)
    try:
        for point in points:
            readings.keep(point.case_id, reading_of(runner, point))
            told(1)
    except BaseException:
        readings.close()
        raise
    return readings


def reading_of(runner: Runner, point: Point) -> Reading:
    """What a model does at one point.

    Raises:
        ModelError: It cannot be looked into.
    """
    tokens = point.token_ids
    places = [len(tokens) - 1] if point.subject is None else [len(tokens) - 1, point.subject]
    memory, read = runner.memory(), 0
    seen: dict[int, dict[str, torch.Tensor]] = {}
    for place in sorted(set(places)):
        if place > read:
            runner.read(tokens[read:place], memory)
        seen[place] = _watched(runner, tokens[place], memory, len(tokens))
        read = place + 1
    parts = {name: torch.stack([seen[place][name] for place in places]) for name in seen[places[0]]}
    logits = runner.lens(parts["residual"])
    lens = torch.stack(tuple(target_statistics(logits, point.target)), dim=-1).cpu()
    rival = None if point.rival is None else float(logits[0, -1].log_softmax(dim=-1)[point.rival])
    held: dict[str, Any] = {"gate": None, **parts}
    return Reading(**held, lens=lens, rival_log_probability=rival, broken_layer=_broken(parts, lens))


def _watched(runner: Runner, token: int, memory: DynamicCache, length: int) -> dict[str, torch.Tensor]:
    """What goes on in all layers while one token is read: ``(L, ...)`` each, ``residual`` with one more.

    Args:
        runner: The model.
        token: The token.
        memory: What stands before it; is added to.
        length: How long rows of attention are made, with zeros.
    """
    rows: defaultdict[str, list[torch.Tensor]] = defaultdict(list)

    def keep(name: str, given: Any) -> None:
        states = given[0] if isinstance(given, tuple) else given
        rows[name].append(states[0, -1].float().cpu())

    def keep_gate(given: torch.Tensor) -> None:
        keep("gate", given.chunk(2, dim=-1)[0])  # its other half are the neurons that it lets pass

    def keep_attention(_: int, probabilities: torch.Tensor) -> None:
        row = probabilities[:, -1].cpu()
        rows["attention"].append(functional.pad(row, (0, length - row.shape[-1])))

    with ExitStack() as stack:
        for site in runner.sites():
            stack.enter_context(entering(site, partial(keep, "residual")))
        for layer in runner.architecture.layers:
            linear = {component: runner.module(name) for component, name in layer.linear.items()}
            stack.enter_context(leaving(runner.module(layer.attention), partial(keep, "attention_out")))
            stack.enter_context(leaving(runner.module(layer.feed_forward), partial(keep, "feed_forward_out")))
            stack.enter_context(entering(linear["down_proj"], partial(keep, "neurons")))
            if "gate_proj" in linear:
                stack.enter_context(leaving(linear["gate_proj"], partial(keep, "gate")))
            elif "gate_up_proj" in linear:
                stack.enter_context(leaving(linear["gate_up_proj"], keep_gate))
        stack.enter_context(runner.attending(keep_attention))
        runner.read([token], memory)
    wanted = {"residual", "attention_out", "feed_forward_out", "neurons", "attention"}
    for name in sorted(wanted | {"gate"} if runner.architecture.gated else wanted):
        if len(rows[name]) != runner.n_layers + (name == "residual"):
            raise runner.unreadable(f"{name} was seen in {len(rows[name])} of its {runner.n_layers} layers")
    return {name: torch.stack(each) for name, each in rows.items()}


def _broken(parts: Mapping[str, torch.Tensor], lens: torch.Tensor) -> int | None:
    """The first layer where something is not finite."""
    layers = lens.shape[1] - 1
    whole = torch.ones(layers + 1, dtype=torch.bool)
    whole[layers] = lens[:, -1].isfinite().all()
    for name, part in parts.items():
        finite = part.isfinite().transpose(0, 1).flatten(1).all(dim=1)
        if name == "residual":  # what leaves a layer is the layer's; what enters the first one too
            finite, entered = finite[1:], finite[0]
            whole[0] &= entered
        whole[:layers] &= finite
    return None if bool(whole.all()) else int((~whole).nonzero()[0])
