"""For tests of your own checks and slices, without a model: give answers, and see how they are graded and judged.

    >>> from pytest_quantgate.testing import assert_fails, assert_passes, check_answer, judge_slice, load_slice
    >>> check_answer("one_of: [Paris, Rome]", "Paris").followed
    True
    >>> capitals = load_slice('''
    ... slice: capitals
    ... cases:
    ...   - id: france
    ...     prompt: What is the capital of France? One word.
    ...     checks: [exact: Paris]
    ... ''')
    >>> assert_passes(capitals, {"france": "Paris"})
    >>> assert_fails(capitals, {"france": "Paris, of course"})

Checks of your own are given as ``checks``: the function that registers them, or a registry that holds them, such as the
fixture ``quant_checks``. Nothing in here loads a model or imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from pytest_quantgate.cases import load as load_module
from pytest_quantgate.cases.model import Case, CheckSpec, Message, PolicySettings
from pytest_quantgate.cases.nodes import plain
from pytest_quantgate.cases.problems import Problems
from pytest_quantgate.cases.read_slice import read_slice
from pytest_quantgate.cases.surroundings import Surroundings
from pytest_quantgate.cases.yaml_nodes import read_yaml
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.finding import one_line, quoted
from pytest_quantgate.checks.model import Answer, CheckResult
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.errors import SliceError, UsageError, nearest
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput
from pytest_quantgate.gate.policy import resolve_policy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Slice
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.generation.completion import FinishReason

__all__ = ["assert_fails", "assert_passes", "check_answer", "grade_slice", "judge_slice", "load_slice"]

Checks: TypeAlias = CheckRegistry | Callable[[CheckRegistry], object]
"""The checks by name, or a function that adds some to the built-in ones."""

Answers: TypeAlias = Mapping[str, str | Answer | Sequence[str | Answer]]
"""What was answered, by case id; for a case of several turns, one answer for each."""

_TEXT: Final = "<text>"
_REASONS: Final = ("stop", "length")


def check_answer(
    check: str | Mapping[str, object], answer: str | Answer, *, prompt: str = "", checks: Checks | None = None
) -> CheckResult:
    """Grade one answer by one check.

    Args:
        check: As a slice file writes it: ``"exact: Paris"``, ``"json"``, ``{"json_schema": {"type": "object"}}``.
        answer: The answer; as an ``Answer`` where the check looks at why it ended, or at measured recall.
        prompt: What was asked, for checks that look at it.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Returns:
        What the check said: ``followed`` is True, False, or None where it could not be scored; ``reason`` is one line.

    Raises:
        UsageError: There is no such check, or its arguments do not fit.

    Examples:
        >>> check_answer("json_schema: {type: object, required: [name]}", '{"age": 30}').reason
        "$: 'name' is a required property"

        >>> from pytest_quantgate.checks.finding import followed, violated
        >>> def polite(answer):
        ...     return followed("says please") if "please" in answer else violated("says no please")
        >>> check_answer("polite", "Now!", checks=lambda registry: registry.register("polite", polite))
        CheckResult(check='polite', followed=False, reason='says no please')
    """
    registry = _registry(checks)
    spec = _spec(check, registry)
    case = Case("answer", (Message("user", prompt),), (spec,), max_new_tokens=1)
    return registry.grade(spec, case, answer)


def load_slice(source: str | Path, *, checks: Checks | None = None) -> Slice:
    r"""Load a slice, from its file or from the text of one.

    Args:
        source: The path of a slice file; or its text, which has more than one line. Files that the text names are
            looked for in the current folder.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Raises:
        SliceError: With every problem as ``FILE:LINE``.

    Examples:
        >>> load_slice("slice: sums\ncases: [{id: one, prompt: 1 + 1 =, checks: [numbr: 2]}]")
        Traceback (most recent call last):
            ...
        pytest_quantgate.errors.SliceError: <text>:2: unknown check 'numbr'; did you mean 'number'?
    """
    registry = _registry(checks)
    if isinstance(source, Path) or "\n" not in source:
        return load_module.load_slice(Path(source), registry)
    problems = Problems(_TEXT)
    document = read_yaml(source, problems)
    loaded = None if document is None else read_slice(document, Surroundings(Path(), registry), problems)
    if loaded is None or problems:
        raise SliceError(problems.found())
    return loaded


def grade_slice(slice_: Slice, answers: Answers, *, checks: Checks | None = None) -> dict[str, Outcome]:
    r"""Grade answers to cases of a slice.

    Args:
        slice_: The slice.
        answers: What was answered, by case id; cases without an answer are left out.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Returns:
        By case id, in the slice's order: ``passed`` is True, False, or None where a check could not be scored.

    Raises:
        UsageError: An id is of no case, or the number of answers is not that of the turns; with ``FILE:LINE``.

    Examples:
        >>> sums = load_slice("slice: sums\ncases: [{id: one, prompt: 1 + 1 =, checks: [number: 2]}]")
        >>> grade_slice(sums, {"one": "It is 3."})["one"].results
        (CheckResult(check='number', followed=False, reason="the last number is '3', not 2"),)
    """
    registry = _registry(checks)
    cases = {case.id: case for case in slice_.cases}
    for case_id in answers:
        if case_id not in cases:
            raise UsageError(
                f"slice {slice_.name!r} has no case {case_id!r}",
                where=str(slice_.location),
                hint=nearest(case_id, cases),
            )
    return {
        case_id: outcome_of_turns(case, _completions(case, answers[case_id]), registry)
        for case_id, case in cases.items()
        if case_id in answers
    }


def judge_slice(
    slice_: Slice,
    *,
    reference: Answers,
    candidate: Answers,
    policy: GatePolicy | None = None,
    checks: Checks | None = None,
) -> GateResult:
    """Judge a slice as a run would, had its variants answered so.

    Args:
        slice_: The slice.
        reference: What the reference answered, by case id.
        candidate: What the candidate answered. Where either has no answer, a case is missing, and the gate decides
            nothing.
        policy: What the gate tolerates; None for what the slice says, and the defaults beside it.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Returns:
        The gate: ``verdict``, ``reasons``, ``statistics`` and the rest.

    Raises:
        UsageError: See ``grade_slice``.

    Examples:
        >>> sums = load_slice('''
        ... slice: sums
        ... gate: {min_cases: 1, max_pass_to_fail: 0.1}
        ... cases: [{id: one, prompt: 1 + 1 =, checks: [number: 2]}]
        ... ''')
        >>> judge_slice(sums, reference={"one": "2"}, candidate={"one": "2."}).verdict.value
        'PASS'
        >>> judge_slice(sums, reference={"one": "2"}, candidate={"one": "3"}).verdict.value
        'FAIL'
    """
    registry = _registry(checks)
    before = grade_slice(slice_, reference, checks=registry)
    after = grade_slice(slice_, candidate, checks=registry)
    both = [case for case in slice_.cases if case.id in before and case.id in after]
    nothing = PolicySettings()
    (result,) = judge(
        [
            GateInput(
                slice=slice_.name,
                candidate="candidate",
                comparisons=[Comparison(case, before[case.id], after[case.id]) for case in both],
                policy=policy or resolve_policy(nothing, slice_.policy, nothing, slice_name=slice_.name),
                selected=len(slice_.cases),
                total=len(slice_.cases),
            )
        ]
    )
    return result


def assert_passes(slice_: Slice, answers: Answers, *, checks: Checks | None = None) -> None:
    """Assert that every answer passes its case: what a good model would say is not called wrong.

    Args:
        slice_: The slice.
        answers: At least one answer, by case id.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Raises:
        AssertionError: One fails or cannot be scored; with ``FILE:LINE`` and the reason for each.
        UsageError: See ``grade_slice``; or no answer is given.
    """
    __tracebackhide__ = True
    _assert(slice_, answers, checks, wanted=True)


def assert_fails(slice_: Slice, answers: Answers, *, checks: Checks | None = None) -> None:
    """Assert that every answer fails its case: what a ruined model would say is not called right.

    Args:
        slice_: The slice.
        answers: At least one answer, by case id.
        checks: The checks by name, or what registers checks of your own; the built-in ones when None.

    Raises:
        AssertionError: One passes or cannot be scored; with ``FILE:LINE`` and the reason for each.
        UsageError: See ``grade_slice``; or no answer is given.
    """
    __tracebackhide__ = True
    _assert(slice_, answers, checks, wanted=False)


def _assert(slice_: Slice, answers: Answers, checks: Checks | None, *, wanted: bool) -> None:
    __tracebackhide__ = True
    if not answers:
        raise UsageError("no answers are given: nothing would be tested", where=str(slice_.location))
    outcomes = grade_slice(slice_, answers, checks=checks)
    wrong = [case for case in slice_.cases if case.id in outcomes and outcomes[case.id].passed is not wanted]
    if wrong:
        what = "do not pass" if wanted else "do not fail"
        lines = [f"{len(wrong)} of {len(outcomes)} answers {what}:"]
        lines += [line for case in wrong for line in _told(case, outcomes[case.id], wanted=wanted)]
        raise AssertionError("\n".join(lines))


def _told(case: Case, outcome: Outcome, *, wanted: bool) -> Iterator[str]:
    """The place of a case, what was answered, and what each check said that is not as wanted."""
    state = "is not scored" if outcome.passed is None else "fails" if wanted else "passes"
    turns = outcome.turns or (outcome,)
    said = ", ".join(quoted(turn.completion.text) for turn in turns)
    yield f"{case.location}: {one_line(case.id)} {state}: {said}"
    for result in outcome.results:
        if not (wanted and result.followed):
            yield f"    {result.check}: {result.reason}"


def _registry(checks: Checks | None) -> CheckRegistry:
    if isinstance(checks, CheckRegistry):
        return checks
    registry = builtin_registry()
    if checks is not None:
        checks(registry)
    return registry


def _spec(check: str | Mapping[str, object], registry: CheckRegistry) -> CheckSpec:
    raw: object = check
    if isinstance(check, str):
        problems = Problems(_TEXT)
        node = read_yaml(check, problems)
        raw = None if node is None else plain(node, problems)
        if problems:
            raise UsageError(problems.found()[0].message, where=quoted(check), hint="write it as in a slice file")
    if isinstance(raw, str):
        spec, found = registry.parse(raw, None)
    elif isinstance(raw, Mapping) and len(raw) == 1:
        ((name, arguments),) = raw.items()
        spec, found = registry.parse(str(name), arguments)
    else:
        spec, found = None, ("a check is a name, or one name with its arguments",)
    if spec is None:
        raise UsageError("; ".join(found), where=quoted(str(check)))
    return spec


def _completions(case: Case, given: str | Answer | Sequence[str | Answer]) -> list[Completion]:
    answers = [given] if isinstance(given, str | Answer) else list(given)
    turns = 1 + len(case.later)
    if len(answers) != turns:
        those = f"{counted(len(answers), 'answer')} {'is' if len(answers) == 1 else 'are'}"
        what = f"case {case.id!r} has {counted(turns, 'turn')}, and {those} given"
        raise UsageError(what, where=str(case.location), hint="give a list with one answer for each turn")
    return [_completion(each if isinstance(each, Answer) else Answer(each)) for each in answers]


def _completion(answer: Answer) -> Completion:
    reason: FinishReason = "unknown"
    if answer.finish_reason in _REASONS:
        reason = cast("FinishReason", answer.finish_reason)
    return Completion(answer.text, (), reason, 0, recall=answer.recall)
