"""The verdicts on everything that a run asked, judged together: the rule ``evidence`` needs all gates at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.model import GateInput
from pytest_quantgate.gate.policy import resolve_policy
from pytest_quantgate.plugin.book import CaseRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.gate.model import GateResult, Role
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.outcomes.labelled import Labels
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.plugin.trouble import Trouble


def policy_of(run: QuantRun, name: str) -> GatePolicy:
    """What the gates of a slice tolerate."""
    options = run.options
    return resolve_policy(options.command_line, run.book.named(name).policy, options.ini, slice_name=name)


def whole_slices(run: QuantRun) -> frozenset[str]:
    """The slices that are selected whole for some candidate; where one is for none, no verdict is possible."""
    selected = run.tally.selected.items()
    return frozenset(name for (name, _), cases in selected if len(cases) == len(run.book.named(name).cases))


def judge_all(
    run: QuantRun, answered: Callable[[str, str], Sequence[CaseRef]], *, resample: bool = True
) -> tuple[GateResult, ...]:
    """Judge every gate of candidates and of controls.

    Args:
        run: The session's run.
        answered: The cases of a slice and candidate that gave a result.
        resample: Whether BCa intervals are wanted; a look that may not be the last one wants none.

    Returns:
        The gates of the candidates in the order in which their items were collected, then those of the controls.
    """
    from pytest_quantgate.gate.judge import judge

    inputs = [_candidate(run, *key, answered(*key)) for key in run.tally.selected]
    for name in run.looks.controlled:
        inputs += _controls(run, name)
    return judge(inputs, alpha=run.options.alpha, resample=resample)


def labels_of(run: QuantRun, name: str) -> Labels:
    """What people say of answers to a slice, where its policy asks for it.

    Raises:
        GoldenError: The labels cannot be read.
    """
    if policy_of(run, name).min_grader_agreement is None:
        return {}
    from pytest_quantgate.golden.labels import labels_path, load_labels
    from pytest_quantgate.plugin.golden_files import path_of

    path = labels_path(path_of(run, name, "labels"))
    return load_labels(path, name, shown=run.goldens.shown(path)).by_check()


def trouble_beside(run: QuantRun) -> Trouble | None:
    """Why the noise floor or a control, and with it every verdict, cannot be had."""
    return next((trouble for spec in run.answers.beside if (trouble := run.answers.trouble(spec)) is not None), None)


def _candidate(run: QuantRun, name: str, candidate: str, answered: Sequence[CaseRef]) -> GateInput:
    selected = run.tally.selected[name, candidate]
    asked = sum(run.looks.asked(name, case_id) for case_id in selected)
    made = _input(run, name, candidate, "candidate", [ref.case for ref in answered])
    made = replace(made, selected=asked, planned=len(selected) if asked < len(selected) else None)
    try:
        return replace(made, labels=labels_of(run, name))
    except QuantgateError as error:  # they were readable when the run began
        return replace(made, problem=made.problem or str(error))


def _controls(run: QuantRun, name: str) -> Iterator[GateInput]:
    cases = run.looks.cases(name)
    for control in run.options.controls:
        yield _input(run, name, control, "positive control", cases)
    if run.options.noise_floor:
        yield _input(run, name, run.answers.again, "negative control", cases)
    elif run.options.controls:
        yield _input(run, name, run.answers.anew, "negative control", cases)


def _input(run: QuantRun, name: str, candidate: str, role: Role, cases: Sequence[Case]) -> GateInput:
    """A gate over cases that were all asked."""
    answers = run.answers
    trouble, problem, floor = answers.trouble(candidate), None, None
    if trouble is not None:
        problem = trouble.reason
    elif run.options.noise_floor and role != "negative control" and name in run.looks.controlled:
        noise = answers.trouble(answers.again)
        if noise is not None:
            problem = f"noise floor: {noise.reason}"
        else:
            floor = [run.comparison(CaseRef(name, case, answers.again)) for case in cases]
    look = run.looks.look_of(name)
    planned = len(run.tally.cases(name))
    return GateInput(
        slice=name,
        candidate=candidate,
        comparisons=[] if problem else [run.comparison(CaseRef(name, case, candidate)) for case in cases],
        policy=policy_of(run, name),
        selected=len(cases),
        total=len(run.book.named(name).cases),
        role=role,
        problem=problem,
        floor=floor,
        share=1.0 if look is None else look.share,
        earlier=run.looks.earlier(name, role, candidate),
        planned=planned if len(cases) < planned else None,
    )
