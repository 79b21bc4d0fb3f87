"""Cases, outcomes and gate results as JSON values, and back; one pair of functions per value."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, cast, get_args

from pytest_quantgate.cases.model import Case, CheckSpec, Location, Message, Role, Turn
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.generation.expected import Fidelity
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.records import CaseRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.report.reading import Fields
    from pytest_quantgate.report.records import GoldenRecord, VariantRecord

RATES = (
    "stability",
    "pass_to_fail_rate",
    "loss_rate",
    "net_change",
    "reference_pass_rate",
    "candidate_pass_rate",
)
"""Rates of TransitionCounts that are written for other readers, and computed again when read here."""


def dump(value: object, *, indent: int | None = None) -> str:
    """One JSON value as ASCII text with sorted keys, the same for equal values.

    Numbers that JSON cannot write (NaN, infinities) become null; lone surrogates become escapes.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, indent=indent)
    except ValueError:  # rare, so the search for the culprit costs nothing when all is well
        return json.dumps(_finite(value), sort_keys=True, allow_nan=False, indent=indent)


def encode_case(case: Case) -> dict[str, Any]:
    """A case as a JSON value; what few cases have is written for those alone."""
    value = {
        "id": case.id,
        "messages": [{"role": message.role, "content": message.content} for message in case.messages],
        "checks": _encode_checks(case.checks),
        "max_new_tokens": case.max_new_tokens,
        "tags": case.tags,
        "cluster": case.cluster,
        "path": case.location.path,
        "line": case.location.line,
    }
    if case.answer_prefix:
        value["answer_prefix"] = case.answer_prefix
    if case.subject:
        value["subject"] = case.subject
    if case.later:
        value["later"] = [
            {"prompt": turn.prompt, "checks": _encode_checks(turn.checks), "max_new_tokens": turn.max_new_tokens}
            for turn in case.later
        ]
    return value


def decode_case(fields: Fields) -> Case:
    """The case that ``encode_case`` wrote."""
    return Case(
        id=fields.text("id"),
        messages=tuple(
            Message(cast("Role", message.choice("role", get_args(Role))), message.text("content"))
            for message in fields.each("messages")
        ),
        checks=_decode_checks(fields),
        max_new_tokens=fields.count("max_new_tokens"),
        tags=fields.texts("tags"),
        cluster=fields.optional_text("cluster"),
        location=Location(fields.text("path"), fields.count("line")),
        answer_prefix=fields.text("answer_prefix") if "answer_prefix" in fields else "",
        subject=fields.text("subject") if "subject" in fields else "",
        later=tuple(
            Turn(turn.text("prompt"), _decode_checks(turn), turn.count("max_new_tokens"))
            for turn in (fields.each("later") if "later" in fields else ())
        ),
    )


def _encode_checks(checks: Sequence[CheckSpec]) -> list[dict[str, Any]]:
    return [{"name": check.name, "arguments": dict(check.arguments)} for check in checks]


def _decode_checks(fields: Fields) -> tuple[CheckSpec, ...]:
    return tuple(CheckSpec(check.text("name"), check.mapping("arguments")) for check in fields.each("checks"))


def encode_outcome(outcome: Outcome) -> dict[str, Any]:
    """An outcome with its completion as one flat JSON value; what few outcomes have is written for those alone."""
    completion = outcome.completion
    value = {
        "text": completion.text,
        "token_ids": completion.token_ids,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "margins": completion.margins,
        "problem": completion.problem,
        "results": [
            {"check": result.check, "followed": result.followed, "reason": result.reason} for result in outcome.results
        ],
        "passed": outcome.passed,
        "unscored": outcome.unscored,
    }
    if completion.counted is not None:
        value["counted"] = completion.counted
    if completion.fidelity is not None:
        value["fidelity"] = asdict(completion.fidelity)
    if completion.recall:
        value["recall"] = [asdict(each) for each in completion.recall]
    if outcome.turns:
        value["turns"] = [encode_outcome(turn) for turn in outcome.turns]
    return value


def decode_outcome(fields: Fields) -> Outcome:
    """The outcome that ``encode_outcome`` wrote."""
    turns = fields.each("turns") if "turns" in fields else ()
    return replace(_decode_turn(fields), turns=tuple(map(_decode_turn, turns)))


def _decode_turn(fields: Fields) -> Outcome:
    # Turns hold no turns: what is nested deeper, by whoever wrote it, is not looked at.
    results = tuple(
        CheckResult(result.text("check"), result.optional_flag("followed"), result.text("reason"))
        for result in fields.each("results")
    )
    passed = fields.optional_flag("passed")
    if passed is not None and (not results or passed is not _follows(results)):
        fields.refuse("passed", "what its results say")
    return Outcome(
        completion=Completion(
            text=fields.text("text"),
            token_ids=fields.integers("token_ids"),
            finish_reason=cast("FinishReason", fields.choice("finish_reason", get_args(FinishReason))),
            prompt_tokens=fields.count("prompt_tokens"),
            margins=fields.numbers("margins"),
            problem=fields.optional_text("problem"),
            recall=tuple(
                Recall(
                    text=each.text("text"),
                    token_ids=each.integers("token_ids"),
                    ranks=each.integers("ranks"),
                    ties=each.integers("ties"),
                    log_probabilities=each.numbers("log_probabilities"),
                    problem=each.optional_text("problem"),
                )
                for each in (fields.each("recall") if "recall" in fields else ())
            ),
            counted=fields.count("counted") if "counted" in fields else None,
            fidelity=_decode_fidelity(fields) if "fidelity" in fields else None,
        ),
        results=results,
        passed=passed,
        unscored=fields.optional_text("unscored"),
    )


def _decode_fidelity(fields: Fields) -> Fidelity:
    found = fields.value("fidelity", Fidelity)
    if not found.tokens or found.agreeing > found.tokens:
        fields.refuse("fidelity", "of at least one token, of which not more agree than there are")
    return found


def _follows(results: Sequence[CheckResult]) -> bool | None:
    """Whether all checks are followed; None when one of them is unscored."""
    followed = [result.followed for result in results]
    return None if None in followed else all(followed)


def encode_gate(gate: GateResult) -> dict[str, Any]:
    """A gate result as a JSON value, with the rates that follow from its counts."""
    counts = gate.statistics.counts
    return {
        **asdict(gate),
        "verdict": gate.verdict.value,
        "rates": {name: getattr(counts, name) for name in RATES},
    }


def encode_variant(variant: VariantRecord) -> dict[str, Any]:
    """A variant as a JSON value; what not every variant has is written for those that have it."""
    value = asdict(replace(variant, identity=dict(variant.identity)))  # asdict cannot copy every kind of mapping
    unsaid = {key for key in ("model", "summary", "folder") if value[key] is None}
    return {key: each for key, each in value.items() if key not in unsaid}


def encode_golden(golden: GoldenRecord) -> dict[str, Any]:
    """How a variant stands to its golden, as a JSON value; what was anchored is written of drifted cases alone."""
    value = asdict(replace(golden, accepted=dict(golden.accepted)))  # see above
    for standing in value["standings"]:
        if standing["anchored"] is None:
            del standing["anchored"]
    return value


def encode_record(record: CaseRecord) -> dict[str, Any]:
    """A case and its outcomes as a JSON value."""
    return {
        "slice": record.slice,
        "case": encode_case(record.case),
        "node_ids": dict(record.node_ids),
        "outcomes": {spec: encode_outcome(outcome) for spec, outcome in record.outcomes.items()},
    }


def decode_record(fields: Fields) -> CaseRecord:
    """The case and its outcomes that ``encode_record`` wrote."""
    case = decode_case(fields.fields("case"))
    outcomes = {spec: decode_outcome(outcome) for spec, outcome in fields.members("outcomes")}
    asked = [len(case.checks), *(len(turn.checks) for turn in case.later)]
    turns = asked if case.later else []
    # statistics and views pair results with results, turn by turn
    if any(
        len(each.results) != sum(asked) or [len(turn.results) for turn in each.turns] != turns
        for each in outcomes.values()
    ):
        fields.refuse("outcomes", "one result for each check of the case")
    return CaseRecord(fields.text("slice"), case, fields.text_mapping("node_ids"), outcomes)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(member) for member in value]
    return value
