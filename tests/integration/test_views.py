"""What a run leaves for other readers: HTML, Markdown, and what GitHub Actions shows."""

from __future__ import annotations

import os
import re
from pathlib import Path

import jinja2  # noqa: F401  (see tests/integration/conftest.py)
import matplotlib.figure  # noqa: F401  (likewise)
import pytest

from pytest_quantgate.plugin.views import MOST_SUMMARY
from pytest_quantgate.report import html
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab


@pytest.fixture
def summary(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run is a step of GitHub Actions; the file that its summary is appended to."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(lab.pytester.path))
    file = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def failing(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=2), max_pass_to_fail=0.1)


def commands_of(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if re.match("::(error|warning)", line)]


def test_all_views_of_one_run_say_the_same(lab: Lab) -> None:
    failing(lab)
    result = lab.run(
        "--quant-report-json=out/run.json", "--quant-report-html=out/run.html", "--quant-report-markdown=out/run.md"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    folder = lab.pytester.path / "out"
    report = load(folder / "run.json")
    assert (folder / "run.md").read_text(encoding="utf-8") == markdown_report(report)
    assert "words" in (folder / "run.html").read_text(encoding="utf-8")
    assert commands_of(result) == []


def test_the_views_of_an_earlier_run_are_gone_when_this_one_makes_none(lab: Lab) -> None:
    failing(lab)
    old = lab.pytester.path / "run.md"
    old.write_text("## quantgate: PASS\n")
    lab.run("--quant-report-markdown=run.md", "--collect-only")
    assert old.read_text() == "## quantgate: PASS\n"
    lab.run("--quant-report-markdown=run.md", "-k", "no such case")
    assert not old.exists()


@pytest.mark.parametrize("kind", ["JSON", "HTML", "Markdown"])
def test_a_file_that_is_no_report_is_not_taken_for_an_older_one(kind: str, lab: Lab) -> None:
    failing(lab)
    lab.pytester.makepyfile(test_model="def test_one(): pass")
    file, older = lab.pytester.path / "test_model.py", lab.pytester.path / "older"
    text, another = file.read_text(), "--quant-report-markdown" if kind == "JSON" else "--quant-report-json"
    older.touch()
    option = f"--quant-report-{kind.lower()}"
    for more in ((), ("--quant-dry-run",)):
        result = lab.run(*more, f"{another}=older", option, "test_model.py")  # the option's value was forgotten
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                f"ERROR: {option} *test_model.py: no report can be written there: that file is no {kind} report of *",
                "  name another file, or delete that one first",
            ]
        )
        assert file.read_text() == text
        assert older.exists()


@pytest.mark.parametrize("option", ["--quant-report-html", "--quant-report-markdown"])
def test_a_place_where_nothing_can_be_written_is_told_before_anything_runs(option: str, lab: Lab) -> None:
    failing(lab)
    (lab.pytester.path / "file").touch()
    result = lab.run(f"{option}=file/run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option} *file/run: *"])


def test_two_views_at_one_place_are_refused(lab: Lab) -> None:
    failing(lab)
    result = lab.run("--quant-report-json=run", "--quant-report-markdown=./run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-report-markdown *run: --quant-report-json names the same file*"])


def test_a_view_that_cannot_be_written_fails_the_run_and_leaves_the_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write("words", lab.many(2))
    monkeypatch.setattr(html, "page", lambda report: report.no_such_thing)
    result = lab.run("--quant-report-markdown=run.md", "--quant-report-html=run.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: --quant-report-html *run.html: internal error*AttributeError*"])
    result.stdout.fnmatch_lines(["*quantgate report*"])
    assert (lab.pytester.path / "run.md").exists()
    assert not (lab.pytester.path / "run.html").exists()


def test_in_actions_what_fails_is_annotated_at_its_line_and_summed_up(lab: Lab, summary: Path) -> None:
    summary.write_text("what another command said\n")
    failing(lab)
    result = lab.run()
    found = commands_of(result)
    assert found[0].startswith(
        "::error file=words.slice.yaml,line=2,title=FAIL%3A gate of nf4 on words::PASS→FAIL 2 of 4 (50.0%25"
    )
    assert [re.sub(r"line=\d+", "line=N", line).partition("::exact")[0] for line in found[1:]] == [
        f"::warning file=words.slice.yaml,line=N,title=degraded%3A words%3A%3Acase-{number}[nf4]" for number in (2, 3)
    ]
    assert summary.read_text(encoding="utf-8").startswith("what another command said\n## quantgate: FAIL\n")


@pytest.mark.usefixtures("summary")
@pytest.mark.parametrize(
    "arguments",
    [("--quant-inconclusive=pass", "--quant-allow-underpowered"), ("-k", "case-0")],
    ids=["lenient", "partial"],
)
def test_in_actions_a_gate_is_an_error_where_it_fails_the_build(arguments: tuple[str, ...], lab: Lab) -> None:
    lab.write("words", lab.many(2), min_cases=9)
    undecided = lab.run(*arguments)
    assert undecided.ret == pytest.ExitCode.OK
    broken = lab.run(*arguments, "--quant-model=/no/model")
    assert broken.ret == pytest.ExitCode.TESTS_FAILED
    kinds = [[line.partition(" ")[0] for line in commands_of(result)] for result in (undecided, broken)]
    assert kinds == [["::warning"], ["::error"]]


@pytest.mark.usefixtures("summary")
def test_nothing_that_an_answer_or_a_check_says_is_a_command_to_the_runner(lab: Lab) -> None:
    lab.pytester.makeconftest(
        """
        from pytest_quantgate.checks.finding import Finding

        def parrot(answer: str, *, text: str) -> Finding:
            return Finding(answer == text, "##[error]parrot")

        def shrug(answer: str) -> Finding:
            return Finding(None, "##[error]shrug")

        def pytest_quantgate_register_checks(registry):
            registry.register("parrot", parrot)
            registry.register("shrug", shrug)
        """
    )
    degraded = lab.degraded("degraded")
    ((check,),) = (each.values() for each in degraded["checks"])
    shrugged = lab.preserved("shrugged")
    cases = [{**degraded, "checks": [{"parrot": {"text": check}}]}, {**shrugged, "checks": [{"shrug": {}}]}]
    lab.write("words", cases)
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("words.slice.yaml")
        def test_words(quant_case):
            quant_case.assert_not_degraded()
        """
    )
    result = lab.run("--quant-strict", "-rf")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    escaped = [line for line in result.outlines if r"#\x23[error]" in line]
    for start in ("FAILED words.slice.yaml::degraded", "words on nf4: shrugged", "  unscored cases: 1 of 2"):
        assert any(line.startswith(start) for line in escaped), start
    assert [line for line in result.outlines if "##[" in line] == [
        line for line in commands_of(result) if "##[" in line
    ]


def test_in_actions_a_run_that_passes_is_summed_up_alone(lab: Lab, summary: Path) -> None:
    lab.write("words", lab.many(2))
    result = lab.run()
    assert result.ret == pytest.ExitCode.OK
    assert commands_of(result) == []
    assert summary.read_text(encoding="utf-8").startswith("## quantgate: PASS\n")


@pytest.mark.parametrize("value", ["", "false", "1"])
def test_elsewhere_github_is_told_nothing(value: str, lab: Lab, summary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    failing(lab)
    assert commands_of(lab.run()) == []
    assert not summary.exists()


@pytest.mark.parametrize("fault", ["folder", "pipe", "full", "nowhere", "null"])
def test_a_summary_that_cannot_be_written_is_a_warning(
    fault: str, lab: Lab, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "folder":
        summary.mkdir()
    elif fault == "pipe":
        os.mkfifo(summary)
    elif fault == "full":
        summary.write_bytes(b"x" * MOST_SUMMARY)
    elif fault == "nowhere":
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary / "deep" / "file"))
    else:
        monkeypatch.setattr(os, "environ", {**os.environ, "GITHUB_STEP_SUMMARY": "a\0b"})
    lab.write("words", lab.many(2))
    result = lab.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: warning: GITHUB_STEP_SUMMARY *: no summary is written: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    if fault == "full":
        assert summary.stat().st_size == MOST_SUMMARY


def test_without_a_workspace_annotations_name_no_file(lab: Lab, summary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    failing(lab)
    assert commands_of(lab.run())[0].startswith("::error title=FAIL%3A gate of nf4 on words::")
    assert not summary.exists()
