from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pytest_quantgate.errors import QuantgateError, UsageError
from pytest_quantgate.report.html import page
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.model import RunReport, VariantRecord
from pytest_quantgate.report.store import Kind, check, clear, load, write, write_text
from tests.unit.report.build import typical


@pytest.fixture
def run() -> RunReport:
    return RunReport(
        tool_version="0.1.0",
        created="2026-01-01T00:00:00Z",
        command=("pytest",),
        base_command=("pytest",),
        report_path="run.json",
        model="some-model",
        revision=None,
        device="cpu",
        compute_dtype="float32",
        reference=VariantRecord("fp16", "0" * 64),
        candidates=(),
        slices=(),
        gates=(),
        cases=(),
    )


def test_what_was_written_is_read_back(run: RunReport, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write(run, path)
    assert load(path) == run
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_is_made_and_an_older_report_removed(run: RunReport, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    clear(path, "JSON")
    write(run, path)
    clear(path, "JSON")
    assert path.parent.is_dir()
    assert not path.exists()


def views(report: RunReport) -> dict[Kind, str]:
    return {"JSON": report.to_json(), "HTML": page(report), "Markdown": markdown_report(report)}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_older_report_of_any_run_makes_room_and_so_does_an_empty_file(
    kind: Kind, run: RunReport, tmp_path: Path
) -> None:
    path = tmp_path / "report"
    for report in (run, replace(run, base_command=()), typical()):
        for text in (views(report)[kind], ""):
            write_text(text, path)
            clear(path, kind)
            assert not path.exists()


@pytest.mark.parametrize("kind", get_args(Kind))
def test_any_other_file_is_refused_and_left_alone(kind: Kind, tmp_path: Path) -> None:
    others = [text for other, text in views(typical()).items() if other != kind]
    page_of_others = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>mine</title>\n'
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    for text in (*others, page_of_others, "def test_one(): pass\n", "slice: people\n", "# notes\n", "{}\n", "\n", "#"):
        path.write_text(text, encoding="utf-8")
        for place in (path, link):
            for refuse in (check, clear):
                with pytest.raises(UsageError) as caught:
                    refuse(place, kind)
                assert str(caught.value) == (
                    f"{place}: no report can be written there: that file is no {kind} report of pytest-quantgate\n"
                    "  name another file, or delete that one first"
                )
        assert path.read_text(encoding="utf-8") == text
    assert link.is_symlink()


def test_a_report_that_cannot_be_written_leaves_nothing_behind(run: RunReport, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.mkdir()
    with pytest.raises(QuantgateError, match="cannot be written"):
        write(run, path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["folder", "file/run.json", "a\0b", "n" * 300])
def test_a_place_where_no_report_can_be_written_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for refuse in (check, clear):
        with pytest.raises(UsageError, match="no report can be written there"):
            refuse(tmp_path / name, "JSON")


@pytest.mark.parametrize("name", ["run.json", "deep/er/run.json"])
def test_a_folder_that_nobody_can_write_to_is_told_before_anything_is_written(name: str) -> None:
    for refuse in (check, clear):
        with pytest.raises(
            UsageError, match=rf"^/proc/{name}: no report can be written there: .*\n  name a file in a fo"
        ):
            refuse(Path("/proc") / name, "JSON")


def test_a_place_is_checked_without_a_trace(run: RunReport, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(run.to_json())
    check(tmp_path / "run.json", "JSON")
    check(tmp_path / "deep" / "er" / "run.json", "JSON")
    assert [(each.name, each.read_text()) for each in tmp_path.rglob("*")] == [("run.json", run.to_json())]


def test_a_place_in_the_current_folder_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(Path("run.json"), "JSON")
    monkeypatch.chdir("/proc")
    with pytest.raises(UsageError, match="no report can be written there"):
        check(Path("run.json"), "JSON")


@pytest.mark.parametrize("name", ["nowhere", "folder", "a\0b", "bytes"])
def test_a_file_that_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ("folder", "What it held before is untouched. Make room, or its folder writable, and run again."),
        ("file/run.json", "Make room, or its folder writable, and run again."),
    ],
)
def test_only_what_is_there_is_called_untouched(place: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(QuantgateError) as caught:
        write_text("new", tmp_path / place)
    assert caught.value.hint == hint


def test_a_view_replaces_the_older_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.md"
    write_text("old\n", path)

    def on_a_full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", on_a_full_disk)
        with pytest.raises(QuantgateError, match=r"run\.md: the report cannot be written: No space left on device"):
            write_text("new\n", path)
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", ["/proc", "/proc/no such folder"])
def test_a_folder_that_nobody_can_write_to_is_told(folder: str) -> None:
    with pytest.raises(QuantgateError, match=r"run\.md: the report cannot be written: .*"):
        write_text("new", Path(folder) / "run.md")


def test_a_name_may_be_as_long_as_the_file_system_takes_it(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_text("text", path)
    assert path.read_text() == "text"


def test_text_that_no_file_can_hold_is_made_visible(tmp_path: Path) -> None:
    write_text("half \ud800", tmp_path / "run.md")
    assert (tmp_path / "run.md").read_text() == "half \\ud800"
