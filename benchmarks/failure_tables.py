"""The tables of two_failure_modes.py: what was measured of each variant, in Markdown, under the paper's figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from pytest_quantgate.diagnosis.classify import CRITERIA
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import NO_VARIANT, Evidence, Group, Mode, Place, Repair
from pytest_quantgate.report.diagnosis_sentences import kept, nearest_trial
from pytest_quantgate.report.diagnosis_sheets import evenly

QUARTERS = 4
LENS = ("lens_probability", "lens_rank")
"""Curves whose shape tells more than means of quarters: a token emerges within a few layers."""
LENS_LAYERS = 10
SHORT = {Mode.DEGRADATION: "degradation", Mode.COLLAPSE: "collapse"}
FIGURES = (
    ("Figure 3: logit lens, probability of the token", "lens_probability", ""),
    ("Figure 3: logit lens, rank of the token", "lens_rank", ""),
    ("Figure 6: normalized attention entropy", "attention_entropy", ""),
    ("Figure 6: attention divergence, bits", "attention_divergence", ""),
    ("Figure 7a: gate sign flips", "gate_sign_flips", ""),
    ("Figure 7b: top neurons in common", "neuron_overlap", ""),
    ("Figure 7c: cosine of feed-forward outputs", "feed_forward_cosine", ""),
    ("Figure 8: CKA of layers", "cka", "layer"),
    ("Figure 17: CKA of attention", "cka", "attention"),
    ("Figure 17: CKA of feed-forward", "cka", "feed_forward"),
    ("Figure 9a: principal subspaces in common", "subspace_similarity", ""),
    ("Figure 9b: error in the signal's directions", "error_alignment", ""),
    ("Figure 19: cosine of layer outputs", "layer_cosine", ""),
)
"""Of the paper: title, measure and part of each curve."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured of one variant.

    Attributes:
        spec: The variant.
        mode: The verdict.
        evidence: Its criteria.
        numbers: Everything that was measured.
        repair: What a search found; None where none was made.
    """

    spec: str
    mode: Mode
    evidence: tuple[Evidence, ...]
    numbers: Measured
    repair: Repair | None = None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), " | ".join(["---"] * len(head)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def written(number: float | None) -> str:
    """A number with two decimals; ranks and the like as they are."""
    return "-" if number is None else f"{round(number, 2) + 0.0:.2f}".removesuffix(".00")  # 0 has no sign


def verdict(found: Found) -> str:
    """The verdict in a word."""
    return SHORT.get(found.mode, found.mode.value)


def criteria(found: Sequence[Found]) -> str:
    """The verdicts, and what they rest on; their limits and sections of the paper are in the docs."""
    rows = [["**verdict**", *(verdict(each) for each in found)]]
    for place, criterion in enumerate(CRITERIA):
        marks = {Mode.DEGRADATION: "", Mode.COLLAPSE: " !", Mode.MIXED: " ~", Mode.INCONCLUSIVE: ""}
        told = [each.evidence[place] for each in found]
        cells = [written(each.measured) + marks[each.says] for each in told]
        rows.append([criterion.name, *cells])
    return (
        table(("criterion", *(each.spec for each in found)), rows)
        + "\n\n`!` speaks for collapse, `~` lies between the limits."
    )


def figures(found: Sequence[Found], group: Group, place: Place, *, own: bool) -> Iterator[str]:
    """Each curve of the paper's figures: the logit lens by layer, the others in the mean over each quarter of layers.

    With cases of its ``own`` each variant stands beside the reference on these.
    """
    for title, measure, part in FIGURES:
        rows, head = {}, ("first quarter", "second", "third", "last")
        for each in found:
            for curve in each.numbers.curves:
                if (curve.measure, curve.part, curve.group, curve.place) == (measure, part, group, place):
                    reference = f"reference, cases of {each.spec}" if own else "reference"
                    who = reference if curve.side == "reference" else each.spec
                    shown = quarters(curve.values)
                    if measure in LENS:
                        places = evenly(range(len(curve.at)), LENS_LAYERS)
                        shown, head = [curve.values[at] for at in places], tuple(str(curve.at[at]) for at in places)
                    rows[who] = [who, *(written(number) for number in shown)]
        if rows:
            yield f"{title} ({group}, {place})\n\n" + table(("variant", *head), list(rows.values()))


def quarters(values: Sequence[float | None]) -> list[float | None]:
    """Means over four stretches of about the same length."""
    ends = [round(len(values) * quarter / QUARTERS) for quarter in range(QUARTERS + 1)]
    stretches = [[each for each in values[low:high] if each is not None] for low, high in pairwise(ends)]
    return [fmean(stretch) if stretch else None for stretch in stretches]


def dominoes(found: Sequence[Found]) -> Iterator[str]:
    """Share of the cases that keep their token behind so many quantized layers (figure 10, table 2)."""
    curves = {each.spec: curve for each in found for curve in each.numbers.curves if curve.measure == "domino"}
    at = sorted({layer for curve in curves.values() for layer in curve.at})
    rows = []
    for spec, curve in curves.items():
        points = dict(zip(curve.at, curve.values, strict=True))
        rows.append([spec, *(written(points.get(layer)) for layer in at)])
    if rows:
        yield "Figure 10, table 2: first layers quantized\n\n" + table(("variant", *map(str, at)), rows)


def components(found: Sequence[Found]) -> Iterator[str]:
    """Share of the cases that keep their token with one component quantized everywhere (table 5)."""
    values = {each.spec: [v for v in each.numbers.values if v.measure == "one_component"] for each in found}
    parts = list(dict.fromkeys(value.part for each in values.values() for value in each))
    rows = []
    for spec, each in values.items():
        by_part = {value.part: value.value for value in each}
        rows.append([spec, *(written(by_part.get(part)) for part in parts)])
    if parts:
        yield "Table 5: one component quantized\n\n" + table(("variant", *parts), rows)


def repairs(found: Sequence[Found]) -> Iterator[str]:
    """The repair that each search ends with, or what came nearest to one; then what each came to, and what it keeps."""
    rows, told = [], []
    for each in found:
        if each.repair is not None:
            best, chosen = each.repair.chosen or nearest_trial(each.repair), each.repair.chosen
            repaired = written(None if chosen is None else chosen.bits)
            back = lost = keeps = ""
            if best is not None:
                back = f"{best.turned_back} of {best.degraded}{'' if chosen else f' at the most, {best.stage}'}"
                lost = f"{best.lost} of {best.preserved}" if best.preserved else "there are none to lose"
                keeps = f"; keeps {kept(best)}"
            rows.append([f"`{each.spec}`", written(each.repair.before.bits), verdict(each), repaired, back, lost])
            told.append(f"- `{each.spec}`: {each.repair.reason}{keeps}")
    if rows:
        head = ("variant", "bits", "verdict", "repaired", "turned back", "lost")
        yield "\n\n".join(["Repairs", table(head, rows), "\n".join(told)])


def unspecified(found: Sequence[Found]) -> Iterator[str]:
    """What was tried that no spec can say: amplification and compensation (table 1, section 4.3.2)."""
    rows = [
        (
            f"`{each.spec}`",
            trial.way.replace(NO_VARIANT, "").strip(),
            written(trial.bits),
            f"{trial.turned_back} of {trial.degraded}",
            f"{trial.lost} of {trial.preserved}",
        )
        for each in found
        if each.repair is not None
        for trial in each.repair.trials
        if NO_VARIANT in trial.way
    ]
    if rows:
        head = ("variant", "remedy", "bits", "turned back", "lost")
        yield "Remedies that no spec can say, along known answers\n\n" + table(head, rows)


def grids(found: Sequence[Found]) -> Iterator[str]:
    """What the reference's state restores, and what a zeroed one loses, by layer and place (figures 4 and 5)."""
    titles = {
        ("patching", ""): "Figure 4: {}, margin restored",
        ("patching", "turned"): "Figure 4: {}, share of cases turned back",
        ("ablation", ""): "Figure 5: {}, fall of the log-probability, {}",
    }
    for each in found:
        for grid in each.numbers.grids:
            title = titles.get((grid.measure, grid.part))
            if title is not None:
                rows = [
                    [column, *(written(row[place]) for row in grid.values)] for place, column in enumerate(grid.columns)
                ]
                yield title.format(each.spec, grid.side) + "\n\n" + table(("place", *grid.rows), rows)
