from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.gate.binomial import cases_to_pass, cases_to_pass_at, power_to_fail, smallest_rate
from tests.unit.cli.recorded import write_slice


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def rows(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, list[str]]:
    """The cells of each slice by its name."""
    assert main(["power", *arguments]) == status
    told = capsys.readouterr()
    assert told.err == ""
    table = told.out.partition("\n\n")[0].splitlines()
    ruler = next(number for number, line in enumerate(table) if set(line) == {"-"})
    cells = [line.split() for line in table[ruler + 1 :]]
    return {row[0]: row[1:] for row in cells if len(row) > 2}


def test_a_slice_is_told_with_what_its_cases_prove(capsys: pytest.CaptureFixture[str]) -> None:
    write_slice(Path(), cases=100)
    found = rows(capsys, ".", "--rule", "evidence", "--alpha", "0.04", "--candidates", "2")
    sees = smallest_rate(100, 0.05, 0.02)
    assert sees is not None
    assert power_to_fail(sees, 100, 0.05, 0.02) == pytest.approx(0.8)
    assert found == {
        "sums": [
            *("evidence", "100", "100", "PASS→FAIL", "5.0%", f"{100 * sees:.1f}%"),
            *(str(cases_to_pass(0.05, 0.02)), str(cases_to_pass_at(0.025, 0.05, 0.02)), "yes"),
        ]
    }


def test_a_gate_that_could_reach_no_verdict_is_told_with_the_cases_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    write_slice(Path(), cases=40)
    assert main(["power", ".", "--rule", "evidence"]) == 1
    out = capsys.readouterr().out
    assert "no" in out.splitlines()[3].split()
    assert f"sums: max_pass_to_fail 0.05 takes {cases_to_pass(0.05, 0.05)} cases to PASS" in " ".join(out.split())


def test_rule_and_limits_come_from_the_slice_file_unless_an_option_says_something_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_slice(Path(), cases=40, gate="{rule: evidence, max_pass_to_fail: 0.2, min_robustness: 0.5}")
    assert rows(capsys, ".")["sums"][0] == "evidence"
    assert rows(capsys, ".", "--rule", "point")["sums"][0] == "point"
    rows(capsys, ".", "--max-pass-to-fail", "0.01", status=1)
    rows(capsys, ".", "--min-cases", "41", status=1)


def test_more_candidates_take_more_cases(capsys: pytest.CaptureFixture[str]) -> None:
    one, many = (
        int(rows(capsys, "--cases", "500", "--rule", "evidence", "--candidates", number)["any"][-3])
        for number in ("1", "8")
    )
    assert one < many


def test_a_number_of_cases_stands_for_a_slice_that_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    write_slice(Path(), cases=100)
    of_slice = rows(capsys, ".", "--rule", "evidence")["sums"]
    assert rows(capsys, "--cases", "100", "--rule", "evidence")["any"] == of_slice
    rows(capsys, "--cases", "20", status=1)


def test_suites_that_ship_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"format", "math"} <= rows(capsys, "--suite", "core").keys()


def test_cases_of_a_cluster_are_worth_less(capsys: pytest.CaptureFixture[str]) -> None:
    cases = "".join(
        f"  - {{id: c{number}, cluster: k{number // 4}, prompt: p, checks: [json]}}\n" for number in range(40)
    )
    Path("k.slice.yaml").write_text(f"slice: k\ncases:\n{cases}")
    assert rows(capsys, "k.slice.yaml")["k"][1:3] == ["40", "10"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no slice is named"),
        (["nowhere"], "nowhere: no such file"),
        (["--suite", "cor"], "did you mean 'core'?"),
        (["--cases", "0"], "--cases: 0 cases"),
        (["--cases", "1000000000"], "--cases: 1000000000 cases"),
        (["--cases", "40", "--suite", "core"], "--cases: slices have cases already"),
        (["--cases", "40", "--candidates", "0"], "--candidates: 0 candidates"),
        (["--cases", "40", "--alpha", "0"], "--alpha: alpha is 0"),
        (["--cases", "40", "--max-pass-to-fail", "-1"], "--max-pass-to-fail: "),
    ],
)
def test_options_that_cannot_be_right_are_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["power", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


def test_problems_of_slice_files_are_told_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.slice.yaml").write_text("slice: a\ncases: 3\n")
    assert main(["power", "a.slice.yaml"]) == 1
    assert capsys.readouterr().err.startswith("a.slice.yaml:2: ")


def test_names_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "a\x1b[31m.slice.yaml"]) == 2
    assert "\x1b" not in capsys.readouterr().err
