"""What a search may take, and what it says where it cannot go on: bits, minutes, memory, models that do not fit."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis import clock, orders
from pytest_quantgate.diagnosis import search as search_module
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.protection import Stored
from pytest_quantgate.diagnosis.room import needed_bytes
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.trials import Keeping, Subject
from pytest_quantgate.variants.spec import parse_spec
from tests.unit.diagnosis.broken_pair import BROKEN, Pair, modules, named


def test_without_room_nothing_is_tried(pair: Pair) -> None:
    found = pair.search(max_bits=3.5)
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == (
        "there is no room for protection: the candidate takes 3.50 bits a weight as it is, and 3.5 are allowed"
    )
    found = pair.search(max_bits=3.51)
    assert found.reason == "nothing was tried within 3.51 bits a weight"
    assert not any(trial.kept for trial in found.trials)


def test_when_the_time_is_up_it_says_which_stage_was_cut(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pair.search(minutes=0)
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == "nothing was tried: screening was cut short after 0 of 0 minutes"
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def slow(*given: Any) -> None:
        now[0] = 5.0 * 60
        *_, check = given
        check()
        pytest.fail("it goes on")

    monkeypatch.setattr(orders, "attribute", slow)
    found = pair.search(minutes=10)
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == ("nothing was tried within 5.5 bits a weight; screening was cut short after 5 of 10 minutes")


def test_decoding_stops_in_its_middle_when_the_time_is_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    before = modules(pair.candidate)
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    steps = []

    def slow(self: Any, cases: int, tokens: int) -> None:
        steps.append((cases, tokens))
        now[0] += 4 * 60
        self._check()

    monkeypatch.setattr("pytest_quantgate.diagnosis.decoding._Notes.advance", slow)
    found = pair.search(minutes=10)
    assert found.chosen is None
    assert {trial.stage for trial in found.trials} == {"screened"}
    assert found.reason == (
        "what won cases along known answers was not decoded; not all that is promising could be decoded within 10 "
        "minutes"
    )
    assert len(steps) == 3
    assert modules(pair.candidate) == before


def test_without_memory_for_it_nothing_is_tried(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "available_bytes", lambda _: 1)
    found = pair.search()
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == (
        "memory does not suffice: a search takes about 0.0 GiB beside the two models on cpu, and 0.0 GiB are available"
    )


def test_what_a_search_holds_is_counted(pair: Pair) -> None:
    tokens, layers, width, inner, size = 7, 2, 64, 128, 4
    points = [Point("a", degraded=True, token_ids=(1,) * tokens, target=1, rival=2, following=(), prompt_tokens=tokens)]
    weights = {"a": 100, "b": 300}
    stored = Stored(weights, dict.fromkeys(weights, 4.0), 200)
    subject = Subject(parse_spec("nf4"), pair.candidate.model, stored, ("a", "b", "lm_head"), "lm_head")
    after = Runner(pair.candidate.model)
    states = 3 * tokens * (layers + 1) * width * size
    error = 3 * 4 * width * inner  # a layer's, in float32, and the weights of both models
    gradient = (tokens + 1) * layers * (12 * width + 4 * inner) * size + error
    assert needed_bytes(after, points, subject, (), 5.0) == states + gradient
    rounded = Keeping(parse_spec("rtn:8bit"), 8.5, lambda _: pair.reference.model, held=8.5)
    many = replace(stored, weights={"a": 100_000, "b": 300_000})
    trial = int(400_000 * (5.0 - 4) / (8.5 - 4)) * size + 400_000 * 8.5 / 8
    found = needed_bytes(after, points, replace(subject, stored=many), (rounded,), 5.0)
    assert found == pytest.approx(states + gradient + trial, abs=size)
    kept = replace(points[0], degraded=False, token_ids=(1,) * tokens)
    roomy = replace(subject, stored=replace(many, weights={"a": 6_000_000}, bits={"a": 4.0}))
    square, narrow, wide = 64 + 64, 64 + 32, 64 + 128  # rows and columns of q and o, of k and v, of the rest
    products = layers * (64 * (2 * square + 3 * wide) + 32 * 2 * narrow)  # of the largest rank there is
    given = tokens * (6 * width + inner)  # to the seven layers of one decoder layer
    found = needed_bytes(after, [kept], roomy, (), 5.0)
    assert found == states + gradient + (products + given) * size + error
    packed: Any = deepcopy(pair.candidate.model)
    packed.set_submodule(BROKEN[0], torch.nn.Identity())
    assert needed_bytes(Runner(packed), points, subject, (), 5.0) == states  # its layers have no gradient


def test_layers_that_cannot_be_brought_over_are_an_objection(pair: Pair) -> None:
    class Packed(torch.nn.Linear):
        pass

    reference: Any = deepcopy(pair.reference.model)
    reference.set_submodule(BROKEN[0], Packed(128, 64, bias=False))
    candidate: Any = deepcopy(pair.candidate.model).bfloat16()
    found = replace(
        pair,
        reference=replace(pair.reference, model=reference),
        candidate=replace(pair.candidate, model=candidate),
    ).search()
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == (
        "the reference computes in float32 on cpu, the candidate in bfloat16 on cpu, and layers of the reference's own "
        "kernels cannot be brought over"
    )


@pytest.mark.parametrize(
    ("reference", "candidate", "reason"),
    [
        ("fp16", "nf4+lora:adapter", "only one of the two has this adapter"),
        ("mix:*=int8", "nf4", "has no one precision above the candidate's"),
    ],
)
def test_what_cannot_be_protected_is_said(pair: Pair, reference: str, candidate: str, reason: str) -> None:
    found = replace(
        pair, reference=named(pair.reference, reference), candidate=named(pair.candidate, candidate)
    ).search()
    assert (found.chosen, found.trials) == (None, ())
    assert reason in found.reason


def test_adapters_of_one_name_in_two_folders_are_two(pair: Pair) -> None:
    spec = str(pair.candidate.variant.spec)
    ours, theirs = Path("/ours"), Path("/theirs")
    reference = named(pair.reference, "fp16+lora:adapter", ours)
    found = replace(pair, reference=reference, candidate=named(pair.candidate, f"{spec}+lora:adapter", theirs)).search()
    assert "only one of the two has this adapter" in found.reason
    found = replace(pair, reference=reference, candidate=named(pair.candidate, f"{spec}+lora:adapter", ours)).search()
    kept = [trial.spec for trial in found.trials if trial.kept]
    assert kept
    assert all(each.endswith("+lora:/ours/adapter") for each in kept)  # to be written on a command line here
