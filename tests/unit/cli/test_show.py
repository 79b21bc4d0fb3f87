"""`quantgate show`: how a case is named, what is said of a wrong name, and where the tokenizer comes from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from pytest_quantgate.cli import main
from pytest_quantgate.commands import show as command
from pytest_quantgate.commands.show import find, reader_of
from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.report.model import RunReport, VariantRecord
from pytest_quantgate.variants import source
from tests.unit.report.build import FAILED, PASSED, record, run


def two_slices() -> RunReport:
    """The case ``one`` in both slices; another candidate and a control beside nf4."""
    report = run(
        ("format", [record("format", "one", PASSED, FAILED), record("format", "two", PASSED, FAILED)]),
        ("math", [record("math", "one", PASSED, PASSED), record("math", "t[1]", PASSED, PASSED)]),
    )
    more = tuple(
        replace(
            each,
            node_ids={**each.node_ids, "int8": f"suites/{each.slice}.slice.yaml::{each.case.id}[int8]"},
            outcomes={**each.outcomes, "int8": PASSED, "int2": FAILED},
        )
        for each in report.cases
    )
    return replace(
        report,
        cases=more,
        candidates=(*report.candidates, VariantRecord("int8", "3e4f")),
        control_variants=(VariantRecord("int2", "5f60"),),
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("two", ("format", "two", None)),
        ("two[int8]", ("format", "two", "int8")),
        ("two[int2]", ("format", "two", "int2")),
        ("math::one", ("math", "one", None)),
        ("math::one[nf4]", ("math", "one", "nf4")),
        ("suites/format.slice.yaml::one[nf4]", ("format", "one", "nf4")),
        ("./suites/format.slice.yaml::one[int8]", ("format", "one", "int8")),
        ("suites/format.slice.yaml::one", ("format", "one", None)),
        ("format.slice.yaml::one[nf4]", ("format", "one", "nf4")),
        ("t[1]", ("math", "t[1]", None)),
        ("t[1][nf4]", ("math", "t[1]", "nf4")),
    ],
)
def test_a_case_is_named_as_reports_and_pytest_name_it(name: str, found: tuple[str, str, str | None]) -> None:
    case, spec = find(two_slices(), name, where="run.json")
    assert (case.slice, case.case.id, spec) == found


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("one", "2 cases are called 'one'\n  name one of them: format::one, math::one"),
        ("tow", "no case 'tow' in this run\n  did you mean 'two'?"),
        ("format::twoo", "did you mean 'format::two'?"),
        ("two[nf5]", "no such candidate: did you mean 'nf4'?"),
        ("format::one[fp16]", "no such candidate: "),
        ("what is this", "name one of its 4 cases: SLICE::CASE"),
        ("x" * 100_000, "no case"),
        ("", "no case ''"),
        ("]", "no case"),
    ],
)
def test_a_name_that_means_no_case_is_told_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(two_slices(), name, where="run.json")
    message = str(caught.value)
    assert message.startswith("run.json: ")
    assert told in message
    assert len(message) < 1000


def test_a_run_without_cases_has_none_to_show() -> None:
    with pytest.raises(UsageError, match="this run has no cases"):
        find(replace(two_slices(), cases=()), "one", where="run.json")


def test_every_candidate_is_shown_unless_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    file.write_text(two_slices().to_json())
    assert main(["show", str(file), "two"]) == 0
    shown = capsys.readouterr().out
    assert "format::two[nf4]  PASS→FAIL" in shown
    assert "format::two[int8]  PASS→PASS" in shown
    assert main(["show", str(file), "two[int2]"]) == 0
    shown = capsys.readouterr().out
    assert "format::two[int2]  PASS→FAIL" in shown
    assert "nf4" not in shown.partition("run it again")[0]


def test_a_wrong_name_and_a_wrong_file_end_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    file.write_text(two_slices().to_json())
    assert main(["show", str(file), "evil\x1b[31m"]) == 2
    assert main(["show", str(tmp_path / "none.json"), "one"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err


def report_of(model: Path | str) -> RunReport:
    return replace(two_slices(), model=str(model))


def test_the_tokenizer_of_a_folder_is_read(tmp_path: Path) -> None:
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))  # noqa: S106
    reader = reader_of(report_of(tmp_path))
    assert reader.tokenizer is not None
    assert reader.name == str(tmp_path)


def test_why_there_is_no_tokenizer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader_of(report_of(tmp_path)).name == f"the model has no tokenizer.json: {tmp_path}"
    assert "the model is not on this machine" in reader_of(report_of(tmp_path / "gone")).name
    (tmp_path / "tokenizer.json").write_text("{")
    assert "cannot be read" in reader_of(report_of(tmp_path)).name
    monkeypatch.setattr(source, "embedded_file", lambda _: (_ for _ in ()).throw(ModelError("not installed")))
    assert "not installed" in reader_of(report_of("smollm2")).name


def test_no_model_is_looked_for_where_no_tokens_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "folder_at_hand", lambda *_: pytest.fail("a model was looked for"))
    report = report_of("recorded answers")
    bare = replace(PASSED, completion=replace(PASSED.completion, token_ids=()))
    cases = tuple(replace(each, outcomes=dict.fromkeys(each.outcomes, bare)) for each in report.cases)
    assert command.reader_of(replace(report, cases=cases)).tokenizer is None


def test_no_torch_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(report_of(tmp_path).to_json())
    code = (
        "import sys; from pytest_quantgate.cli import main; "
        f"status = main(['show', {str(file)!r}, 'two']); sys.exit(status or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
