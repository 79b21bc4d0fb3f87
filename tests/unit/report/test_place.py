"""Where a run was made is said from where its report lies, and found again from there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.errors import UsageError
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.place import folder_of, seen_from
from tests.unit.report.build import counted, run

SLICE = "suites/words.slice.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, with its slice file; the current folder is another one."""
    folder = tmp_path / "project"
    (folder / "suites").mkdir(parents=True)
    (folder / SLICE).write_text("slice: words")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def made(folder: str | None) -> RunReport:
    return replace(run(("words", counted("words", pp=1))), folder=folder)


@pytest.mark.parametrize(
    ("report", "said"),
    [("run.json", "."), ("out/run.json", ".."), ("../reports/run.json", "../project"), ("a/b/run.json", "../..")],
)
def test_the_folder_is_found_again_from_the_report(project: Path, report: str, said: str) -> None:
    file = project / report
    file.parent.mkdir(parents=True, exist_ok=True)
    assert seen_from(file, project) == said
    assert folder_of(made(said), file) == project


def test_links_lead_to_the_same_folder(project: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (project / "out").symlink_to(tmp_path / "disk")
    assert seen_from(project / "out" / "run.json", project) == "../project"
    (tmp_path / "disk" / "run.json").write_text("{}")
    (tmp_path / "latest.json").symlink_to(tmp_path / "disk" / "run.json")
    assert folder_of(made("../project"), tmp_path / "latest.json") == project


def test_a_report_that_says_nothing_is_seen_from_the_current_folder(project: Path) -> None:
    assert folder_of(made(None), project / "run.json") == Path.cwd()


def test_a_report_that_was_moved_is_seen_from_the_current_folder_where_its_slices_are(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded = tmp_path / "downloads" / "run.json"
    downloaded.parent.mkdir()
    assert folder_of(made("."), downloaded) == downloaded.parent  # no folder has its slices
    monkeypatch.chdir(project)
    assert folder_of(made("."), downloaded) == project
    assert folder_of(made("../gone"), downloaded) == project


def test_slices_that_have_one_place_say_nothing_of_the_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = made(".")
    report = replace(report, slices=tuple(replace(each, path=str(project / SLICE)) for each in report.slices))
    monkeypatch.chdir(project)
    assert folder_of(report, tmp_path / "run.json") == tmp_path


@pytest.mark.parametrize("said", ["../project", "nul\0l", "n" * 300])
def test_a_folder_that_is_gone_is_told(project: Path, tmp_path: Path, said: str) -> None:
    file = tmp_path / "reports" / "run.json"
    file.parent.mkdir()
    shutil.rmtree(project)
    with pytest.raises(UsageError) as caught:
        folder_of(made(said), file)
    assert caught.value.where == str(file)
    assert f"is not there: {tmp_path}" in caught.value.what
    assert "put the report back where it was written, or start the command in the folder" in (caught.value.hint or "")


def test_the_folder_survives_the_file() -> None:
    report = made("..")
    (candidate,) = report.candidates
    report = replace(report, candidates=(replace(candidate, folder="../.."),))
    assert RunReport.from_json(report.to_json()) == report
    assert '"folder"' not in made(None).to_json()
