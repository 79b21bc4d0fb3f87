"""Memory that a search takes beside the two models. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantgate.diagnosis.low_rank import compensating_bytes
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.protection import Stored
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import longest, looked_at
from pytest_quantgate.diagnosis.sensitivity import activations_bytes
from pytest_quantgate.diagnosis.trials import Keeping, Subject

_BYTE = 8


def needed_bytes(
    candidate: Runner, points: Sequence[Point], subject: Subject, keepings: Sequence[Keeping], max_bits: float
) -> int:
    """Most bytes that a search holds at a time, but for decoding, which takes what there is.

    The candidate's states at all points, and at as many tokens of learned ones, for a while of those before and of new
    ones; the activations of the longest of them, while layers are put in order; the layers of one trial in the compute
    dtype, or the products that make up for errors, and what is held from one trial to the next.

    Args:
        candidate: The one that is protected.
        points: Where cases are screened.
        subject: What its layers take.
        keepings: How layers are kept.
        max_bits: Mean bits that a protection may take.
    """
    config, size = candidate.model.config.get_text_config(decoder=True), candidate.model.dtype.itemsize
    seen = looked_at(points)
    tokens = 3 * sum(len(point.token_ids) for point in seen)
    states = tokens * (candidate.n_layers + 1) * int(config.hidden_size) * size
    stored = subject.stored
    room = (max_bits - stored.mean_bits()) * sum(stored.weights.values())
    preserved = sum(len(point.token_ids) for point in seen if not point.degraded)
    tried = max((_trial_bytes(stored, keeping, room, size) for keeping in keepings), default=0)
    held = max((_held_bytes(stored, keeping) for keeping in keepings), default=0)
    activations = activations_bytes(candidate, longest(seen))
    return states + activations + max(tried, compensating_bytes(candidate, preserved, room)) + held


def _trial_bytes(stored: Stored, keeping: Keeping, room: float, size: int) -> int:
    gaining = stored.protectable(keeping.bits)
    least = min((keeping.bits - stored.bits[name] for name in gaining), default=1.0)
    return int(min(sum(stored.weights[name] for name in gaining), room / least) * size)


def _held_bytes(stored: Stored, keeping: Keeping) -> int:
    return int(sum(stored.weights[name] for name in stored.protectable(keeping.bits)) * keeping.held / _BYTE)
