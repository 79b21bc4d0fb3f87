"""What happens to reports when the machine does not play along: the old file or the new one, whole, and a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.report import html
from pytest_quantgate.report.store import load, write_text
from tests.unit.faults import go_on, line_of, namespace, process
from tests.unit.report.build import typical

HERE = """
from pathlib import Path
from pytest_quantgate import files
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.report.store import clear, load, write, write_text

files.PATIENCE = 600.0  # for the others to write, on a slow disk
"""

IN_A_SMALL_FOLDER = """
import subprocess
path, option = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", path.parent], check=True)
write_text("## quantgate: old", path)
if option:
    subprocess.run(["mount", "-o", option, path.parent], check=True)
for attempt in (lambda: write_text("new" * 100_000, path), lambda: clear(path, "Markdown")):
    try:
        attempt()
    except QuantgateError as error:
        print(error.what)
    print(*(f"{each.name}: {each.read_text()}" for each in path.parent.iterdir()))
"""


def test_a_full_disk_leaves_the_older_report(tmp_path: Path) -> None:
    with process(HERE + IN_A_SMALL_FOLDER, tmp_path / "run.md", "", before=namespace()) as child:
        output, _ = child.communicate()
    assert output.splitlines() == [
        "the report cannot be written: No space left on device",
        "run.md: ## quantgate: old",
        "",
    ]


def test_a_read_only_disk_is_told_before_anything_runs(tmp_path: Path) -> None:
    with process(HERE + IN_A_SMALL_FOLDER, tmp_path / "run.md", "remount,ro", before=namespace()) as child:
        output, _ = child.communicate()
    assert output.splitlines() == [
        "the report cannot be written: Read-only file system",
        "run.md: ## quantgate: old",
        "no report can be written there: Read-only file system",
        "run.md: ## quantgate: old",
    ]


@pytest.mark.parametrize("part", ["half", "whole"])
def test_a_run_that_is_killed_while_it_writes_leaves_no_half_report(part: str, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    write_text("old", path)
    script = """
fill = files._fill
def killed_within(descriptor, data):
    fill(descriptor, data[: len(data) // 2] if sys.argv[2] == "half" else data)
    say("now")
files._fill = killed_within
write_text("new" * 100_000, Path(sys.argv[1]))
"""
    with process(HERE + script, path, part) as child:
        assert line_of(child) == "now"
        child.kill()
        child.wait()
    assert path.read_text() == "old"
    write_text("next", path)
    assert path.read_text() == "next"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_is_killed_between_two_reports_leaves_no_older_one_beside_its_own(tmp_path: Path) -> None:
    report, page = tmp_path / "run.json", tmp_path / "run.html"
    write_text(typical().to_json(), tmp_path / "now.json")
    for path, text in ((report, typical().to_json()), (page, html.page(typical()))):
        write_text(text, path)
    script = """
report, page = map(Path, sys.argv[1:3])
clear(report, "JSON")
clear(page, "HTML")
write(load(Path(sys.argv[3])), report)
say("now")
write_text("never", page)
"""
    with process(HERE + script, report, page, tmp_path / "now.json") as child:
        assert line_of(child) == "now"
        child.kill()
        child.wait()
    assert load(report) == typical()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["now.json", "run.json"]


def test_of_runs_that_write_one_report_at_once_each_writes_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    script = """
say("ready")
write_text(sys.argv[2] * 500_000, Path(sys.argv[1]))
print("written")
"""
    with process(HERE + script, path, "a") as one, process(HERE + script, path, "b") as other:
        assert [line_of(each) for each in (one, other)] == ["ready"] * 2
        for each in (one, other):
            go_on(each)
        assert [line_of(each) for each in (one, other)] == ["written"] * 2
    assert path.read_text() in ("a" * 500_000, "b" * 500_000)
    assert list(tmp_path.iterdir()) == [path]
