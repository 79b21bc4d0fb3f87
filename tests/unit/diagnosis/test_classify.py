from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import pytest

from pytest_quantgate.diagnosis.classify import CRITERIA, Criterion, Seen, classify
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import Curve, Evidence, Grid, Mode, Side, Value

LAYERS = 8
# What each criterion reads, on either side of its limits and between them.
INTACT: Mapping[str, float] = {
    "target_rank": 3,
    "lens_probability": 0.5,
    "attention_entropy": 0.01,
    "attention_divergence": 0.02,
    "gate_sign_flips": 0.03,
    "neuron_overlap": 0.8,
    "feed_forward_cosine": 0.97,
    "cka": 0.98,
    "subspace_similarity": 0.9,
    "patching": 0.9,
    "domino": 0.9,
}
BROKEN: Mapping[str, float] = {
    "target_rank": 4_000,
    "lens_probability": 0.001,
    "attention_entropy": 0.4,
    "attention_divergence": 0.7,
    "gate_sign_flips": 0.45,
    "neuron_overlap": 0.02,
    "feed_forward_cosine": 0.05,
    "cka": 0.1,
    "subspace_similarity": 0.1,
    "patching": 0.02,
    "domino": 0.0,
}


def curve(measure: str, side: Side, *values: float | None, part: str = "") -> Curve:
    """A curve over the degraded cases."""
    return Curve(measure, "degraded", side, "parting", tuple(range(len(values))), values, 5, part)


def even(measure: str, value: float, side: Side = "both", part: str = "") -> Curve:
    """The same at every layer."""
    return curve(measure, side, *[value] * LAYERS, part=part)


def diagnosis(numbers: Mapping[str, float]) -> Measured:
    """Measurements that every criterion named reads as this number."""
    values, curves, grids = [], [], []
    for measure, number in numbers.items():
        match measure:
            case "target_rank":
                values += [Value(measure, "degraded", "candidate", "parting", number, 5)]
            case "lens_probability":
                curves += [even(measure, 0.8, "reference"), even(measure, 0.8 * number, "candidate")]
            case "attention_entropy":
                curves += [even(measure, 0.3, "reference"), even(measure, 0.3 + number, "candidate")]
            case "domino":
                curves += [curve(measure, "candidate", 1.0, 1.0, number, 0.0)]
            case "patching":
                rows = tuple(map(str, range(4)))
                grids += [patching(rows, ((0.0, 0.0, 0.0), (number, 0.3, 0.3), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)))]
            case _:
                curves += [even(measure, number, part="attention" if measure == "cka" else "")]
    return Measured(tuple(values), tuple(curves), tuple(grids))


def patching(rows: tuple[str, ...], cells: tuple[tuple[float | None, ...], ...]) -> Grid:
    """The grid of patching: where the answers part, at the subject, and everywhere at once."""
    columns = ("parting", "subject", "all")
    return Grid("patching", "degraded", "candidate", "parting", rows, columns, cells, 5, "turned")


def judged(found: Measured) -> tuple[Mode, tuple[Evidence, ...]]:
    """The verdict on measurements."""
    return classify(found.values, found.curves, found.grids)


def spoken(found: Measured) -> list[Evidence]:
    """The evidence that was measured."""
    return [each for each in judged(found)[1] if each.measured is not None]


def test_intact_computation_is_signal_degradation() -> None:
    mode, evidence = judged(diagnosis(INTACT))
    assert mode is Mode.DEGRADATION
    assert {each.says for each in evidence} == {Mode.DEGRADATION}


def test_broken_components_are_computation_collapse() -> None:
    mode, evidence = judged(diagnosis(BROKEN))
    assert mode is Mode.COLLAPSE
    assert {each.says for each in evidence} == {Mode.COLLAPSE}


@pytest.mark.parametrize("measure", sorted(INTACT))
@pytest.mark.parametrize(("numbers", "mode"), [(INTACT, Mode.DEGRADATION), (BROKEN, Mode.COLLAPSE)])
def test_every_criterion_reads_a_measure_of_its_own(measure: str, numbers: Mapping[str, float], mode: Mode) -> None:
    assert measure in MEASURES
    (alone,) = spoken(diagnosis({measure: numbers[measure]}))
    assert alone.says is mode
    assert alone.measured == pytest.approx(numbers[measure])


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda each: each.name)
def test_a_limit_belongs_to_its_side_and_between_the_limits_it_says_neither(criterion: Criterion) -> None:
    numbers = (criterion.degradation, (criterion.degradation + criterion.collapse) / 2, criterion.collapse)
    exact = [dataclasses.replace(criterion, read=partial(lambda number, _seen: number, each)) for each in numbers]
    said = [each.judged(Seen((), (), ())).says for each in exact]
    assert said == [Mode.DEGRADATION, Mode.MIXED, Mode.COLLAPSE]


def test_nothing_measured_is_inconclusive() -> None:
    mode, evidence = judged(Measured())
    assert mode is Mode.INCONCLUSIVE
    assert len(evidence) == len(CRITERIA)
    assert {each.says for each in evidence} == {Mode.INCONCLUSIVE}
    assert all("not measured" in each.reason for each in evidence)


def test_three_criteria_are_too_few_whatever_they_say() -> None:
    few = ("target_rank", "gate_sign_flips", "neuron_overlap")
    assert judged(diagnosis({each: BROKEN[each] for each in few}))[0] is Mode.INCONCLUSIVE
    assert judged(diagnosis({each: BROKEN[each] for each in (*few, "cka")}))[0] is Mode.COLLAPSE


@pytest.mark.parametrize(
    ("broken", "between", "mode"),
    [
        (2, 0, Mode.DEGRADATION),  # 4 of 6 intact
        (3, 0, Mode.MIXED),
        (4, 0, Mode.COLLAPSE),
        (1, 2, Mode.DEGRADATION),  # 3 intact and two halves
        (2, 1, Mode.MIXED),  # 3 and a half
        (3, 2, Mode.COLLAPSE),
        (0, 6, Mode.MIXED),
    ],
)
def test_two_thirds_of_what_was_measured_decide_and_one_between_its_limits_counts_half(
    broken: int, between: int, mode: Mode
) -> None:
    middle = {
        "attention_divergence": 0.2,
        "gate_sign_flips": 0.2,
        "neuron_overlap": 0.3,
        "cka": 0.6,
        "subspace_similarity": 0.5,
        "feed_forward_cosine": 0.6,
    }
    keys = list(middle)
    numbers = {key: BROKEN[key] for key in keys[:broken]}
    numbers |= {key: middle[key] for key in keys[broken : broken + between]}
    numbers |= {key: INTACT[key] for key in keys[broken + between :]}
    assert judged(diagnosis(numbers))[0] is mode


@pytest.mark.parametrize("undefined", [None, float("nan"), float("inf")])
def test_what_is_undefined_is_passed_over_and_not_averaged(undefined: float | None) -> None:
    flips = Measured(curves=(curve("gate_sign_flips", "both", 0.02, undefined, 0.04),))
    (evidence,) = spoken(flips)
    assert evidence.measured == pytest.approx(0.03)
    nothing = Measured(
        values=(Value("target_rank", "degraded", "candidate", "parting", undefined, 0),),
        curves=(curve("cka", "both", undefined, part="attention"), curve("domino", "candidate", 1.0, 1.0, undefined)),
        grids=(patching(("0", "1"), ((undefined, 1.0, 1.0), (1.0, 1.0, 1.0))),),
    )
    assert spoken(nothing) == []


def test_a_reference_without_a_signal_of_its_own_gives_no_ratio() -> None:
    silent = (even("lens_probability", 0.0, "reference"), even("lens_probability", 0.0, "candidate"))
    assert spoken(Measured(curves=silent)) == []
    assert spoken(Measured(curves=silent[:1])) == []


def test_preserved_cases_and_other_places_do_not_count() -> None:
    flips = even("gate_sign_flips", 0.5)
    elsewhere = (dataclasses.replace(flips, group="preserved"), dataclasses.replace(flips, place="subject"))
    assert spoken(Measured(curves=elsewhere)) == []


def test_patching_is_read_half_way_at_the_token_alone_and_not_at_the_best_of_all_places() -> None:
    cells = ((0.9, 1.0, 1.0), (0.05, 1.0, 1.0), (1.0, 0.5, 1.0), (1.0, 0.5, 1.0))
    (evidence,) = spoken(Measured(grids=(patching(("0", "14", "15", "29"), cells),)))
    assert (evidence.measured, evidence.says) == (0.05, Mode.COLLAPSE)
    elsewhere = dataclasses.replace(patching(("0", "1"), ((1.0, 1.0), (1.0, 1.0))), columns=("subject", "all"))
    assert spoken(Measured(grids=(elsewhere,))) == []
    assert spoken(Measured(grids=(patching(("0",), ((1.0, 1.0, 1.0),)),))) == []


def test_the_margin_that_patching_restores_is_no_criterion() -> None:
    margin = dataclasses.replace(patching(("0", "1"), ((0.9, 0.9, 0.9), (1.0, 1.0, 1.0))), part="")
    assert spoken(Measured(grids=(margin,))) == []


@pytest.mark.parametrize(("count", "mode"), [(1, Mode.INCONCLUSIVE), (2, Mode.INCONCLUSIVE), (3, Mode.COLLAPSE)])
def test_one_or_two_cases_are_no_verdict(count: int, mode: Mode) -> None:
    found = diagnosis(BROKEN)
    few = Measured(
        tuple(dataclasses.replace(each, count=count) for each in found.values),
        tuple(dataclasses.replace(each, count=count) for each in found.curves),
        tuple(dataclasses.replace(each, count=count) for each in found.grids),
    )
    verdict, evidence = judged(few)
    assert verdict is mode
    assert all("at least 3 degraded cases" in each.reason for each in evidence if each.measured is None)


@pytest.mark.parametrize(
    ("change", "says", "words"),
    [
        (-0.3, Mode.COLLAPSE, "is 0.30 below the reference's: computation collapse (at least 0.2)"),
        (-0.02, Mode.DEGRADATION, "is 0.02 below the reference's: signal degradation (at most 0.05)"),
        (0.3, Mode.COLLAPSE, "is 0.30 above the reference's: computation collapse (at least 0.2)"),
    ],
)
def test_attention_that_gets_sharper_is_as_much_a_change_as_one_that_gets_blunter(
    change: float, says: Mode, words: str
) -> None:
    entropies = (even("attention_entropy", 0.5, "reference"), even("attention_entropy", 0.5 + change, "candidate"))
    (evidence,) = spoken(Measured(curves=entropies))
    assert evidence.says is says
    assert evidence.measured == pytest.approx(abs(change))
    assert evidence.reason.endswith(words)


def test_attention_and_its_cka_are_looked_at_where_damage_has_added_up() -> None:
    cka = curve("cka", "both", 1.0, 1.0, 0.2, 0.4, part="attention")
    entropy = (curve("attention_entropy", "reference", 0.1, 0.9, 0.3, 0.3), even("attention_entropy", 0.6, "candidate"))
    found = [each.measured for each in spoken(Measured(curves=(cka, *entropy)))]
    assert found == pytest.approx([0.3, 0.3])


def test_the_first_domino_falls_behind_the_first_layers_even_where_not_every_layer_was_tried() -> None:
    coarse = Curve("domino", "degraded", "candidate", "parting", (0, 3, 6), (1.0, 0.1, 0.0), 5)
    (evidence,) = spoken(Measured(curves=(coarse,)))
    assert (evidence.measured, evidence.says) == (0.1, Mode.COLLAPSE)


def test_a_reason_holds_the_number_and_the_limit_that_decided() -> None:
    (low,) = spoken(diagnosis({"gate_sign_flips": 0.034}))
    assert low.reason == "0.03 of the feed-forward gates change their sign: signal degradation (at most 0.15)"
    (high,) = spoken(diagnosis({"target_rank": 4_000}))
    assert high.reason.startswith("the median rank of the reference's token is 4000")
    assert high.reason.endswith("computation collapse (at least 100)")
    (neither,) = spoken(diagnosis({"gate_sign_flips": 0.2}))
    assert neither.reason.endswith("between 0.15 and 0.3, neither")


def test_a_number_never_reads_like_a_limit_that_it_does_not_keep() -> None:
    (beside,) = spoken(diagnosis({"gate_sign_flips": 0.1504}))
    assert beside.says is Mode.MIXED
    assert beside.reason.startswith("0.1504 of")
