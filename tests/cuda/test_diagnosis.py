"""A diagnosis with a search for a repair on a GPU, where quantized layers run by their own kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis.diagnose import Workshop, diagnose
from pytest_quantgate.diagnosis.model import Mode
from pytest_quantgate.diagnosis.orders import BY_EFFECT
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, prepare_variant
from tests.tiny_model import WORDS, build_tiny_model

REGISTRY = builtin_registry()
CASES = [
    Case(f"case-{number:02}", (Message("user", " ".join(WORDS[number * 5 : number * 5 + 4])),), (), 2)
    for number in range(12)
]


def answers(variant: Variant, folder: Path) -> list[Completion]:
    asked = [Request.of(case) for case in CASES]
    with CompletionCache(folder / "answers.sqlite3") as cache:
        found = answer(variant, asked, cache, SilentProgress()).completions
    return [found[each.digest] for each in asked]


def compared(before: Variant, after: Variant, folder: Path) -> list[Comparison]:
    """The right answer of each case is the reference's."""
    comparisons = []
    for case, one, other in zip(CASES, answers(before, folder), answers(after, folder), strict=True):
        graded = replace(case, checks=(CheckSpec("exact", {"text": one.text}),))
        comparisons.append(Comparison(graded, outcome_of(graded, one, REGISTRY), outcome_of(graded, other, REGISTRY)))
    return comparisons


def test_a_diagnosis_searches_by_the_effect_of_layers_that_run_natively(device: str, tmp_path: Path) -> None:
    source = resolve_model(str(build_tiny_model(tmp_path / "model")))
    before = prepare_variant("fp16", source, device=device)
    after = prepare_variant("nf4", source, device=device, kernels="native")
    found = diagnose(
        "words",
        compared(before, after, tmp_path),
        before,
        after,
        workshop=Workshop(RepairLimits(), REGISTRY),
        progress=SilentProgress(),
    )
    assert found.mode in set(Mode) - {Mode.INCONCLUSIVE}
    assert found.repair is not None
    assert BY_EFFECT in {trial.way for trial in found.repair.trials}
    gone = ("left out", "broke off", "cannot be read")
    assert not [note for note in found.notes if any(each in note for each in gone)]
