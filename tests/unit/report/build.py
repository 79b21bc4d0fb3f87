"""A small run, built without a model; shared by the tests of the report."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import cast

from pytest_quantgate.cases.model import Case, CheckSpec, Location, Message, Rule
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.drift import DriftInput, judge_drift
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, Role, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.golden.model import Anchored, AnchoredAnswer, Standing
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import (
    AuditRecord,
    CaseRecord,
    GateSettings,
    GoldenRecord,
    SliceRecord,
    VariantRecord,
)

PASSED = Outcome(
    Completion('{"name": "Alice", "age": 30}', (5, 6, 7, 8), "stop", 21, (1.5, 0.25, 0.03, 4.0)),
    (CheckResult("json", followed=True, reason="valid JSON"),),
    passed=True,
)
FAILED = Outcome(
    Completion('{"name": "Alice", age: 30', (5, 6, 9), "length", 21, (1.5, 0.25, 0.5)),
    (CheckResult("json", followed=False, reason="line 1 column 19: expected a key in quotes"),),
    passed=False,
)
UNSCORED = Outcome(
    Completion("", (), "context", 9000, problem="the prompt does not fit"),
    (CheckResult("json", followed=None, reason="the prompt does not fit"),),
    passed=None,
    unscored="the prompt does not fit",
)


def case(case_id: str, prompt: str = "Write a JSON object for Alice, who is 30.") -> Case:
    """A case with one check."""
    return Case(
        id=case_id,
        messages=(Message("system", "Answer with JSON only."), Message("user", prompt)),
        checks=(CheckSpec("json", {"fenced": ["never", 1], "strict": False}),),
        max_new_tokens=32,
        tags=("flat", "json"),
        location=Location("suites/format.slice.yaml", 12),
    )


def record(slice_name: str, case_id: str, before: Outcome, after: Outcome, candidate: str = "nf4") -> CaseRecord:
    """A case that both sides answered."""
    node_id = f"suites/{slice_name}.slice.yaml::{case_id}[{candidate}]"
    return CaseRecord(slice_name, case(case_id), {candidate: node_id}, {"fp16": before, candidate: after})


def run(
    *slices: tuple[str, list[CaseRecord]],
    policy: GatePolicy | None = None,
    candidate: str = "nf4",
    total: int | None = None,
    report_path: str | None = None,
    problem: str | None = None,
    audited: bool = True,
) -> RunReport:
    """A run of one candidate; its gates are judged from the records."""
    policy = policy or GatePolicy(max_pass_to_fail=0.05, min_cases=1)
    gates = judge(
        [
            GateInput(
                name,
                candidate,
                [each for record in records if (each := record.comparison("fp16", candidate)) is not None],
                policy,
                selected=len(records),
                total=total or len(records),
                problem=problem,
            )
            for name, records in slices
        ]
    )
    return RunReport(
        tool_version="0.1.0",
        created="2025-11-22T01:02:03Z",
        command=("pytest", "--quant-suite", "core", "--quant-ref", "fp16", "--quant-cand", candidate, "-x"),
        base_command=("pytest", "--quant-suite", "core", "--quant-ref", "fp16", "--quant-cand", candidate),
        report_path=report_path,
        model="smollm2",
        revision=None,
        device="cpu",
        compute_dtype="float32",
        reference=VariantRecord("fp16", "0a1b", {"weights": "cafe", "torch": "2.13.0"}, cached=3, generated=4),
        candidates=(
            VariantRecord(
                candidate,
                "2c3d",
                {"weights": "cafe"},
                AuditRecord(211, 210, 4.127, 101_500_000, 269_000_000) if audited else None,
                problem=problem,
            ),
        ),
        slices=tuple(
            SliceRecord(name, "answers that a program will parse", f"suites/{name}.slice.yaml", total or len(records))
            for name, records in slices
        ),
        gates=gates,
        cases=tuple(record for _, records in slices for record in records),
    )


def with_summaries(report: RunReport, told: str = "4-bit NormalFloat (bitsandbytes)") -> RunReport:
    """The same run, with what reference and candidate are and the kernels that they answered by."""
    (candidate,) = report.candidates
    reference = replace(
        report.reference,
        summary="weights rounded to float16, nothing quantized",
        identity={**report.reference.identity, "kernels": "native"},
    )
    candidate = replace(candidate, summary=told, identity={**candidate.identity, "kernels": "dense"})
    return replace(report, reference=reference, candidates=(candidate,))


@cache
def typical() -> RunReport:
    """A failing slice, a passing one and one that is inconclusive, with long names and many digits."""
    return run(
        ("format", [record("format", f"person-{n}", PASSED, FAILED if n < 5 else PASSED) for n in range(60)]),
        ("long-context", [record("long-context", f"needle-{n}", PASSED, PASSED) for n in range(64)]),
        ("refusals", [record("refusals", f"mild-{n}", PASSED if n else UNSCORED, PASSED) for n in range(12)]),
        policy=GatePolicy(),
    )


def counted(
    slice_name: str, *, pp: int = 0, ff: int = 0, pf: int = 0, fp: int = 0, candidate: str = "nf4", size: int = 0
) -> list[CaseRecord]:
    """So many cases of each transition; with a size, each so many in a row share a cluster."""
    kinds = [(PASSED, PASSED)] * pp + [(FAILED, FAILED)] * ff + [(PASSED, FAILED)] * pf + [(FAILED, PASSED)] * fp
    records = [record(slice_name, f"case-{n}", *kind, candidate) for n, kind in enumerate(kinds)]
    if not size:
        return records
    return [replace(each, case=replace(each.case, cluster=f"cluster-{n // size}")) for n, each in enumerate(records)]


def sweep(*verdicts: tuple[str, float | None, Verdict | None], slice_name: str = "format") -> RunReport:
    """A run of one slice with so many candidates: spec, bits, and what the gate says; None has no gate."""
    report = run((slice_name, counted(slice_name, pp=40)))
    (gate,) = report.gates
    return replace(
        report,
        candidates=tuple(VariantRecord(spec, spec, bits=bits) for spec, bits, _ in verdicts),
        gates=tuple(
            replace(gate, candidate=spec, verdict=verdict) for spec, _, verdict in verdicts if verdict is not None
        ),
    )


@cache
def full(*, size: int = 0, rule: Rule = "evidence", seed: int | None = 7) -> RunReport:
    """A run with everything in it: a noise floor, controls of both kinds, looks, clusters, and a judged indicator."""
    policy = GatePolicy(rule=rule, min_cases=1, max_refusal_drift=0.2, max_length_ratio=2.0)
    report = run(
        ("format", counted("format", pp=80, ff=6, pf=3, fp=2, size=size)),
        ("math", counted("math", pp=70, pf=20)),
        policy=policy,
    )
    ruined, floor = VariantRecord("int2", "4e5f", bits=2.0), VariantRecord("fp16 (again)", "6071", bits=16.0)
    cases = tuple(
        replace(each, outcomes={**each.outcomes, "int2": FAILED, floor.spec: each.outcomes["fp16"]})
        for each in report.cases
    )
    report = replace(report, cases=cases)
    inputs = []
    for role, spec in (("candidate", "nf4"), ("positive control", "int2"), ("negative control", floor.spec)):
        for name in ("format", "math"):
            found = report.comparisons(name, spec)
            again = report.comparisons(name, floor.spec) if role == "candidate" else None
            count = len(found)
            inputs.append(GateInput(name, spec, found, policy, count, count, cast("Role", role), floor=again))
    gates = judge(inputs)
    unasked = tuple(replace(record("math", f"left-{n}", PASSED, PASSED), outcomes={}) for n in range(10))
    return replace(
        report,
        candidates=(replace(report.candidates[0], bits=4.0),),
        gates=gates[:2],
        controls=gates[2:],
        settings=GateSettings(alpha=0.1, inconclusive="pass", seed=seed),
        control_variants=(ruined,),
        floor_variant=floor,
        cases=(*cases, *unasked),
    )


@cache
def anchored(*, drifted: int = 4) -> RunReport:
    """A run whose candidate is anchored: some cases drifted, one is new, one was accepted, and torch is another."""
    records = counted("format", pp=40, pf=drifted)
    report = run(("format", records), policy=GatePolicy(max_pass_to_fail=0.5, min_robustness=0.1))
    found = report.comparisons("format", "nf4")
    gate = judge_drift(DriftInput("format", "nf4", found, GatePolicy(), 0, 0, len(records), len(records)))
    moved = [f"case-{40 + place}" for place in range(drifted)]
    was = Anchored(PASSED.results, (AnchoredAnswer(PASSED.completion.text, "stop", 4),))
    golden = GoldenRecord(
        slice="format",
        variant="nf4",
        path="suites/golden/format/nf4.jsonl",
        anchored="2025-10-01T02:03:04Z",
        by="a person <person@example.org>",
        same=39 - drifted,
        standings=(
            *(Standing(name, "drifted", "json: followed, now violated", was) for name in moved),
            Standing("case-1", "reworded", "other text, same results"),
            Standing("case-2", "new", "not anchored"),
        ),
        changes=("library torch 2.13.0 → 2.14.1",),
        accepted={"case-3": "the old answer was wrong, see #12"},
        written=("case-2",),
    )
    return replace(report, goldens=(golden,), drifts=(gate,))
