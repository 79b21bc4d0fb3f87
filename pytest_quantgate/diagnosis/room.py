"""Memory that a search takes beside the two models. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantgate.diagnosis.points import Point
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
    dtype, and what is held from one trial to the next.

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
    trial = max((_trial_bytes(subject, keeping, max_bits, size) for keeping in keepings), default=0)
    return states + activations_bytes(candidate, longest(seen)) + trial


def _trial_bytes(subject: Subject, keeping: Keeping, max_bits: float, size: int) -> int:
    stored = subject.stored
    gaining = stored.protectable(keeping.bits)
    weights = sum(stored.weights[name] for name in gaining)
    least = min((keeping.bits - stored.bits[name] for name in gaining), default=1.0)
    room = (max_bits - stored.mean_bits()) * sum(stored.weights.values())
    return int(min(weights, room / least) * size + weights * keeping.held / _BYTE)
