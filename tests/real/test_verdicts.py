"""The verdict on weights that were trained: the tiny model loses precision at 4 bits, and collapses at 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cache, partial
from pathlib import Path

import pytest

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis.capture import capture
from pytest_quantgate.diagnosis.classify import classify
from pytest_quantgate.diagnosis.diagnose import diagnose
from pytest_quantgate.diagnosis.measure import FEWEST, measured
from pytest_quantgate.diagnosis.model import Diagnosis, Mode
from pytest_quantgate.diagnosis.next_token import end_token
from pytest_quantgate.diagnosis.points import points_of
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer, context_length, stops_of
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison, Outcome, Transition
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.served import TINY_INSTRUCT

CASES = 16


class Lab:
    """Two slices of the tiny model, and its variants' answers to them."""

    def __init__(self, answers: CompletionCache) -> None:
        self._answers = answers
        self._registry = builtin_registry()
        files = [TINY_INSTRUCT.parent / "slices" / f"{name}.slice.yaml" for name in ("math", "refusals")]
        self._cases = [case for file in files for case in load_slice(file, self._registry).cases]
        self._source = resolve_model(str(TINY_INSTRUCT))
        self.variant = cache(partial(prepare_variant, model=self._source))
        self._outcomes = cache(self._graded)

    def broken(self, spec: str) -> list[Comparison]:
        """A few cases: those that a variant breaks, as many as may be, and others that it keeps."""
        pairs = zip(self._cases, self._outcomes("fp16"), self._outcomes(spec), strict=True)
        compared = [Comparison(*each) for each in pairs]
        degraded = [each for each in compared if each.transition is Transition.DEGRADED][:FEWEST]
        preserved = [each for each in compared if each.transition is Transition.PRESERVED]
        return [*degraded, *preserved][:CASES]

    def diagnosed(self, spec: str) -> Diagnosis:
        """What is said of a variant on the cases that it breaks."""
        variants = self.variant("fp16"), self.variant(spec)
        return diagnose("tiny", self.broken(spec), *variants, workshop=None, progress=SilentProgress())

    def verdicts(self, split: str, specs: list[str], folder: Path) -> dict[str, Mode]:
        """What activations alone say of variants on the cases that another one breaks, as the paper looks at them."""
        trusted = load_variant(self.variant("fp16"))
        runner = Runner(trusted.model)
        points = points_of(
            self.broken(split),
            trusted.tokenizer,
            context_length(trusted.model.config),
            partial(end_token, runner, stops_of(trusted)),
        ).points
        found = {}
        with closing(capture(runner, points, folder, lambda _: None)) as before:
            for spec in specs:
                candidate = Runner(load_variant(self.variant(spec)).model)
                with closing(capture(candidate, points, folder, lambda _: None)) as after:
                    numbers = measured(points, before, after)
                found[spec] = classify(numbers.values, numbers.curves, numbers.grids)[0]
        return found

    def _graded(self, spec: str) -> list[Outcome]:
        requests = [Request.of(case) for case in self._cases]
        found = answer(self.variant(spec), requests, self._answers, SilentProgress()).completions
        given = zip(self._cases, requests, strict=True)
        return [outcome_of(case, found[request.digest], self._registry) for case, request in given]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with CompletionCache(tmp_path_factory.mktemp("answers") / "answers.sqlite") as answers:
        yield Lab(answers)


def test_2_bits_are_judged_a_collapse_by_the_cases_that_they_break(lab: Lab) -> None:
    found = lab.diagnosed("rtn:2bit")
    assert (found.mode, len(found.sample.degraded)) == (Mode.COLLAPSE, FEWEST)


def test_nf4_is_judged_no_collapse_by_the_cases_that_it_breaks(lab: Lab) -> None:
    found = lab.diagnosed("nf4")
    assert found.sample.degraded
    assert found.mode in (Mode.DEGRADATION, Mode.MIXED)


def test_on_the_same_cases_8_bits_degrade_and_2_bits_collapse(lab: Lab, tmp_path: Path) -> None:
    found = lab.verdicts("rtn:4bit", ["int8", "nf4", "rtn:2bit"], tmp_path)
    assert (found["int8"], found["rtn:2bit"]) == (Mode.DEGRADATION, Mode.COLLAPSE)
    assert found["nf4"] in (Mode.DEGRADATION, Mode.MIXED)
