"""What happens to goldens when the machine does not play along: the old file or the new one, whole, and a reason."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate import files
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.golden.encoding import encode
from pytest_quantgate.golden.model import Golden
from pytest_quantgate.golden.store import load, write
from tests.unit.faults import go_on, line_of, namespace, process
from tests.unit.golden.build import entry, golden

TOLD = """
from dataclasses import replace
from pathlib import Path
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate import files
from pytest_quantgate.golden.store import load, write

files.PATIENCE = 600.0  # for the others to write, on a slow disk

def anchor(path, answer):
    found = load(Path(path))
    entries = {
        each.id: replace(each, answers=(replace(each.answers[0], text=answer),)) for each in found.entries.values()
    }
    return replace(found, entries=entries)
"""


def answers_of(path: Path) -> set[str]:
    found = load(path)
    assert found
    return {each.answers[0].text for each in found.entries.values()}


@pytest.fixture
def made(tmp_path: Path) -> Golden:
    """A golden of three cases that is written."""
    first = golden(tmp_path, *(entry(each, text="old") for each in "abc"))
    write(first)
    found = load(first.path)
    assert found
    return found


IN_A_SMALL_FOLDER = """
import shutil, subprocess
path, option, answer = Path(sys.argv[1]), sys.argv[2], sys.argv[3] * 100_000
kept = path.read_bytes()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", path.parent], check=True)
path.write_bytes(kept)
if option:
    subprocess.run(["mount", "-o", option, path.parent], check=True)
try:
    write(anchor(path, answer), shown="nf4.jsonl")
except QuantgateError as error:
    print(error)
print(path.read_bytes() == kept, [each.name for each in path.parent.iterdir()])
"""


@pytest.mark.parametrize(
    ("option", "reason"), [("", "No space left on device"), ("remount,ro", "Read-only file system")]
)
def test_a_full_disk_or_a_read_only_one_leaves_the_golden_as_it_was(option: str, reason: str, made: Golden) -> None:
    with process(TOLD + IN_A_SMALL_FOLDER, made.path, option, "x", before=namespace()) as child:
        output, _ = child.communicate()
    assert output.splitlines() == [
        f"nf4.jsonl: the file cannot be written: {reason}",
        "  What it held before is untouched. Make room, or its folder writable, and run again.",
        "True ['nf4.jsonl']",
    ]


def test_a_write_that_stops_in_the_middle_leaves_the_golden_as_it_was(made: Golden) -> None:
    """Where nothing can be mounted, a limit on the size of files stops a write in the middle as a full disk does."""
    script = """
import resource
changed = anchor(sys.argv[1], "x" * 100_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write(changed, shown="nf4.jsonl")
except QuantgateError as error:
    print(error.what)
"""
    with process(TOLD + script, made.path) as child:
        output, _ = child.communicate()
    assert output == "the file cannot be written: File too large\n"
    assert load(made.path) == made
    assert list(made.path.parent.iterdir()) == [made.path]


@pytest.mark.parametrize("place", ["golden", "golden/people", "golden/people/nf4.jsonl"])
def test_something_else_in_its_place_is_told(place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if path.suffix else path.touch()
    with pytest.raises(QuantgateError, match=r"nf4\.jsonl: the file cannot be written: (Not|File|Is) "):
        write(golden(tmp_path, entry()))
    assert [each for each in tmp_path.rglob("*") if each.suffix == ".tmp"] == []


def test_of_writers_at_once_one_writes_and_the_others_say_that_it_changed(made: Golden) -> None:
    script = """
changed = anchor(sys.argv[1], sys.argv[2])
say("ready")
try:
    write(changed)
    print("written")
except QuantgateError as error:
    print(error.what)
"""
    with (
        process(TOLD + script, made.path, "first") as one,
        process(TOLD + script, made.path, "second") as two,
        process(TOLD + script, made.path, "third") as three,
    ):
        children = (one, two, three)
        assert [line_of(each) for each in children] == ["ready"] * 3
        for each in children:
            go_on(each)
        said = [line_of(each) for each in children]
    assert sorted(said) == ["the file changed since this run read it: it is left as it is"] * 2 + ["written"]
    assert answers_of(made.path) == {("first", "second", "third")[said.index("written")]}
    assert list(made.path.parent.iterdir()) == [made.path]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("half", "old"),  # half of it written
        ("whole", "old"),  # all of it written, not yet in its place
        ("there", "new"),  # in its place
    ],
)
def test_a_run_that_is_killed_while_it_writes_leaves_the_old_golden_or_the_new_one(
    where: str, expected: str, made: Golden
) -> None:
    script = """
fill, settle = files._fill, files._settle
def killed_within(descriptor, data):
    fill(descriptor, data[: len(data) // 2] if sys.argv[2] == "half" else data)
    say("now")
if sys.argv[2] == "there":
    files._settle = lambda folder: say("now")
else:
    files._fill = killed_within
write(anchor(sys.argv[1], "new"))
"""
    with process(TOLD + script, made.path, where) as child:
        assert line_of(child) == "now"
        child.kill()
        child.wait()
    assert answers_of(made.path) == {expected}
    left = [each.name for each in made.path.parent.iterdir() if each != made.path]
    assert left == ([] if where == "there" else [".nf4.jsonl.tmp"])
    found = load(made.path)
    assert found
    write(replace(found, entries={"a": entry(text="next")}))
    assert answers_of(made.path) == {"next"}
    assert list(made.path.parent.iterdir()) == [made.path]


def test_a_run_that_is_killed_between_two_goldens_leaves_each_of_them_whole(made: Golden, tmp_path: Path) -> None:
    other = golden(tmp_path, entry("a", text="old"), variant="int8")
    write(other)
    script = """
for path in sys.argv[1:]:
    write(anchor(path, "new"))
    say(path)
"""
    with process(TOLD + script, made.path, other.path) as child:
        assert line_of(child) == str(made.path)
        child.kill()
        child.wait()
    assert (answers_of(made.path), answers_of(other.path)) == ({"new"}, {"old"})
    assert sorted(made.path.parent.iterdir()) == sorted([made.path, other.path])


def test_a_golden_that_another_run_writes_is_waited_for_and_then_told(
    made: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.0)
    with made.path.with_name(".nf4.jsonl.tmp").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(QuantgateError, match="another run is writing this file"):
            write(replace(made, entries={"a": entry(text="new")}))
    assert load(made.path) == made


def test_a_lock_that_became_the_golden_before_it_was_had_is_let_go(
    made: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    waited: list[int] = []

    def another_run_was_faster(descriptor: int, operation: int) -> None:
        lock(descriptor, operation)
        if not waited:
            waited.append(descriptor)
            made.path.with_name(".nf4.jsonl.tmp").replace(made.path)
            made.path.write_text(encode(replace(made, entries={"a": entry(text="theirs")})))

    monkeypatch.setattr(fcntl, "flock", another_run_was_faster)
    with pytest.raises(QuantgateError, match="the file changed since this run read it"):
        write(replace(made, entries={"a": entry(text="ours")}))
    assert waited
    assert answers_of(made.path) == {"theirs"}


def test_a_link_in_the_place_of_the_file_beside_it_is_not_followed(made: Golden, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    made.path.with_name(".nf4.jsonl.tmp").symlink_to(precious)
    with pytest.raises(QuantgateError, match="the file cannot be written"):
        write(replace(made, entries={"a": entry(text="new")}))
    assert precious.read_text() == "keep me"
    assert load(made.path) == made


def test_another_name_of_a_file_in_the_place_of_the_file_beside_it_is_not_written_to(
    made: Golden, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    made.path.with_name(".nf4.jsonl.tmp").hardlink_to(precious)
    write(replace(made, entries={"a": entry(text="new")}))
    assert answers_of(made.path) == {"new"}
    assert precious.read_text() == "mine"


def test_a_killed_runs_leftover_of_another_golden_is_left_alone(made: Golden, tmp_path: Path) -> None:
    leftover = made.path.with_name(".int8.jsonl.tmp")
    leftover.touch()
    write(replace(made, entries={"a": entry(text="new")}))
    assert leftover.exists()
    assert os.listdir(tmp_path / "golden") == ["people"]  # noqa: PTH208  (names alone)
