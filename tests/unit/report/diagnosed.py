"""Diagnoses, made up without a model; shared by the tests of the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import exp

from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import (
    Curve,
    Diagnosis,
    Evidence,
    Grid,
    Group,
    Mode,
    Repair,
    Sample,
    Side,
    Trial,
    Value,
)
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import counted, run

SPEC = "nf4:skip=model.layers.0+model.layers.1+down_proj"
SIDES: tuple[Side, Side] = ("reference", "candidate")
GROUPS: tuple[Group, Group] = ("degraded", "preserved")


EVIDENCE = (
    Evidence(
        "rank of the reference's token", 3.0, 10.0, 100.0, Mode.DEGRADATION,
        "the median rank of the reference's token is 3.00: signal degradation (at most 10)",
    ),
    Evidence(
        "gate sign flips", 0.07, 0.15, 0.3, Mode.DEGRADATION,
        "0.07 of the feed-forward gates change their sign: signal degradation (at most 0.15)",
    ),
    Evidence(
        "CKA on the diagonal", 0.61, 0.8, 0.4, Mode.MIXED,
        "the same layers' CKA with the reference's is 0.61: between the limits of 0.4 and 0.8",
    ),
    Evidence(
        "first domino", 0.1, 0.5, 0.2, Mode.COLLAPSE,
        "with the first 2 layers quantized, 0.10 of the cases keep their next token: computation collapse"
        " (at most 0.2)",
    ),
    Evidence(
        "top neurons in common", 0.55, 0.4, 0.15, Mode.DEGRADATION,
        "the most activated neurons overlap by 0.55: signal degradation (at least 0.4)",
    ),
    Evidence(
        "restored by early patching", None, 0.5, 0.2, Mode.INCONCLUSIVE,
        "it was not measured, or is undefined, on the degraded cases",
    ),
)  # fmt: skip
"""Three criteria for degradation, one for collapse, one between its limits, one that was not measured."""

BEFORE = Trial("nf4", (), 4.5, 81_400_000, 0, 12, 0, 12, "decoded", "the candidate as it is")
CHOSEN = Trial(
    SPEC, ("model.layers.0", "model.layers.1", "down_proj"), 5.21, 95_200_000, 9, 12, 1, 12, "verified", "greedy"
)
REPAIR = Repair(
    before=BEFORE,
    trials=(
        Trial(
            "nf4:skip=model.layers.0", ("model.layers.0",), 4.72, 84_000_000, 4, 12, 0, 12, "screened", "early layers"
        ),
        Trial("nf4:skip=down_proj", ("down_proj",), 5.02, None, 6, 12, 2, 12, "screened", "most sensitive components"),
        replace(CHOSEN, stage="decoded"),
    ),
    chosen=CHOSEN,
    verdicts={"format": Verdict.PASS},
    reason="loaded afresh, its gate is PASS",
)
SAMPLE = Sample(
    degraded=tuple(f"case-{number}" for number in range(12)),
    preserved=tuple(f"case-{number}" for number in range(20, 32)),
    left_out={"over the limit of 8,000 tokens": 2},
    causal=("case-0", "case-1"),
    tokens=812,
)


def diagnosis(layers: int = 6) -> Diagnosis:
    """A diagnosis of ``format`` on ``nf4`` in which everything that has a name is measured.

    Args:
        layers: Of the model.
    """
    return Diagnosis(
        slice="format",
        reference="fp16",
        candidate="nf4",
        mode=Mode.DEGRADATION,
        evidence=EVIDENCE,
        sample=SAMPLE,
        values=_values(),
        curves=_curves(layers),
        grids=_grids(layers),
        repair=REPAIR,
        notes=("1 case has activations that are not numbers and is left out of every mean",),
    )


def few(layers: int = 2) -> Diagnosis:
    """The same with a few measures of each shape, which are drawn in a moment."""
    whole = diagnosis(layers)
    curves = tuple(each for each in whole.curves if each.measure in ("lens_rank", "gate_sign_flips", "domino"))
    return replace(whole, curves=curves, grids=(whole.grids[0], whole.grids[-1]))


def with_diagnoses(*diagnoses: Diagnosis) -> RunReport:
    """A run of the slice ``format`` on ``nf4`` with these diagnoses."""
    return replace(run(("format", counted("format", pp=20, pf=12))), diagnoses=diagnoses)


def hostile(text: str) -> RunReport:
    """A run with a diagnosis in which every string is untrusted, measures that nobody knows among them."""
    text = text[:2_000]
    good = few()
    trial = replace(CHOSEN, spec=text, kept=(text, text), way=text)
    untrusted = Diagnosis(
        slice=text,
        reference=text,
        candidate=text,
        mode=Mode.MIXED,
        evidence=tuple(replace(each, criterion=text, reason=text) for each in good.evidence),
        sample=Sample((text,), (text,), {text: 3}, (text,), 7),
        values=tuple(replace(each, part=text) for each in (*good.values, replace(good.values[0], measure=text))),
        curves=tuple(replace(each, part=text) for each in (*good.curves, replace(good.curves[0], measure=text))),
        grids=tuple(
            replace(each, part=text, rows=(text,) * len(each.rows), columns=(text,) * len(each.columns))
            for each in (*good.grids, replace(good.grids[0], measure=text))
        ),
        repair=Repair(replace(trial, stage="decoded"), (trial,), trial, {text: Verdict.PASS}, text),
        notes=(text,) * 5,
    )
    report = run((text, counted(text, pp=2, pf=1, candidate=text)), candidate=text)
    return replace(report, diagnoses=(untrusted,))


def _values() -> tuple[Value, ...]:
    def value(measure: str, side: Side, number: float | None, group: Group = "degraded", part: str = "") -> Value:
        return Value(measure, group, side, "parting", number, 12, part)

    return (
        value("target_rank", "reference", 1.0),
        value("target_rank", "candidate", 3.0),
        value("target_rank", "candidate", 1.0, "preserved"),
        value("target_probability", "reference", 0.83),
        value("target_probability", "candidate", 0.21),
        Value("answer_tokens", "degraded", "candidate", "answer", 41.25, 12),
        value("one_component", "candidate", 1.0, part="q_proj"),
        value("one_component", "candidate", 0.5, part="down_proj"),
        value("one_component", "candidate", None, part="gate_proj"),
    )


def _curve(measure: str, side: Side, group: Group, values: Iterable[float | None]) -> Curve:
    found = tuple(values)
    part = "layer" if measure == "cka" else ""
    return Curve(measure, group, side, "parting", tuple(range(len(found))), found, 12, part)


def _towards(end: float, layers: int, *, start: float = 0.0, power: int = 1) -> Iterator[float]:
    return (start + (end - start) * (layer / layers) ** power for layer in range(layers + 1))


def _curves(layers: int) -> tuple[Curve, ...]:
    found = []
    for measure, known in MEASURES.items():
        if not known.along or measure in ("patching", "ablation", "domino", "one_layer", "lens_rank"):
            continue
        if known.better == "same":
            top = 1.0 if known.high is not None else 4.0
            for side, share in zip(SIDES, (0.9, 0.4), strict=True):
                found.append(_curve(measure, side, "degraded", _towards(top * share, layers, power=2)))
        else:
            start, ends = (1.0, (0.7, 0.9)) if known.better == "high" else (0.0, (0.12, 0.03))
            for group, end in zip(GROUPS, ends, strict=True):
                found.append(_curve(measure, "both", group, (None, *_towards(end, layers, start=start))))
    for side, fall in zip(SIDES, (11, 7), strict=True):
        ranks = (round(20_000 * exp(-fall * layer / layers)) + 1.0 for layer in range(layers + 1))
        found.append(_curve("lens_rank", side, "degraded", ranks))
    kept = (round(12 * (1 - layer / layers) ** 2) / 12 for layer in range(layers + 1))
    return (*found, _curve("domino", "candidate", "degraded", kept))


def _grids(layers: int) -> tuple[Grid, ...]:
    names, heads, places = tuple(map(str, range(layers))), ("0", "1", "2"), ("subject", "parting", "all")
    near = [[exp(-abs(row - column) / layers) for column in range(layers)] for row in range(layers)]
    alike = {group: tuple(tuple(each * most for each in row) for row in near)
             for group, most in zip(GROUPS, (0.8, 0.98), strict=True)}  # fmt: skip
    apart = tuple(tuple(0.02 * row + 0.01 * head for head in range(3)) for row in range(layers))
    restored = tuple((0.9 - row / layers, 1.1 * row / layers - 0.1, 1.0) for row in range(layers))
    return (
        *(
            Grid("cka", group, "both", "parting", names, names, alike[group], 12, part)
            for group in GROUPS
            for part in ("layer", "attention", "feed_forward")
        ),
        Grid("attention_divergence", "degraded", "both", "parting", names, heads, ((0.0, None, 0.02), *apart[1:]), 12),
        *(
            Grid("patching", "degraded", "candidate", "parting", names, places, restored, 2, part)
            for part in ("", "turned")
        ),
    )
