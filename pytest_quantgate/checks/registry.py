"""The checks that slice files may name: what they are called, take and do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_quantgate.cases.model import Case, CheckSpec
from pytest_quantgate.checks.arguments import (
    ANSWER_KEYWORD,
    CASE_KEYWORD,
    Parameter,
    describe,
    function_name,
    parameters_of,
)
from pytest_quantgate.checks.finding import Finding, one_line, unscored
from pytest_quantgate.checks.model import Answer, CheckResult
from pytest_quantgate.errors import nearest

CheckFunction = Callable[..., Finding]
"""Takes the answer's text, then keyword-only arguments (and ``case`` and ``full_answer``, where it names them)."""

Validate = Callable[[Mapping[str, Any]], Iterable[str]]
"""Takes arguments whose names and types are right; gives one line for each further problem."""


Decided = Callable[..., bool | None]
"""Takes an answer's beginning, then the check's arguments; True or False when the rest cannot change the result."""


def no_further_problems(_arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What the types of the arguments say is all there is to say."""
    return ()


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check.

    Attributes:
        name: What slice files call it.
        function: What grades an answer.
        parameters: Its arguments, from the function's signature.
        wanted: Which of ``case`` and ``full_answer`` the function is given too.
        shorthand: The argument that a bare value fills; None when the check has no shorthand.
        validate: Judges what types cannot say: a pattern compiles, a minimum is below its maximum.
        decided: What the check will say of any answer that begins so; None for a check that reads answers to their end.
    """

    name: str
    function: CheckFunction
    parameters: tuple[Parameter, ...]
    wanted: frozenset[str]
    shorthand: Parameter | None
    validate: Validate
    decided: Decided | None = None

    @property
    def documentation(self) -> str:
        """The function's docstring, for people who write slice files; empty when it has none."""
        return inspect.getdoc(self.function) or ""

    def parse(self, raw: object) -> tuple[CheckSpec | None, tuple[str, ...]]:
        """The spec that a slice file's value asks for, or every problem with it."""
        arguments = self._named(raw)
        if isinstance(arguments, str):
            return None, (self._problem(arguments),)
        known = {parameter.name: parameter for parameter in self.parameters}
        problems = [
            self._unknown(name, known.keys() - arguments.keys() or known) for name in arguments.keys() - known.keys()
        ]
        for name, parameter in known.items():
            if name in arguments:
                problem = parameter.problem(arguments[name])
                problems += [problem] if problem else []
            elif parameter.required:
                problems.append(f"missing argument {name!r}")
        if not problems:
            problems.extend(self._further_problems(arguments))
        if problems:
            return None, tuple(self._problem(problem) for problem in problems)
        return CheckSpec(self.name, arguments), ()

    def grade(self, arguments: Mapping[str, Any], case: Case, answer: Answer) -> Finding:
        """Call the function; whatever goes wrong in it is not the answer's fault."""
        given = self._keywords(arguments)
        context = {CASE_KEYWORD: case, ANSWER_KEYWORD: answer}
        given.update((keyword, context[keyword]) for keyword in self.wanted)
        try:
            found: object = self.function(answer.text, **given)
        except Exception as error:  # noqa: BLE001  (a check of any origin must not end the run)
            return unscored(f"the check itself failed: {type(error).__name__}: {error}")
        if not isinstance(found, Finding):
            return unscored(f"the check itself failed: it returned a {type(found).__name__}")
        return found

    def foretell(self, arguments: Mapping[str, Any], so_far: str) -> bool | None:
        """What the check will say of an answer that begins so, whatever follows; None when that is not known yet.

        The beginning might be the whole answer: a foretelling that the check itself contradicts there is none.
        """
        if self.decided is None:
            return None
        given = self._keywords(arguments)
        try:
            told = self.decided(so_far, **given)
            if told is None:
                return None
            found: object = self.function(so_far, **given)
        except Exception:  # noqa: BLE001  (a check of any origin must not end the run)
            return None
        return told if isinstance(found, Finding) and found.followed is told else None

    def _keywords(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function's parameters are called."""
        keywords = {parameter.keyword: parameter.name for parameter in self.parameters}
        return {keyword: arguments[name] for keyword, name in keywords.items() if name in arguments}

    def _named(self, raw: object) -> dict[str, Any] | str:
        """Arguments by name, or the problem with a value that cannot be that."""
        names = {parameter.name for parameter in self.parameters}
        if raw is None:
            return {}
        # a mapping may be the shorthand value itself (json_schema: {type: object}): then no key is a name
        if isinstance(raw, Mapping) and not (
            raw and names.isdisjoint(raw) and self.shorthand and self.shorthand.accepts(raw)
        ):
            odd = [describe(key) for key in raw if not isinstance(key, str)]
            return f"argument names must be text, not {', '.join(odd)}" if odd else dict(raw)
        if self.shorthand:
            return {self.shorthand.name: raw}
        if not names:
            return f"takes no arguments, not {describe(raw)}"
        return f"write its arguments by name ({', '.join(sorted(names))}), not {describe(raw)}"

    def _unknown(self, name: str, known: Iterable[str]) -> str:
        if not self.parameters:
            return f"takes no arguments, not {one_line(name, 60)!r}"
        return f"unknown argument {one_line(name, 60)!r}; {nearest(name, known)}"

    def _further_problems(self, arguments: Mapping[str, Any]) -> list[str]:
        try:
            return list(self.validate(arguments))
        except Exception as error:  # noqa: BLE001  (bad input never gives a traceback, in third-party code either)
            return [f"its arguments could not be judged: {type(error).__name__}: {error}"]

    def _problem(self, problem: str) -> str:
        return f"check {self.name!r}: {one_line(problem, 300)}"


class CheckRegistry:
    """Checks by name: parses what slice files ask for, and grades answers.

    Holds no built-in checks by itself; see checks.builtin.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        return tuple(sorted(self._checks))

    def get(self, name: str) -> Check | None:
        """The check of that name; None when there is none."""
        return self._checks.get(name)

    def register(
        self,
        name: str,
        function: CheckFunction,
        *,
        shorthand: str | None = None,
        validate: Validate = no_further_problems,
        decided: Decided | None = None,
    ) -> None:
        """Add a check.

        Args:
            name: What slice files call it, such as ``exact`` or ``punctuation:no_comma``.
            function: Takes the answer's text and typed keyword-only arguments; returns a Finding. It must be
                deterministic. A parameter ``all_`` is the argument ``all``; a keyword-only parameter ``case``
                receives the case, and one called ``full_answer`` the Answer (checks.model).
            shorthand: The argument that ``- name: value`` fills.
            validate: Called with arguments whose names and types are right; gives further problems.
            decided: Called as the function is, with an answer's beginning, which may end inside a word: True when every
                answer that begins so follows the check, False when every one violates it, None when that is not known
                yet. ``--quant-stop-early`` goes by it; a check without it reads answers to their end.

        Raises:
            ValueError: The name is taken (the message names both functions), empty, or the shorthand is no argument.
            TypeError: The function's signature cannot be filled from a slice file; it takes more than the answer's text
                and is to be decided early.
        """
        if not name or not name.isprintable() or name != name.strip():
            msg = f"a check's name must be printable text: {name!r}"
            raise ValueError(msg)
        if name in self._checks:
            first = function_name(self._checks[name].function)
            msg = f"check {name!r} is registered twice: by {first} and by {function_name(function)}"
            raise ValueError(msg)
        parameters, wanted = parameters_of(function)
        target = next((parameter for parameter in parameters if parameter.name == shorthand), None)
        if shorthand is not None and target is None:
            msg = f"check {name!r}: its shorthand {shorthand!r} is no argument of {function_name(function)}"
            raise ValueError(msg)
        if decided is not None and wanted:
            msg = f"check {name!r}: a check that is given {' and '.join(sorted(wanted))} cannot be decided early"
            raise TypeError(msg)
        self._checks[name] = Check(name, function, parameters, wanted, target, validate, decided)

    def parse(self, name: str, raw: object) -> tuple[CheckSpec | None, tuple[str, ...]]:
        """Turn one check of a slice file into a spec.

        Args:
            name: The check's name as written.
            raw: A mapping of arguments, the check's shorthand value, or None.

        Returns:
            The spec and no problems, or None and every problem: each one line, without a place.
        """
        check = self._checks.get(name)
        if check is None:
            hint = nearest(name, self._checks, otherwise="`quantgate checks` shows the built-in ones")
            return None, (f"unknown check {quoted_name(name)}; {hint}",)
        return check.parse(raw)

    def grade(self, spec: CheckSpec, case: Case, answer: str | Answer) -> CheckResult:
        """Grade one answer by one check; never raises.

        Args:
            spec: The check.
            case: What was asked.
            answer: The answer; as text alone where nothing else is known of it.

        Returns:
            ``followed`` is None when the check is not registered here, failed, or could not decide; the reason
            is one printable line.
        """
        check = self._checks.get(spec.name)
        full = answer if isinstance(answer, Answer) else Answer(answer)
        found = check.grade(spec.arguments, case, full) if check else unscored("no such check is registered")
        return CheckResult(spec.name, found.followed, one_line(found.reason))

    def may_decide(self, spec: CheckSpec) -> bool:
        """Whether a check may know its result before an answer's end."""
        check = self._checks.get(spec.name)
        return check is not None and check.decided is not None

    def foretell(self, spec: CheckSpec, so_far: str) -> bool | None:
        """What a check will say of every answer that begins so; never raises.

        Args:
            spec: The check.
            so_far: The answer's beginning, no part of which can change any more.

        Returns:
            True when all such answers follow it, False when all violate it, None when that is not known yet.
        """
        check = self._checks.get(spec.name)
        return check.foretell(spec.arguments, so_far) if check else None


def quoted_name(name: str) -> str:
    """A name that a slice file made up, fit for a message."""
    return repr(one_line(name, 60))
