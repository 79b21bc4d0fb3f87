"""`quantgate rerun`: what it would run, what it refuses to run, and that it asks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands import rerun
from pytest_quantgate.commands.rerun import Rerun, command_of, described, plan
from pytest_quantgate.errors import UsageError
from pytest_quantgate.golden.model import Standing
from pytest_quantgate.report.model import GoldenRecord, RunReport, VariantRecord
from tests.unit.report.build import FAILED, PASSED, record, run

FORMAT, MATH = "suites/format.slice.yaml", "suites/math.slice.yaml"


def report() -> RunReport:
    """Two slices on two candidates: on nf4 ``bad`` degraded and ``better`` improved, on int8 nothing moved."""
    made = run(
        (
            "format",
            [
                record("format", "good", PASSED, PASSED),
                record("format", "bad", PASSED, FAILED),
                record("format", "better", FAILED, PASSED),
            ],
        ),
        ("math", [record("math", "good", PASSED, PASSED)]),
    )
    cases = tuple(
        replace(
            each,
            node_ids={**each.node_ids, "int8": f"suites/{each.slice}.slice.yaml::{each.case.id}[int8]"},
            outcomes={**each.outcomes, "int8": each.outcomes["fp16"]},
        )
        for each in made.cases
    )
    base = ("pytest", "-c", "my.ini", "suites", "other", "--quant-ref", "fp16", "--quant-cand", "nf4", "--quant-strict")
    candidates = (*made.candidates, VariantRecord("int8", "3e4f"))
    return replace(made, cases=cases, candidates=candidates, base_command=base)


def selected(**chosen: str) -> tuple[str, ...]:
    return plan(report(), where="run.json", **chosen).selected


def test_the_options_stay_and_the_paths_go() -> None:
    assert plan(report(), where="run.json").options == (
        *("-c", "my.ini", "--quant-ref", "fp16", "--quant-cand", "nf4", "--quant-strict"),
    )


def test_whole_files_stand_for_their_cases() -> None:
    planned = plan(report(), where="run.json")
    assert planned.selected == (FORMAT, MATH)
    assert planned.cases == 8


def test_all_cases_of_one_candidate_are_its_gates() -> None:
    assert selected(candidate="nf4") == (f"{FORMAT}::gate[nf4]", f"{MATH}::gate[nf4]")
    assert selected(candidate="int8", slice_="math") == (f"{MATH}::gate[int8]",)


def test_some_cases_are_named_one_by_one() -> None:
    assert selected(only="degraded") == (f"{FORMAT}::bad[nf4]",)
    assert selected(only="unstable") == (f"{FORMAT}::bad[nf4]", f"{FORMAT}::better[nf4]")
    assert selected(only="unstable", candidate="int8") == ()


def test_a_part_of_a_slice_is_never_taken_for_the_whole() -> None:
    cut = replace(report(), cases=report().cases[1:])
    assert plan(cut, where="run.json", slice_="format").selected == (
        *(f"{FORMAT}::{name}[nf4]" for name in ("bad", "better")),
        *(f"{FORMAT}::{name}[int8]" for name in ("bad", "better")),
    )


def test_a_gate_and_cases_of_one_file_are_never_named_beside_each_other() -> None:
    made = report()
    cut = replace(made.cases[0], node_ids={"int8": made.cases[0].node_ids["int8"]})
    named = plan(replace(made, cases=(cut, *made.cases[1:])), where="run.json", slice_="format").selected
    assert len(named) == 5
    assert not any("::gate" in each for each in named)


def test_drifted_cases_are_those_of_either_sides_golden() -> None:
    golden = GoldenRecord("format", "nf4", "g", None, None, 1, (Standing("good", "drifted"), Standing("bad", "new")))
    made = replace(report(), goldens=(golden, replace(golden, variant="fp16", slice="math")))
    planned = plan(made, where="run.json", only="drifted")
    assert planned.selected == (f"{FORMAT}::good[nf4]", MATH)


def test_standings_are_looked_at_once_and_not_for_every_case() -> None:
    class Counted(tuple[Standing, ...]):
        __slots__ = ()
        looks = 0

        def __iter__(self) -> Iterator[Standing]:
            Counted.looks += 1
            return super().__iter__()

    standings = Counted([Standing("good", "drifted"), Standing("bad", "new")])
    made = replace(report(), goldens=(GoldenRecord("format", "nf4", "g", None, None, 1, standings),))
    assert plan(made, where="run.json", only="drifted").selected == (f"{FORMAT}::good[nf4]",)
    assert Counted.looks == 1


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"slice_": "fromat"}, "no slice 'fromat' in this run\n  did you mean 'format'?"),
        ({"candidate": "nf5"}, "no candidate 'nf5' in this run\n  did you mean 'nf4'?"),
    ],
)
def test_an_unknown_name_names_the_nearest(chosen: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        selected(**chosen)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ((), "pytest did not make this run"),
        (("rm", "-rf", "/"), "it would run 'rm', not pytest"),
        (("/tmp/pytest",), "it would run '/tmp/pytest', not pytest"),  # noqa: S108  (nothing is written there)
        (("pytest", "@/etc/passwd"), "stands for arguments that are not shown"),
        (("pytest", "-k", "@more"), "stands for arguments that are not shown"),
        (("pytest", "-p", " " * 20_000, "evil"), "nobody would read"),
        (("pytest", "-k", "a\0b"), r"no process can be given 'a\x00b'"),
        (("pytest", "-k", "\ud800"), r"no process can be given '\ud800'"),
    ],
)
def test_a_command_that_is_not_pytests_or_cannot_be_read_is_refused(base: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(replace(report(), base_command=base), where="run.json")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "node_id",
    [
        "-pevil::bad[nf4]",
        "@file::bad[nf4]",
        "::bad[nf4]",
        "--rootdir=/",
        "a.slice.yaml::other[nf4]",
        "a.slice.yaml\n-pevil::bad[nf4]",
        "a\x1b[2J.slice.yaml::bad[nf4]",
        f"{'a' * 200_000}.slice.yaml::bad[nf4]",
    ],
)
def test_a_node_id_that_is_none_is_refused(node_id: str) -> None:
    made = report()
    cases = (made.cases[0], replace(made.cases[1], node_ids={"nf4": node_id}), *made.cases[2:])
    with pytest.raises(UsageError, match="is no node id of 'bad' on 'nf4'"):
        plan(replace(made, cases=cases), where="run.json", only="degraded")


def test_few_cases_stand_on_the_command_line() -> None:
    with command_of(Rerun(("-q",), ("a::b[nf4]",), 1)) as words:
        assert words == (sys.executable, "-m", "pytest", "-q", "a::b[nf4]")


def test_many_cases_stand_in_a_file_while_it_is_needed() -> None:
    names = tuple(f"ä.slice.yaml::case-{number}[nf4]" for number in range(5000))
    planned = Rerun(("-q",), names, 5000)
    with command_of(planned) as words:
        file = Path(words[-1].removeprefix("@"))
        assert tuple(file.read_text(encoding="utf-8").splitlines()) == names
        assert f"5,000 cases, named in {file}: {names[0]}, {names[1]}" in described(planned, words)
    assert not file.exists()


def test_every_file_is_named_before_it_is_run() -> None:
    names = tuple(f"a.slice.yaml::case-{number}[nf4]" for number in range(5000))
    planned = Rerun((), (*names, "/elsewhere/b.slice.yaml::last[nf4]"), 5001)
    with command_of(planned) as words:
        assert described(planned, words).endswith(", ..., of the files\n  a.slice.yaml\n  /elsewhere/b.slice.yaml")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run was started, with the files of its cases; it is the current folder."""
    folder = tmp_path / "project"
    for name in (FORMAT, MATH):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.chdir(folder)
    return folder


def written(made: RunReport, folder: Path) -> str:
    file = folder / "run.json"
    file.write_text(made.to_json())
    return str(file)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would have run, with the exit status 3."""
    commands: list[tuple[str, ...]] = []

    def run(command: Sequence[str]) -> int:
        commands.append(tuple(command))
        return 3

    monkeypatch.setattr(rerun, "run", run)
    return commands


class Terminal:
    """Standard input of somebody who is there."""

    def isatty(self) -> bool:
        return True


def answering(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda _: said)


def test_it_runs_after_a_yes_with_pytests_exit_status(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(monkeypatch, "y")
    assert main(["rerun", written(report(), tmp_path), "--only", "degraded"]) == 3
    (command,) = started
    assert command[:3] == (sys.executable, "-m", "pytest")
    assert command[-1] == f"{FORMAT}::bad[nf4]"
    assert "'suites/format.slice.yaml::bad[nf4]'\n1 case\n" in capsys.readouterr().out


def test_a_no_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[tuple[str, ...]]) -> None:
    answering(monkeypatch, "")
    assert main(["rerun", written(report(), tmp_path)]) == 1
    assert started == []


def test_without_a_terminal_it_only_shows_the_command(
    tmp_path: Path, started: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rerun", written(report(), tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "-m pytest -c my.ini" in out
    assert out.endswith("nothing was run: add --yes when the command is as it should be\n")
    assert started == []


def test_yes_beforehand_runs_it(tmp_path: Path, started: list[tuple[str, ...]]) -> None:
    assert main(["rerun", written(report(), tmp_path), "--yes"]) == 3
    assert len(started) == 1


@pytest.mark.parametrize(("reported", "started_in"), [("project/out", ""), ("", "project/suites"), ("", "other")])
def test_elsewhere_than_the_run_nothing_runs_and_the_folder_is_named_where_it_can_be_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
    *,
    reported: str,
    started_in: str,
) -> None:
    for each in (reported, started_in):
        (tmp_path / each).mkdir(exist_ok=True)
    file = written(report(), tmp_path / reported)
    monkeypatch.chdir(tmp_path / started_in)
    assert main(["rerun", file, "--only", "degraded", "--yes"]) == 2
    assert started == []
    told = capsys.readouterr().err
    assert (
        f"{file}: '{FORMAT}', in which cases of this run are, is not there as seen from {tmp_path / started_in}" in told
    )
    assert (f"start it in {tmp_path / 'project'}, from where" in told) == (started_in != "other")
    assert ("start it in the folder that the run was started in" in told) == (started_in == "other")


def test_a_file_whose_name_is_too_long_is_not_there(
    tmp_path: Path, started: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    made = report()
    far = replace(made.cases[1], node_ids={"nf4": f"{'a' * 5_000}.slice.yaml::bad[nf4]"})
    file = written(replace(made, cases=(made.cases[0], far, *made.cases[2:])), tmp_path)
    assert main(["rerun", file, "--only", "degraded", "--yes"]) == 2
    assert "is not there as seen from" in capsys.readouterr().err
    assert started == []


def test_where_nothing_is_such_nothing_runs(
    tmp_path: Path, started: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(report(), tmp_path)
    assert (
        main(["rerun", file, "--only", "degraded", "--candidate", "int8", "--yes"])
        == pytest.ExitCode.NO_TESTS_COLLECTED
    )
    assert "no case of this run is degraded: there is nothing to run again" in capsys.readouterr().out
    assert started == []


def test_arguments_from_outside_cannot_act_on_the_terminal(
    tmp_path: Path, started: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    made = replace(report(), base_command=("pytest", "-p", "\x1b]0;owned\x07"))
    main(["rerun", written(made, tmp_path), "--yes"])
    assert "\x1b" not in capsys.readouterr().out
    assert started[0][3:5] == ("-p", "\x1b]0;owned\x07")


def test_the_exit_status_is_that_of_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    assert rerun.run([sys.executable, "-c", "raise SystemExit(4)"]) == 4
    assert rerun.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9
    assert rerun.run([sys.executable, "-c", "print('$HOME; ls')"]) == 0
    assert capfd.readouterr().out == "$HOME; ls\n"
