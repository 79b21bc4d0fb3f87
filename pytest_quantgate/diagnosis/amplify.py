"""Peak-signal amplification: the most confident layer, louder. Imports torch: import it only to run models.

No variant does so: that it turns cases back says that a damaged signal is still there, and is no repair to recommend.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch

from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screened

FACTOR: Final = 3.0
"""How much louder; Zhou et al. used 2 to 9, chosen for each model by its result."""


def amplified(layers: torch.Tensor, factor: float) -> torch.Tensor:
    """The last layer's logits, and a factor times those of the layer of lowest entropy.

    Zhou et al., From Signal Degradation to Computation Collapse, section 4.3.1.

    Args:
        layers: What is read off behind each layer, ``(layers, vocabulary)``, the model's own logits last.
        factor: How much of them is added.

    Returns:
        ``(vocabulary,)``; not numbers where some of the logits are none.
    """
    entropies = torch.special.entr(layers.softmax(dim=-1)).sum(dim=-1)
    return layers[-1] + factor * layers[entropies.nan_to_num(nan=torch.inf).argmin()]


def amplify(runner: Runner, points: Iterable[Point], factor: float = FACTOR) -> Screened:
    """Which points turn by it: degraded ones to the reference's token, preserved ones to neither variant's.

    Args:
        runner: The candidate, as it is or with some layers kept; one pass over each point.
        points: Where.
        factor: See ``amplified``.
    """
    turned, lost = set(), set()
    for point in points:
        trace = runner.trace(point.token_ids)
        logits = amplified(runner.lens(trace.states[1:, -1]), factor)
        token = int(logits.argmax()) if bool(logits.isfinite().all()) else None
        if point.degraded and token == point.target:
            turned.add(point.case_id)
        elif not point.degraded and (token is None or token not in {point.target, point.rival}):
            lost.add(point.case_id)
    return Screened(frozenset(turned), frozenset(lost))
