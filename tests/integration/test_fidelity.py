"""--quant-fidelity: how near candidates stay to the reference's next-token probabilities along its answers."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_quantgate.generation import decode, fidelity
from pytest_quantgate.generation.cache import default_cache_path
from pytest_quantgate.generation.step import top_two
from pytest_quantgate.outcomes.fidelity import fidelity_of
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab
from tests.tiny_model import CONTEXT, SPECIAL, WORDS

OPTIONS = ("--quant-fidelity", "--quant-report-json=run.json")


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text(encoding="utf-8"))


def test_each_candidate_is_measured_along_the_references_answers(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(6), max_pass_to_fail=1, min_robustness=0)
    first = lab.run(*OPTIONS, candidates=("nf4", "fp32"))
    assert empty_cache.exists()
    first.stdout.fnmatch_lines(
        [
            "fp16, what the reference expects: 6 answers to read, 0 cached",
            "nf4, fidelity: 6 answers to read, 0 cached",
            "*words: *same top token at *% of *, KL divergence * nats a token*",
            "*words: *same top token at 100.0% of *, KL divergence 0 nats a token",
        ]
    )
    report = report_of(lab)
    near, same = (fidelity_of(report.comparisons("words", spec)) for spec in ("nf4", "fp32"))
    assert near is not None
    assert same is not None
    assert near.tokens == same.tokens == sum(len(each.outcomes["fp16"].completion.token_ids) for each in report.cases)
    assert 0 < near.agreeing < near.tokens
    assert near.divergence > same.divergence == 0
    assert all(each.outcomes["fp16"].completion.fidelity is None for each in report.cases)
    again = lab.run(*OPTIONS, candidates=("nf4", "fp32"))
    again.stdout.no_fnmatch_line("*to read*")
    assert report_of(lab).cases == report.cases
    plain = lab.run("--quant-report-json=run.json")
    plain.stdout.no_fnmatch_line("*KL divergence*")
    assert "fidelity" not in json.dumps(report_of(lab).to_json())


def test_a_second_turn_is_measured_along_the_references_own_chat(lab: Lab) -> None:
    first, second = (prompt for prompt in list(lab.tiny.texts["fp16"])[:2])
    turns = [{"prompt": prompt, "checks": ["comply"]} for prompt in (first, second)]
    lab.write("chat", [{"id": "two", "turns": turns}], max_pass_to_fail=1, min_robustness=0)
    lab.run("--quant-fidelity", "--quant-report-json=run.json")
    (record,) = report_of(lab).cases
    before, after = (record.outcomes[spec].turns for spec in ("fp16", "nf4"))
    measured = [turn.completion.fidelity for turn in after]
    assert None not in measured
    assert [each.tokens for each in measured if each] == [len(turn.completion.token_ids) for turn in before]


@pytest.mark.alone(reason="what is told does not depend on how tests are distributed")
def test_a_reference_that_does_not_run_here_has_nothing_to_measure_along(lab: Lab, at_home: None) -> None:  # noqa: ARG001
    lab.write("words", lab.many(3), max_pass_to_fail=1, min_robustness=0)
    lab.run("--quant-reanchor=all")
    result = lab.run("--quant-fidelity", "--quant-ref=golden:fp16")
    result.stdout.fnmatch_lines(
        ["fidelity is not measured: transformers does not run the reference, golden:fp16, here"]
    )
    result.stdout.no_fnmatch_line("*KL divergence*")


@pytest.mark.alone(reason="what is told does not depend on how tests are distributed")
def test_a_reference_that_is_never_run_is_told_once_however_often_it_is_looked_at(lab: Lab, at_home: None) -> None:  # noqa: ARG001
    cases = lab.many(40, degraded=12)
    lab.write("words", cases, rule="evidence", max_pass_to_fail=0.3, min_robustness=0.5, min_cases=10)
    assert lab.run("--quant-reanchor=new", candidates=("fp32",)).ret == pytest.ExitCode.OK
    result = lab.run("--quant-fidelity", "--quant-ref=golden:fp16", "--quant-sequential")
    result.stdout.fnmatch_lines(["quantgate: look 2: *"])
    assert result.stdout.str().count("fidelity is not measured") == 1


def of_another_tokenizer(lab: Lab) -> Path:
    """The model, and a tokenizer of as many words that counts two of them the other way round."""
    folder = Path(shutil.copytree(lab.tiny.folder, lab.pytester.path / "other"))
    path = folder / "tokenizer.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = value["model"]["vocab"]
    one, other = WORDS[:2]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(value), encoding="utf-8")
    return folder


def test_a_candidate_of_another_tokenizer_is_not_measured_and_that_is_told(lab: Lab) -> None:
    other = f"fp32@{of_another_tokenizer(lab)}"
    lab.write("words", lab.many(4), max_pass_to_fail=1, min_robustness=0)
    result = lab.run(*OPTIONS, candidates=(other, "nf4"))
    assert result.ret == pytest.ExitCode.OK
    told = f"fidelity is not measured of {other} (its tokenizer files are not the reference's)"
    assert result.stdout.str().count("fidelity is not measured") == 1
    assert told in result.stdout.str()
    report = report_of(lab)
    assert fidelity_of(report.comparisons("words", other)) is None
    assert fidelity_of(report.comparisons("words", "nf4")) is not None
    assert all(each.outcomes[other].passed is not None for each in report.cases)


def test_a_candidate_that_lacks_tokens_of_the_answers_is_not_measured_and_that_is_told(lab: Lab) -> None:
    folder = Path(shutil.copytree(lab.tiny.folder, lab.pytester.path / "short"))
    rows = len(SPECIAL) + 20
    weights = load_file(folder / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name][:rows].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": rows}), encoding="utf-8")
    prompts = [" ".join(WORDS[begin : begin + 3]) for begin in range(6)]
    cases = [
        {"id": f"case-{number}", "prompt": prompt, "checks": [{"word_count": {"max": CONTEXT}}]}
        for number, prompt in enumerate(prompts)
    ]
    lab.write("words", cases)
    short = f"fp32@{folder}"
    result = lab.run(*OPTIONS, candidates=(short,))
    assert result.ret == pytest.ExitCode.OK
    told = f"{short}: fidelity is not measured any further: {folder}: the tokenizer gives token *counted from 0"
    result.stdout.fnmatch_lines([told.replace("[", "[[]")])
    assert fidelity_of(report_of(lab).comparisons("words", short)) is None


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("broken", ["fp16", "nf4"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("cublas is in a mood"), "internal error: RuntimeError: cublas is in a mood"),
        (MemoryError("nothing is left"), "internal error: MemoryError: nothing is left"),
    ],
)
def test_an_error_while_it_is_measured_is_told_and_verdicts_stand(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception, reason: str
) -> None:
    real = fidelity.along

    def along(loaded: Any, *rest: Any) -> Any:
        if str(loaded.variant.spec) == broken:
            raise error
        return real(loaded, *rest)

    monkeypatch.setattr(fidelity, "along", along)
    lab.write("words", lab.many(3), max_pass_to_fail=1, min_robustness=0)
    result = lab.run(*OPTIONS)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"{broken}: fidelity is not measured any further: {reason}"])
    assert fidelity_of(report_of(lab).comparisons("words", "nf4")) is None


@pytest.mark.usefixtures("empty_cache")
def test_an_interrupt_while_it_is_measured_is_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def along(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fidelity, "along", along)
    lab.write("words", lab.many(2))
    result = lab.run(*OPTIONS)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*fidelity is not measured*")


def strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.usefixtures("empty_cache")
def test_the_only_possible_token_has_a_margin_that_json_can_hold(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens, tops, seconds = top_two(logits)
        return tokens, tops, torch.full_like(seconds, float("-inf"))

    monkeypatch.setattr(decode, "top_two", alone)
    lab.write("words", lab.many(2), max_pass_to_fail=1, min_robustness=0)
    found = []
    for generated in (2, 0):  # made, and read back
        result = lab.run("--quant-report-json=run.json", "--quant-report-html=run.html", "--quant-strict")
        assert result.ret == pytest.ExitCode.OK
        report = strictly((lab.pytester.path / "run.json").read_text(encoding="utf-8"))
        assert report["reference"]["generated"] == generated
        found.append(report["cases"])
    assert found[0] == found[1]
    margins = [outcome["margins"] for case in found[0] for outcome in case["outcomes"].values()]
    assert {each for some in margins for each in some} == {None}
    with sqlite3.connect(default_cache_path()) as database:
        payloads = database.execute("SELECT payload FROM completions").fetchall()
    assert len(payloads) == 4
    for (payload,) in payloads:
        strictly(payload)
