"""Readings compared and averaged: known answers on made-up activations, and what is undefined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log, sqrt

import pytest
import torch

from pytest_quantgate.diagnosis.capture import Reading
from pytest_quantgate.diagnosis.measure import FEWEST, measured
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import Curve, Grid, Place, Value
from tests.unit.diagnosis.made_up import (
    HEADS,
    LAYERS,
    NEURONS,
    SUBJECT,
    TOKENS,
    WIDTH,
    changed,
    curve,
    grid,
    named,
    noisy,
    point,
    points,
    readings,
)

CASES = 40


def test_variants_that_do_the_same() -> None:
    those = points(FEWEST)
    found = measured(those, readings(those), readings(those))
    for place in ("parting", "subject"):
        for measure, same in (
            ("attention_divergence", 0),
            ("gate_sign_flips", 0),
            ("neuron_overlap", 1),
            ("feed_forward_cosine", 1),
            ("layer_cosine", 1),
            ("subspace_similarity", 1),
        ):
            assert curve(found, measure, place).values == pytest.approx([same] * LAYERS, abs=1e-4)
        for part in ("layer", "attention", "feed_forward"):
            assert curve(found, "cka", place, part=part).values == pytest.approx([1] * LAYERS)
        sides = [curve(found, "attention_entropy", place, side=side) for side in ("reference", "candidate")]
        assert sides[0].values == sides[1].values
        assert curve(found, "error_alignment", place).values == (None,) * LAYERS
    assert found.notes == tuple(
        f"Error in the signal's directions of degraded cases {where} is undefined for some cases or layers: "
        "there is no error, or it is the same for all cases"
        for where in ("where the answers part", "at the subject")
    )


@pytest.mark.parametrize("size", [0.2, 1.0])
def test_noise_of_known_size(size: float) -> None:
    those = points(CASES)
    before = readings(those)
    found = measured(those, before, noisy(before, size))
    for measure in ("feed_forward_cosine", "layer_cosine"):
        values = curve(found, measure).values
        assert values == pytest.approx([1 / sqrt(1 + size**2)] * LAYERS, abs=0.02)
    for part in ("layer", "attention", "feed_forward"):
        alignments = torch.tensor(grid(found, "cka", part).values)
        assert alignments == pytest.approx(torch.eye(LAYERS) / (1 + size**2), abs=0.12)
    rank = curve(found, "subspace_rank", side="reference").values[0]
    assert rank is not None
    assert curve(found, "error_alignment").values == pytest.approx([rank / WIDTH] * LAYERS, abs=0.06)


def test_every_number_has_a_name_and_lies_within_its_bounds() -> None:
    those = points(12) + [point(f"other {each}", degraded=False) for each in range(12)]
    before = readings(those)
    found = measured(those, before, noisy(before, 3.0))
    assert named(found) == {
        "target_rank",
        "target_probability",
        "margin",
        "lens_probability",
        "lens_rank",
        "lens_entropy",
        "attention_entropy",
        "attention_divergence",
        "gate_sign_flips",
        "neuron_overlap",
        "feed_forward_cosine",
        "layer_cosine",
        "cka",
        "subspace_similarity",
        "error_alignment",
        "subspace_rank",
    }
    numbers = [(each.measure, each.value) for each in found.values]
    numbers += [(each.measure, value) for each in found.curves for value in each.values]
    numbers += [(each.measure, value) for each in found.grids for row in each.values for value in row]
    for measure, value in numbers:
        low, high = MEASURES[measure].low, MEASURES[measure].high
        assert type(value) is float
        assert low is None or value >= low, measure
        assert high is None or value <= high, measure
    assert all(each.at == tuple(range(LAYERS)) and len(each.values) == LAYERS for each in found.curves)
    assert all(len(row) == len(each.columns) for each in found.grids for row in each.values)
    assert all(len(each.values) == len(each.rows) for each in found.grids)


def flipped(one: Reading, signs: torch.Tensor) -> Reading:
    """The reading with its gates times a sign for each place."""
    assert one.gate is not None
    return replace(one, gate=one.gate * signs[:, None, None])


def test_groups_are_averaged_apart() -> None:
    those = [point("broken"), point("fine", degraded=False)]
    before = readings(those)
    found = measured(those, before, before | {"broken": flipped(before["broken"], -torch.ones(2))})
    assert curve(found, "gate_sign_flips").values == (1.0,) * LAYERS
    assert curve(found, "gate_sign_flips", group="preserved").values == (0.0,) * LAYERS
    assert measured(those[:1], before, before).curves == tuple(
        each for each in measured(those, before, before).curves if each.group == "degraded"
    )


def test_places_are_averaged_apart_and_count_their_own_cases() -> None:
    those = [point("with"), point("without", subject=None)]
    before = readings(those)
    found = measured(those, before, before | {"with": flipped(before["with"], torch.tensor([1.0, -1.0]))})
    assert curve(found, "gate_sign_flips", "parting") == Curve(
        "gate_sign_flips", "degraded", "both", "parting", (0, 1, 2), (0.0, 0.0, 0.0), 2
    )
    assert curve(found, "gate_sign_flips", "subject").values == (1.0, 1.0, 1.0)
    assert curve(found, "gate_sign_flips", "subject").count == 1


def ended(one: Reading, ranks: Sequence[float], probabilities: Sequence[float]) -> Reading:
    """The reading with this lens, the bare embeddings first."""
    columns = (
        torch.tensor(probabilities),
        torch.tensor(ranks),
        torch.full((4,), 2.0),
        torch.tensor(probabilities).log(),
    )
    return replace(one, lens=torch.stack(columns, dim=-1).expand(len(one.places), 4, 4))


def test_rank_probability_and_margin_of_the_target() -> None:
    those = points(3)
    before = readings(those)
    lenses = ([9, 8, 7, 1], [9, 9, 9, 3], [9, 1, 2, 500])
    after = {
        each.case_id: ended(before[each.case_id], ranks, [0.0, 0.1, 0.1 * number, 0.25])
        for number, (each, ranks) in enumerate(zip(those, lenses, strict=True))
    }
    after["case 2"] = replace(after["case 2"], rival_log_probability=None)
    found = measured(those, before, after)
    *ends, margin = [each for each in found.values if each.side == "candidate"]
    assert ends == [
        Value("target_rank", "degraded", "candidate", "parting", 3.0, 3),
        Value("target_probability", "degraded", "candidate", "parting", 0.25, 3),
    ]
    assert (margin.measure, margin.count) == ("margin", 2)
    assert margin.value == pytest.approx(0, abs=1e-6)
    assert [each.value for each in found.values if each.side == "reference"] == [
        1.0,
        0.5,
        pytest.approx(log(2), abs=1e-5),
    ]
    assert curve(found, "lens_rank", side="candidate").values == (8.0, 7.0, 3.0)
    assert curve(found, "lens_probability", side="candidate").values == pytest.approx([0.1, 0.1, 0.25])
    assert curve(found, "lens_entropy", side="candidate").values == (2.0, 2.0, 2.0)


def test_the_lens_is_read_at_the_subject_too() -> None:
    those = [point("a fact"), point("no subject", subject=None)]
    before = readings(those)
    lens = before["a fact"].lens.clone()
    lens[1, 1:, :3] = torch.tensor([[0.0, 90.0, 3.0], [0.25, 20.0, 2.0], [0.75, 1.0, 1.0]])
    found = measured(those, before, before | {"a fact": replace(before["a fact"], lens=lens)})
    for measure, values in (
        ("lens_probability", (0.0, 0.25, 0.75)),
        ("lens_rank", (90.0, 20.0, 1.0)),
        ("lens_entropy", (3.0, 2.0, 1.0)),
    ):
        assert curve(found, measure, "subject", side="candidate").values == values
        assert curve(found, measure, "subject", side="candidate").count == 1
        there = [curve(found, measure, side=side) for side in ("reference", "candidate")]
        assert there[0].values == there[1].values
        assert {each.count for each in there} == {2}
    assert {each.place for each in found.values} == {"parting"}


def test_without_a_rival_there_is_no_margin() -> None:
    those = points(2)
    alone = changed(readings(those), lambda _: {"rival_log_probability": None})
    assert "margin" not in named(measured(those, alone, alone))


def test_divergence_by_head() -> None:
    first = torch.zeros(1, LAYERS, HEADS, TOKENS)
    first[..., 0] = 1
    moved = first.clone()
    moved[:, 1, 1] = torch.tensor([0.0, 1, 0, 0, 0, 0])
    those = points(2, subject=None)
    before = changed(readings(those), lambda _: {"attention": first})
    found = measured(those, before, before | {"case 0": replace(before["case 0"], attention=moved)})
    assert grid(found, "attention_divergence") == Grid(
        "attention_divergence",
        "degraded",
        "both",
        "parting",
        ("0", "1", "2"),
        ("0", "1"),
        ((0.0, 0.0), (0.0, 0.5), (0.0, 0.0)),
        2,
    )
    assert curve(found, "attention_divergence").values == (0.0, 0.25, 0.0)
    assert curve(found, "attention_entropy", side="reference").values == (0.0, 0.0, 0.0)


def test_entropy_by_head_of_both_sides() -> None:
    sharp = torch.zeros(1, LAYERS, HEADS, TOKENS)
    sharp[..., 0] = 1
    blunt = sharp.clone()
    blunt[:, 1, 1] = 1 / TOKENS
    those = points(2, subject=None)
    before = changed(readings(those), lambda _: {"attention": sharp})
    found = measured(those, before, before | {"case 0": replace(before["case 0"], attention=blunt)})
    assert grid(found, "attention_entropy", side="reference").values == ((0.0, 0.0),) * LAYERS
    after = grid(found, "attention_entropy", side="candidate")
    assert (after.rows, after.columns, after.count) == (("0", "1", "2"), ("0", "1"), 2)
    assert torch.tensor(after.values) == pytest.approx(torch.tensor([[0, 0], [0, 0.5], [0, 0]]))
    assert curve(found, "attention_entropy", side="candidate").values == pytest.approx([0, 0.25, 0])


def test_entropy_is_over_what_can_be_seen() -> None:
    halves = torch.zeros(2, LAYERS, HEADS, TOKENS)
    halves[..., :2] = 0.5
    those = points(1)
    before = changed(readings(those), lambda _: {"attention": halves})
    found = measured(those, before, before)
    seen: dict[Place, int] = {"parting": TOKENS, "subject": SUBJECT + 1}
    for place, positions in seen.items():
        values = curve(found, "attention_entropy", place, side="candidate").values
        assert values == pytest.approx([log(2) / log(positions)] * LAYERS)


def test_a_layer_is_told_by_the_residual_stream_behind_it() -> None:
    those = points(2)
    before = readings(those)
    signs = torch.tensor([1.0, 1.0, -1.0, 1.0])[:, None]
    found = measured(those, before, changed(before, lambda one: {"residual": one.residual * signs}))
    assert curve(found, "layer_cosine").values == pytest.approx([1, -1, 1])


def test_activations_that_are_alike_for_all_cases() -> None:
    those = points(FEWEST)
    before = readings(those)
    alike = changed(before, lambda _: {"residual": before["case 0"].residual})
    found = measured(those, before, alike)
    assert curve(found, "cka", part="layer").values == (None,) * LAYERS
    assert curve(found, "subspace_similarity").values == (0.0,) * LAYERS
    assert curve(found, "error_alignment").values == pytest.approx([1] * LAYERS, abs=1e-4)
    found = measured(those, alike, before)
    assert curve(found, "subspace_rank", side="reference").values == (None,) * LAYERS
    for measure in ("subspace_similarity", "error_alignment"):
        assert curve(found, measure).values == (None,) * LAYERS
    assert any(note.startswith("Principal directions of degraded cases") for note in found.notes)


def test_rows_of_cka_are_the_references_layers() -> None:
    those = points(CASES)
    before = readings(those)
    found = measured(those, before, changed(before, lambda one: {"attention_out": one.attention_out.roll(1, dims=1)}))
    alignments = torch.tensor(grid(found, "cka", "attention").values)
    # the reference's layer 0 is what the candidate's layer 1 gives
    assert alignments == pytest.approx(torch.eye(LAYERS).roll(1, dims=1), abs=0.12)


def test_cka_and_subspaces_need_cases() -> None:
    those = points(FEWEST - 1)
    found = measured(those, readings(those), noisy(readings(those), 0.1))
    assert not named(found) & {"cka", "subspace_similarity", "error_alignment", "subspace_rank"}
    assert found.notes == (
        "no CKA or subspaces of 9 degraded cases where the answers part: they need 10",
        "no CKA or subspaces of 9 degraded cases at the subject: they need 10",
    )


def test_cases_that_are_not_finite_or_not_read_are_in_no_mean() -> None:
    those = points(5, subject=None)
    before = readings(those)
    alone = measured(those[:2], before, before)
    nothing = torch.full((1, LAYERS, NEURONS), torch.nan)
    after = before | {
        "case 2": replace(before["case 2"], gate=nothing, broken_layer=1),
        "case 3": replace(before["case 3"], lens=before["case 3"].lens * torch.nan, broken_layer=LAYERS),
    }
    del after["case 4"]
    found = measured(those, before, after)
    assert (found.values, found.curves, found.grids) == (alone.values, alone.curves, alone.grids)
    assert found.notes[:3] == (
        "1 of 5 degraded cases are in no mean: activations of the candidate are not finite from layer 1 on",
        "1 of 5 degraded cases are in no mean: activations of the candidate are not finite behind the last layer",
        "1 of 5 degraded cases are in no mean: their activations were not read",
    )


def test_without_any_case_there_is_nothing() -> None:
    those = points(1)
    whole = readings(those)
    broken = changed(whole, lambda _: {"broken_layer": 0})
    for side, before, after in (("reference", broken, whole), ("candidate", whole, broken)):
        note = f"1 of 1 degraded cases are in no mean: activations of the {side} are not finite from layer 0 on"
        assert measured(those, before, after) == Measured(notes=(note,))
    assert measured([], {}, {}) == Measured()


def test_blocks_without_gates_have_no_flips() -> None:
    those = points(2)
    without = changed(readings(those), lambda _: {"gate": None})
    found = measured(those, without, without)
    assert "gate_sign_flips" not in named(found)
    assert found.notes.count("no gate sign flips: the feed-forward blocks have no gates") == 1


def test_what_is_undefined_is_left_out_and_noted() -> None:
    those = points(2, subject=None)
    before = readings(those)
    silent, part = before["case 0"].feed_forward_out.clone(), before["case 1"].feed_forward_out.clone()
    silent[:, 1:], part[:, 2:] = 0, 0
    after = {
        "case 0": replace(before["case 0"], feed_forward_out=silent),
        "case 1": replace(before["case 1"], feed_forward_out=part),
    }
    found = measured(those, before, after)
    assert curve(found, "feed_forward_cosine").values == (1.0, 1.0, None)
    assert (
        "Cosine of feed-forward outputs of degraded cases where the answers part is undefined "
        "for some cases or layers: a vector of zeros has no direction"
    ) in found.notes


def test_a_subject_that_comes_first_has_no_entropy() -> None:
    those = points(1, subject=0)
    found = measured(those, readings(those), readings(those))
    assert curve(found, "attention_entropy", "subject", side="candidate").values == (None,) * LAYERS
    assert any("only one position can be attended to" in note for note in found.notes)
