"""Peak-signal amplification: the most confident layer, louder. Imports torch: import it only to run models.

No variant does so: that it turns cases back says that a damaged signal is still there, and is no repair to recommend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch

from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screened
from pytest_quantgate.diagnosis.standing import standing

FACTOR: Final = 3.0
"""How much louder; Zhou et al. used 2 to 9, chosen for each model by its result."""


def amplified(layers: torch.Tensor, factor: float) -> torch.Tensor:
    """The last layer's logits, and a factor times those of the layer of lowest entropy among the others.

    Zhou et al., From Signal Degradation to Computation Collapse, section 4.3.1. The last one is not among them: made
    louder, it says what it said before.

    Args:
        layers: What is read off behind each layer, ``(layers, vocabulary)``, the model's own logits last; at least two.
        factor: How much of them is added.

    Returns:
        ``(vocabulary,)``; not numbers where some of the logits are none.
    """
    entropies = torch.special.entr(layers[:-1].softmax(dim=-1)).sum(dim=-1)
    return layers[-1] + factor * layers[entropies.nan_to_num(nan=torch.inf).argmin()]


def amplify(
    runner: Runner, good: Mapping[Point, float], check: Callable[[], None] = lambda: None, factor: float = FACTOR
) -> Screened:
    """Which points turn by it: degraded ones whose token stands high enough then, preserved ones where it falls.

    Args:
        runner: The candidate of two layers at least, as it is or with some of them kept; one pass over each point.
        good: Where, and the lowest place of the reference's token that is still good there, as a ``Screen`` has it.
        check: Called before each point; what it raises goes through.
        factor: See ``amplified``.
    """
    turned, lost = set(), set()
    for point, lowest in good.items():
        check()
        trace = runner.trace(point.token_ids)
        logits = amplified(runner.lens(trace.states[1:, -1]), factor)
        stands = float(standing(logits, point.target)) <= lowest
        if point.degraded and stands:
            turned.add(point.case_id)
        elif not point.degraded and not stands:
            lost.add(point.case_id)
    return Screened(frozenset(turned), frozenset(lost))
