"""What is measured: names, units and sources of everything that a diagnosis holds; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ENERGY: Final = 0.8
"""Share of the reference's spectral energy that its principal directions hold."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of number.

    Attributes:
        title: For headings and charts.
        unit: Of a value; empty for a plain number.
        along: What a curve or the rows of a grid run along; empty for a single value.
        low: Smallest possible value; None for none.
        high: Largest possible value; None for none.
        better: Where an intact candidate stands: near ``high``, near ``low``, or near the reference's own (``same``).
        says: One sentence for people: what it is.
    """

    title: str
    unit: str
    along: Literal["", "layer", "step", "layers quantized"]
    low: float | None
    high: float | None
    better: Literal["high", "low", "same"]
    says: str


MEASURES: Final[dict[str, Measure]] = {
    "target_rank": Measure(
        "Rank of the reference's token",
        "",
        "",
        1,
        None,
        "low",
        "the median place of the reference's token among all tokens, by the candidate's logits",
    ),
    "target_probability": Measure(
        "Probability of the reference's token", "", "", 0, 1, "high", "its mean probability where the answers part"
    ),
    "margin": Measure(
        "Margin over the other's token",
        "nats",
        "",
        None,
        None,
        "high",
        "log-probability of the reference's token less that of the candidate's, in the mean",
    ),
    "lens_probability": Measure(
        "Logit lens: probability",
        "",
        "layer",
        0,
        1,
        "same",
        "mean probability of the reference's token, read off each layer by the final norm and the output head",
    ),
    "lens_rank": Measure(
        "Logit lens: rank", "", "layer", 1, None, "same", "median rank of the reference's token, read off each layer"
    ),
    "lens_entropy": Measure(
        "Logit lens: entropy",
        "nats",
        "layer",
        0,
        None,
        "same",
        "mean entropy of the distribution that is read off each layer",
    ),
    "attention_entropy": Measure(
        "Normalized attention entropy",
        "",
        "layer",
        0,
        1,
        "same",
        "entropy of a head's attention over the entropy of even attention",
    ),
    "attention_divergence": Measure(
        "Attention divergence",
        "bits",
        "layer",
        0,
        1,
        "low",
        "Jensen-Shannon divergence of a head's attention from the reference's",
    ),
    "gate_sign_flips": Measure(
        "Gate sign flips",
        "",
        "layer",
        0,
        1,
        "low",
        "share of feed-forward gates whose sign differs from the reference's",
    ),
    "neuron_overlap": Measure(
        "Top neurons in common",
        "",
        "layer",
        0,
        1,
        "high",
        "Jaccard index of the 1% most activated feed-forward neurons",
    ),
    "feed_forward_cosine": Measure(
        "Cosine of feed-forward outputs",
        "",
        "layer",
        -1,
        1,
        "high",
        "cosine of the feed-forward output and the reference's",
    ),
    "layer_cosine": Measure(
        "Cosine of layer outputs",
        "",
        "layer",
        -1,
        1,
        "high",
        "cosine of the residual stream behind each layer and the reference's",
    ),
    "cka": Measure(
        "Linear CKA",
        "",
        "layer",
        0,
        1,
        "high",
        "centered kernel alignment of the activations of two layers over all cases",
    ),
    "subspace_similarity": Measure(
        "Principal subspaces in common",
        "",
        "layer",
        0,
        1,
        "high",
        "overlap of the principal directions of the activations with the reference's",
    ),
    "error_alignment": Measure(
        "Error in the signal's directions",
        "",
        "layer",
        0,
        1,
        "low",
        "overlap of the principal directions of the error with those of the reference's activations",
    ),
    "subspace_rank": Measure(
        "Principal directions",
        "",
        "layer",
        1,
        None,
        "same",
        f"how many directions hold {ENERGY:.0%} of the reference's spectral energy",
    ),
    "attention_entropy_steps": Measure(
        "Attention entropy along the answer",
        "",
        "step",
        0,
        1,
        "same",
        "normalized attention entropy of the newest token, in the mean over heads and layers",
    ),
    "answer_tokens": Measure("Length of answers", "tokens", "", 0, None, "same", "mean tokens of an answer"),
    "loop_rate": Measure("Answers that loop", "", "", 0, 1, "low", "share of answers that repeat until cut off"),
    "patching": Measure(
        "Restored by patching",
        "",
        "layer",
        None,
        None,
        "high",
        "share of the margin that the reference's residual state, put in at one layer and place, restores",
    ),
    "ablation": Measure(
        "Lost by zeroing",
        "nats",
        "layer",
        None,
        None,
        "same",
        "fall of the reference's token's log-probability when the residual state at one layer and place is zeroed",
    ),
    "domino": Measure(
        "First layers quantized",
        "",
        "layers quantized",
        0,
        1,
        "high",
        "share of the cases in which the reference's token keeps its rank when the first layers are the candidate's",
    ),
    "one_layer": Measure(
        "One layer quantized",
        "",
        "layer",
        0,
        1,
        "high",
        "share of the cases in which the reference's token keeps its rank when one layer is the candidate's",
    ),
    "one_component": Measure(
        "One component quantized",
        "",
        "",
        0,
        1,
        "high",
        "share of the cases in which the reference's token keeps its rank when one component is the candidate's",
    ),
}
"""By key. Formulas stand where each is computed.

What is read of activations and answers in ``diagnosis.probes``, averaged in ``diagnosis.measure``; attention along the
answer in ``diagnosis.entropy_steps``; patching, zeroing, and what is quantized alone or first in ``diagnosis.causal``.
"""
