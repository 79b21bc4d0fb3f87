"""How near the variants of a run stay to what the reference expects along its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantgate.generation.turns import asked
from pytest_quantgate.plugin.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.generation.expected import Fidelity
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.generation.yardstick import Yardstick
    from pytest_quantgate.outcomes.model import Outcome
    from pytest_quantgate.variants.served import ServedVariant
    from pytest_quantgate.variants.variant import LoadedModel, Variant

    Then = Callable[[Mapping[str, Completion], Callable[[], LoadedModel]], None]


def nearness(
    reference: str,
    variants: Mapping[str, Variant | ServedVariant],
    cache: CompletionCache,
    note: Callable[[str], None],
) -> Nearness | None:
    """What measures it; None where the reference does not run here, which is told.

    Args:
        reference: Its spec.
        variants: All prepared variants, by spec.
        cache: Where measures are kept.
        note: Told what the user should know.
    """
    from pytest_quantgate.generation.yardstick import Yardstick
    from pytest_quantgate.variants.variant import Variant

    local = {spec: each.identity for spec, each in variants.items() if isinstance(each, Variant) and not each.offline}
    if reference not in local:
        note(f"fidelity is not measured: transformers does not run the reference, {reference}, here")
        return None
    own = local[reference]
    # token ids mean something else to another tokenizer's model, if they are tokens of it at all
    measured = {
        spec: each.digest for spec, each in local.items() if each.fields["tokenizer"] == own.fields["tokenizer"]
    }
    skipped = {
        "transformers does not run it here": [spec for spec in variants if spec not in local],
        "its tokenizer files are not the reference's": [spec for spec in local if spec not in measured],
    }
    if told := [f"{spec} ({why})" for why, specs in skipped.items() for spec in specs]:
        note(f"fidelity is not measured of {', '.join(told)}")
    others = set(measured.values()) - {own.digest}
    return Nearness(reference, measured, Yardstick(own.digest, sorted(others), cache))


class Nearness:
    """Measures variants along the reference's answers, and adds what it finds to outcomes.

    Args:
        reference: Spec of the reference.
        identities: Identity digests of the variants that are measured and of the reference, by spec.
        yardstick: The reference's answers.
    """

    def __init__(self, reference: str, identities: Mapping[str, str], yardstick: Yardstick) -> None:
        self._reference = reference
        self._identities = identities
        self._yardstick = yardstick

    def then(self, spec: str, cases: Sequence[Case], progress: Progress) -> Then | None:
        """What is to be done once a variant has answered, before its model is freed; None for one that is not measured.

        An error is told and goes no further: what was answered is judged all the same.

        Args:
            spec: The variant.
            cases: What it was asked.
            progress: Told how far it has come.
        """
        if spec not in self._identities:
            return None

        def measure(completions: Mapping[str, Completion], load: Callable[[], LoadedModel]) -> None:
            if spec == self._reference:
                requests = [request for case in cases for request in asked(case, completions)]
                self._yardstick.answers(requests, completions)
                self._yardstick.measure_reference(load, progress)
            else:
                self._yardstick.measure(self._identities[spec], load, progress)

        def guarded(completions: Mapping[str, Completion], load: Callable[[], LoadedModel]) -> None:
            try:
                measure(completions, load)
            except Exception as error:  # noqa: BLE001  (libraries raise anything; no gate judges by fidelity)
                progress.note(f"{spec}: fidelity is not measured any further: {Trouble.of(error).headline}")

        return guarded

    def added(self, spec: str, case: Case, before: Mapping[str, Completion], outcome: Outcome) -> Outcome:
        """A variant's outcome with what was measured of its case, turn by turn.

        Args:
            spec: The variant.
            case: What was asked.
            before: Everything that the reference answered, by request digest.
            outcome: How the variant's answer was graded.
        """
        if spec == self._reference or spec not in self._identities:
            return outcome
        found = self._yardstick.of(self._identities[spec])
        along = [found.get(request.digest) for request in asked(case, before)]
        turns = tuple(map(_with, outcome.turns, along))
        first = _with(outcome, along[0]) if along else outcome
        return replace(first, turns=turns + outcome.turns[len(turns) :])


def _with(outcome: Outcome, fidelity: Fidelity | None) -> Outcome:
    return replace(outcome, completion=replace(outcome.completion, fidelity=fidelity))
