"""The search on a candidate that is broken in known layers: it finds these, and says why when it finds none."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis import clock, orders, screening
from pytest_quantgate.diagnosis import search as search_module
from pytest_quantgate.diagnosis.decoding import outcomes
from pytest_quantgate.diagnosis.donors import Brought
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Mode, Repair, Stage, Trial
from pytest_quantgate.diagnosis.next_token import end_token
from pytest_quantgate.diagnosis.points import Point, points_of
from pytest_quantgate.diagnosis.protection import RepairLimits, Stored
from pytest_quantgate.diagnosis.room import needed_bytes
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.search import ranked, search
from pytest_quantgate.diagnosis.sensitivity import attribute
from pytest_quantgate.diagnosis.trials import Keeping, Subject
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate, stops_of
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.registry import describe
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.tiny_model import CONTEXT, WORDS, build_tiny_model

SPEC = "rtn:3bit-g64"
BROKEN = ("model.layers.0.mlp.down_proj", "model.layers.1.self_attn.o_proj")
REGISTRY = builtin_registry()
TOKENS = 3


def answers(loaded: LoadedModel, cases: list[Case]) -> list[Completion]:
    found: dict[str, Completion] = {}
    requests = [Request.of(case) for case in cases]
    generate(loaded, requests, found.update, SilentProgress())
    return [found[request.digest] for request in requests]


def loaded(folder: Path, spec: str) -> LoadedModel:
    return load_variant(prepare_variant(spec, resolve_model(str(folder)), device="cpu"))


@dataclass(frozen=True)
class Pair:
    """Two variants, and the cases that they were asked: the right answer is the reference's."""

    reference: LoadedModel
    candidate: LoadedModel
    comparisons: tuple[Comparison, ...]

    def search(self, mode: Mode = Mode.DEGRADATION, *, cases: int = 40, **limits: float) -> Repair:
        ending = partial(end_token, Runner(self.reference.model), stops_of(self.reference))
        choose = partial(points_of, tokenizer=self.reference.tokenizer, context_length=CONTEXT, ending=ending)
        chosen = choose(self.comparisons, limit_cases=cases)
        assert chosen.points
        return search(
            self.reference,
            self.candidate,
            Runner(self.reference.model),
            Runner(self.candidate.model),
            points=chosen.points,
            comparisons=self.comparisons,
            choose=choose,
            registry=REGISTRY,
            mode=mode,
            measured=Measured(),
            limits=RepairLimits(**limits),
            told=lambda _: None,
        )


def pair_of(reference: LoadedModel, candidate: LoadedModel) -> Pair:
    asked = [
        Case(f"case-{number:02}", (Message("user", " ".join(WORDS[number * 5 : number * 5 + 4])),), (), TOKENS)
        for number in range(20)
    ]
    before, after = answers(reference, asked), answers(candidate, asked)
    cases = [
        replace(case, checks=(CheckSpec("exact", {"text": answer.text}),))
        for case, answer in zip(asked, before, strict=True)
    ]
    return Pair(
        reference,
        candidate,
        tuple(
            Comparison(case, outcome_of(case, one, REGISTRY), outcome_of(case, other, REGISTRY))
            for case, one, other in zip(cases, before, after, strict=True)
        ),
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The candidate says that all its layers have 3 bits, and two of them do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        folder = build_tiny_model(tmp_path_factory.mktemp("tiny"))
        reference, candidate = loaded(folder, "fp16"), loaded(folder, SPEC)
    model: Any = deepcopy(reference.model)
    for name in BROKEN:
        model.set_submodule(name, candidate.model.get_submodule(name))
    return pair_of(reference, replace(candidate, model=model))


def named(loaded: LoadedModel, spec: str) -> LoadedModel:
    """The same model, by another spec."""
    parsed = parse_spec(spec)
    return replace(loaded, variant=replace(loaded.variant, spec=parsed, description=describe(parsed)))


def modules(loaded: LoadedModel) -> dict[str, int]:
    return {name: id(module) for name, module in loaded.model.named_modules()}


def test_it_finds_exactly_what_is_broken_and_decodes_it(pair: Pair) -> None:
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    preserved = sum(each.transition is Transition.PRESERVED for each in pair.comparisons)
    assert degraded >= 4
    assert preserved >= 4
    before = [modules(each) for each in (pair.reference, pair.candidate)]
    found = pair.search()
    chosen = found.chosen
    assert chosen is not None
    assert set(chosen.kept) == {name.removeprefix("model.") for name in BROKEN}
    assert (chosen.stage, chosen.degraded, chosen.preserved) == ("decoded", degraded, preserved)
    assert (chosen.turned_back, chosen.lost) == (degraded, 0)
    assert chosen in ranked(found.trials)
    assert found.reason == (
        f"{degraded} of {degraded} degraded cases pass again at {chosen.bits:.2f} bits a weight, and "
        f"0 of {preserved} preserved ones fail"
    )
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before
    assert (found.before.spec, found.before.bits, found.before.stage) == (SPEC, 3.5, "verified")
    assert found.before.memory_bytes == pair.candidate.audit.memory_bytes
    assert all(found.before.bits < trial.bits <= 5.5 for trial in found.trials if trial.kept)
    others = [trial.way for trial in found.trials if trial.way.endswith("(no variant does so)")]
    assert [way.partition(" by ")[0] for way in others] == [
        "most confident layer amplified",
        f"{chosen.way}, and most confident layer amplified",
        "errors compensated",
    ]
    assert {trial.stage for trial in found.trials} == {"screened", "decoded"}


def test_where_whole_answers_go_wrong_is_looked_at_in_another_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few points show one of the two broken layers; answers with that one kept show the other."""
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    before = [modules(each) for each in (pair.reference, pair.candidate)]
    found = pair.search()
    assert found.chosen is not None
    assert set(found.chosen.kept) == {name.removeprefix("model.") for name in BROKEN}
    assert (found.chosen.turned_back, found.chosen.lost) == (degraded, 0)
    assert any(trial.way == "first-order effect on the cases, round 2" for trial in found.trials)
    first = next(trial for trial in found.trials if trial.stage == "decoded")
    assert (set(first.kept), first.way) == ({BROKEN[0].removeprefix("model.")}, "first-order effect on the cases")
    assert 0 < first.turned_back < degraded
    assert not any(trial.way.endswith("round 3") for trial in found.trials)  # nothing goes wrong any more
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before


def test_a_round_that_is_cut_short_is_told_and_takes_nothing_away(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def late(*given: Any, weights: Any = None) -> Any:
        if weights is not None:
            now[0] = 10.0 * 60
        return attribute(*given, weights=weights)

    monkeypatch.setattr(orders, "attribute", late)
    found = pair.search(minutes=10)
    assert found.chosen is not None
    assert found.chosen in ranked(found.trials)
    assert not any("round" in trial.way for trial in found.trials)
    assert found.reason.endswith("preserved ones fail; round 2 was cut short by the limit of 10 minutes")


def test_a_round_that_breaks_off_takes_nothing_away(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    before = [modules(each) for each in (pair.reference, pair.candidate)]

    def fail(*given: Any, weights: Any = None) -> Any:
        if weights is not None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate")
        return attribute(*given)

    monkeypatch.setattr(orders, "attribute", fail)
    found = pair.search()
    assert found.chosen is not None
    assert found.reason.endswith("preserved ones fail; round 2 broke off: memory ran out")
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before


def test_what_was_screened_before_a_round_was_cut_short_is_decoded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    now, late = [0.0], [0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def slow(*given: Any) -> Any:
        now[0] += 10
        return outcomes(*given)

    monkeypatch.setattr(search_module, "outcomes", slow)
    tried = screening.Screen.tried

    def once(self: Any, *given: Any) -> Any:
        found = tried(self, *given)
        late[0] += bool(late[0])
        if late[0] > 3:  # what was decoded before, and something new
            now[0] = 585.0  # of 600 seconds; 20 are reserved for decoding
        return found

    def begun(*given: Any, weights: Any = None) -> Any:
        late[0] = int(weights is not None)
        return attribute(*given, weights=weights)

    monkeypatch.setattr(screening.Screen, "tried", once)
    monkeypatch.setattr(orders, "attribute", begun)
    found = pair.search(minutes=10)
    assert any(trial.stage == "decoded" and "round 2" in trial.way for trial in found.trials)
    assert found.reason.endswith("round 2 was cut short by the limit of 10 minutes")


def test_layers_that_are_not_dense_have_rounds_too(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an effect of each layer the other orders are tried once more, by what was learned."""
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    monkeypatch.setattr(orders, "attribute", lambda *given, weights=None: None if weights else attribute(*given))
    ways = {trial.way for trial in pair.search().trials}
    assert {"early layers", "early layers, round 2", "kurtosis of weights, round 2"} <= ways


def test_what_is_decoded_has_points_or_is_short(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    monkeypatch.setattr(search_module, "DECODED_TOKENS", 0)
    decoded = [trial for trial in pair.search(cases=6).trials if trial.stage == "decoded"]
    assert {(trial.degraded, trial.preserved) for trial in decoded} == {(3, 3)}
    monkeypatch.setattr(search_module, "DECODED_TOKENS", 10_000)
    decoded = [trial for trial in pair.search(cases=6).trials if trial.stage == "decoded"]
    assert {trial.degraded + trial.preserved for trial in decoded} == {len(pair.comparisons)}


def test_a_collapse_is_given_up_with_what_was_tried(pair: Pair) -> None:
    found = pair.search(Mode.COLLAPSE, max_bits=3.8)
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    assert found.chosen is None
    protections = [trial for trial in found.trials if trial.kept]
    assert protections
    assert all(trial.spec.startswith("mix:") and trial.stage == "screened" for trial in protections)
    best = max(trial.turned_back - trial.lost for trial in protections)
    assert 2 * best < degraded
    assert found.reason.startswith(
        f"protection does not help a collapse: the best of {len(protections)} protections within 3.8 bits a weight "
        f"turns {best} of {degraded} cases back and loses 0 of "
    )
    assert "(first-order effect on the cases, early layers, " in found.reason
    others = [trial for trial in found.trials if not trial.kept]
    assert [trial.way.partition(" by ")[0] for trial in others] == ["most confident layer amplified"]
    assert {trial.spec for trial in others} == {SPEC}
    assert pair.search(Mode.COLLAPSE, max_bits=3.8) == found


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
    gradient = (tokens + 1) * layers * (12 * width + 4 * inner) * size
    assert needed_bytes(after, points, subject, (), 5.0) == states + gradient
    rounded = Keeping(parse_spec("rtn:8bit"), 8.5, lambda _: pair.reference.model, held=8.5)
    many = replace(stored, weights={"a": 100_000, "b": 300_000})
    trial = int(400_000 * (5.0 - 4) / (8.5 - 4)) * size + 400_000 * 8.5 / 8
    found = needed_bytes(after, points, replace(subject, stored=many), (rounded,), 5.0)
    assert found == pytest.approx(states + gradient + trial, abs=size)
    packed: Any = deepcopy(pair.candidate.model)
    packed.set_submodule(BROKEN[0], torch.nn.Identity())
    assert needed_bytes(Runner(packed), points, subject, (), 5.0) == states  # its layers have no gradient


def test_variants_that_compute_in_different_dtypes_are_searched_too(pair: Pair) -> None:
    candidate = replace(pair.candidate, model=deepcopy(pair.candidate.model).bfloat16())
    mixed = pair_of(pair.reference, candidate)
    before = [modules(each) for each in (mixed.reference, mixed.candidate)]
    found = mixed.search()
    chosen = found.chosen
    assert chosen is not None
    assert 2 * chosen.turned_back > chosen.degraded
    assert "errors compensated" in {trial.way.partition(" by ")[0] for trial in found.trials}
    assert [modules(each) for each in (mixed.reference, mixed.candidate)] == before
    assert {each.dtype for each in candidate.model.parameters()} == {torch.bfloat16}
    assert {each.dtype for each in pair.reference.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("spec", "rounded"), [("fp16", False), ("fp32", True), ("bf16", True)])
def test_what_is_kept_as_fp16_is_rounded_where_the_reference_is_not(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, spec: str, *, rounded: bool
) -> None:
    asked = []

    class Spied(Brought):
        def __init__(self, reference: torch.nn.Module, candidate: Any, *, rounded: bool = False) -> None:
            asked.append(rounded)
            super().__init__(reference, candidate, rounded=rounded)

    monkeypatch.setattr(search_module, "Brought", Spied)
    replace(pair, reference=named(pair.reference, spec)).search(minutes=0)
    assert asked == [rounded]


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
        ("fp16", "stored@model.gguf", "quantized elsewhere"),
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


def test_decoded_trials_are_ranked_by_cases_and_then_by_bits() -> None:
    def trial(bits: float, turned_back: int, lost: int, stage: Stage = "decoded") -> Trial:
        return Trial("nf4", (), bits, None, turned_back, 9, lost, 9, stage, "by hand")

    trials = [trial(5.0, 4, 0), trial(4.8, 6, 2), trial(5.2, 5, 0), trial(4.9, 1, 1), trial(4.6, 9, 0, "screened")]
    assert ranked(trials) == (trials[2], trials[1], trials[0])


def test_all_turns_of_a_case_are_answered_and_a_case_without_an_answer_is_unscored(pair: Pair) -> None:
    first = pair.comparisons[0].case
    chat = replace(first, later=(Turn("bal", (CheckSpec("exact", {"text": "no such answer"}),), 2),))
    long = replace(first, id="long", messages=(Message("user", "bal " * CONTEXT),))
    found = outcomes(pair.reference, [first, replace(chat, id="chat"), long], REGISTRY, lambda _: None)
    assert {name: each.passed for name, each in found.items()} == {first.id: True, "chat": False, "long": None}
