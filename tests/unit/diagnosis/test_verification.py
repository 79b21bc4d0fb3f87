"""A repair is recommended when the whole slice's gate passes it, loaded afresh, and never else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis import verification
from pytest_quantgate.diagnosis.model import Repair, Trial
from pytest_quantgate.diagnosis.protection import file_of
from pytest_quantgate.diagnosis.verification import Court, verify
from pytest_quantgate.errors import ModelError
from pytest_quantgate.gate.model import GateInput, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import Answers
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.mix import map_of
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import Variant

REGISTRY = builtin_registry()
RIGHT, WRONG, NO_ANSWER = "yes", "no", "?"
AUDIT = Audit(10, 8, 4.5, 1_234, 4_000)

NONE: Mapping[str, Exception] = {}

Said = Mapping[str, Sequence[str]]


def completion(text: str) -> Completion:
    if text == NO_ANSWER:
        return Completion("", (), "invalid", 3, problem="the logits were not finite numbers")
    return Completion(text, (1,), "stop", 3)


def case(number: int) -> Case:
    return Case(f"case-{number}", (Message("user", f"prompt {number}"),), (CheckSpec("exact", {"text": RIGHT}),), 4)


def comparisons(candidate: Sequence[str]) -> list[Comparison]:
    """Cases that the reference passes."""
    right = completion(RIGHT)
    return [
        Comparison(
            case(number),
            outcome_of(case(number), right, REGISTRY),
            outcome_of(case(number), completion(text), REGISTRY),
        )
        for number, text in enumerate(candidate)
    ]


def court(candidate: Sequence[str] = (WRONG, WRONG, RIGHT, RIGHT)) -> Court:
    policy = GatePolicy(min_cases=1, max_pass_to_fail=0.25, min_robustness=0.5)
    gate = GateInput("words", "nf4", comparisons(candidate), policy, selected=4, total=4)
    return Court([gate], 0, (), 0.05, REGISTRY)


def trial(spec: str, bits: float = 5.0) -> Trial:
    return Trial(spec, ("lm_head",), bits, None, 2, 2, 0, 1, "decoded", "early layers")


def repair(*specs: str, bits: Sequence[float] = ()) -> Repair:
    before = Trial("nf4", (), 4.5, 1_000, 0, 2, 0, 1, "verified", "as it is")
    return Repair(before, tuple(map(trial, specs, bits or [5.0] * len(specs))), None, reason="nothing helped")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Verify repairs that say what a test tells; gives the result and what was loaded."""

    def run(
        said: Said,
        found: Repair,
        gone: Mapping[str, Exception] = NONE,
        *,
        folder: Path = Path("never"),
        generated: int = 4,
    ) -> tuple[Repair, list[str]]:
        loaded: list[str] = []

        def prepare(spec: str) -> Variant:
            if spec in gone:
                raise gone[spec]
            return cast("Variant", spec)

        def answer(variant: Any, requests: Sequence[Request], *_: object) -> Answers:
            loaded.append(variant)
            if variant.startswith("mix:"):
                map_of(parse_spec(variant))  # its file can be read
            texts = dict(zip((each.digest for each in requests), said[variant], strict=True))
            return Answers({digest: completion(text) for digest, text in texts.items()}, AUDIT, 0, generated)

        monkeypatch.setattr(verification, "answer", answer)
        cache: Any = None
        result = verify(
            found, found.trials, court(), folder=folder, prepare=prepare, cache=cache, progress=SilentProgress()
        )
        return result, loaded

    return run


def test_the_first_that_passes_is_recommended_with_its_own_counts_and_bytes(verified: Any) -> None:
    said = {"poor": [RIGHT, WRONG, RIGHT, WRONG], "good": [RIGHT, WRONG, RIGHT, RIGHT], "spare": [RIGHT] * 4}
    found, loaded = verified(said, repair("poor", "good", "spare"))
    assert loaded == ["poor", "good"]
    assert found.chosen == Trial("good", ("lm_head",), 5.0, 1_234, 1, 2, 0, 2, "verified", "early layers")
    assert found.verdicts == {"words": Verdict.PASS}
    assert found.reason.startswith("loaded afresh, its gate is PASS: ")
    assert [(each.spec, each.stage, each.lost) for each in found.trials[3:]] == [
        ("poor", "verified", 1),
        ("good", "verified", 0),
    ]


def test_the_smallest_that_passes_is_recommended(verified: Any) -> None:
    said = {"large": [RIGHT] * 4, "small": [RIGHT, WRONG, RIGHT, RIGHT], "poor": [WRONG] * 4}
    found, loaded = verified(said, repair("large", "small", "poor", bits=(5.4, 4.9, 4.7)))
    assert loaded == ["poor", "small"]
    assert (found.chosen.spec, found.chosen.bits) == ("small", 4.9)


def test_a_preserved_case_that_is_unscored_then_is_lost(verified: Any) -> None:
    found, _ = verified({"poor": [RIGHT, RIGHT, RIGHT, NO_ANSWER]}, repair("poor"))
    (tried,) = (each for each in found.trials if each.stage == "verified")
    assert (tried.turned_back, tried.lost, tried.preserved) == (2, 1, 2)


def test_what_does_not_pass_is_not_recommended(verified: Any) -> None:
    found, loaded = verified({"poor": [WRONG, WRONG, RIGHT, RIGHT]}, repair("poor"))
    assert loaded == ["poor"]
    assert found.chosen is None
    assert found.verdicts == {}
    assert found.reason.startswith("poor turns 0 of 2 degraded cases back")
    assert "its gate is FAIL: " in found.reason
    assert found.trials[-1].stage == "verified"


def test_of_several_that_do_not_pass_the_best_is_told(verified: Any) -> None:
    said = {
        "poor": [WRONG, WRONG, WRONG, RIGHT],
        "better": [WRONG, WRONG, RIGHT, RIGHT],
        "worse": [WRONG, WRONG, WRONG, WRONG],
    }
    found, _ = verified(said, repair("poor", "better", "worse"))
    assert found.chosen is None
    assert found.reason.startswith("better turns ")
    gone = {"lost": ModelError("it is gone", where="variant 'lost'")}
    found, _ = verified(said, repair("better", "lost"), gone)
    assert found.reason.startswith("better turns ")


def test_what_cannot_be_loaded_afresh_is_passed_over(verified: Any) -> None:
    gone = {"lost": ModelError("it is gone", where="variant 'lost'"), "torn": RuntimeError("a library's")}
    found, loaded = verified({"good": [RIGHT] * 4}, repair("lost", "torn", "good"), gone)
    assert loaded == ["good"]
    assert found.chosen is not None
    found, _ = verified({}, repair("lost"), gone)
    assert found.reason == "lost cannot be verified: it is gone"
    found, _ = verified({}, repair("torn"), gone)
    assert found.reason == "torn cannot be verified: internal error: RuntimeError: a library's"


def test_what_answered_before_is_not_said_to_be_loaded(verified: Any) -> None:
    found, _ = verified({"good": [RIGHT] * 4}, repair("good"), generated=0)
    assert found.reason.startswith("answered before, its gate is PASS: ")


def mix(kept: str) -> tuple[str, str]:
    """A mix that is too long for a spec, and the spec of its file in `made`."""
    long = ";".join(f"model.layers.{number}.mlp.{kept}=rtn:8bit-g64" for number in range(60))
    spec = f"mix:{long};*=nf4"
    filed, file = file_of(spec, Path("made"))
    assert file is not None
    return spec, filed


def test_a_long_mix_is_a_file_when_it_is_judged_and_stays_one_when_it_passes(
    verified: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (poor, poor_file), (good, good_file) = mix("up_proj"), mix("down_proj")
    said = {poor_file: [WRONG] * 4, good_file: [RIGHT] * 4}
    found, loaded = verified(said, repair(poor, good), folder=Path("made"))
    assert loaded == [poor_file, good_file]
    assert found.chosen.spec == good_file
    assert [each.spec for each in found.trials[2:]] == [poor, good_file]
    assert [f"mix:{each}" for each in Path("made").iterdir()] == [good_file]

    found, _ = verified({**said, good_file: [WRONG] * 4}, repair(poor, good), folder=Path("made"))
    assert found.chosen is None
    assert "a variant of 1 kept parts (early layers) turns 0 of 2" in found.reason
    assert [f"mix:{each}" for each in Path("made").iterdir()] == [good_file]  # recommended earlier


def test_where_nothing_passes_no_file_is_left(verified: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (poor, poor_file), (torn, torn_file) = mix("up_proj"), mix("down_proj")
    gone = {torn_file: RuntimeError("a library's")}
    verified({poor_file: [WRONG] * 4}, repair(poor, torn), gone, folder=Path("made"))
    assert list(tmp_path.iterdir()) == []


def test_where_the_search_found_nothing_its_reason_stands(verified: Any) -> None:
    found, loaded = verified({}, repair())
    assert loaded == []
    assert (found.chosen, found.reason) == (None, "nothing helped")
