"""Folders that are made once; ``test_gguf`` has processes that ask at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_quantgate.errors import ModelError
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.variants.made import MANIFEST, Recipe, made_folder

RECIPE = Recipe("the thing", "things", "a" * 64, version=1, wait_seconds=0, where="variant 'x'")


class Maker:
    """Writes one file, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Exception | None = None

    def __call__(self, folder: Path) -> dict[str, str]:
        assert list(folder.iterdir()) == []
        self.count += 1
        (folder / "file").write_text("content")
        if self.fault:
            raise self.fault
        return {"told": "by its maker", "version": "another"}


@pytest.fixture
def maker() -> Maker:
    return Maker()


def test_it_is_made_once(maker: Maker) -> None:
    folder = made_folder(RECIPE, print, maker)
    assert (folder.parent, folder.name) == (cache_folder() / "things", "a" * 16)
    assert made_folder(RECIPE, print, maker) == folder
    assert maker.count == 1
    assert json.loads((folder / MANIFEST).read_text())["told"] == "by its maker"


@pytest.mark.parametrize(
    "damage", ["change", "remove", "add", "manifest", "not json", "too deep", "version", "outside", "no files"]
)
def test_what_was_damaged_is_set_aside_and_made_again(maker: Maker, damage: str) -> None:
    folder = made_folder(RECIPE, print, maker)
    manifest = folder / MANIFEST
    match damage:
        case "change":
            (folder / "file").write_text("another")
        case "remove":
            (folder / "file").unlink()
        case "add":
            (folder / "adapter_config.json").write_text("{}")
        case "manifest":
            manifest.unlink()
        case "not json":
            manifest.write_text("{")
        case "too deep":
            manifest.write_text("[" * 200_000)
        case "version":
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 0}))
        case "outside":
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": {"../../other": "b" * 64}}))
        case "no files":
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": {}}))
    notes: list[str] = []
    assert made_folder(RECIPE, notes.append, maker) == folder
    assert (maker.count, (folder / "file").read_text()) == (2, "content")
    assert notes[0].startswith("the thing in ")
    assert folder.with_suffix(".damaged").is_dir()


def test_a_hidden_file_that_is_written_beside_the_manifest_is_no_damage(maker: Maker) -> None:
    folder = made_folder(RECIPE, print, maker)
    (folder / f".{MANIFEST}.tmp").touch()
    assert made_folder(RECIPE, print, maker) == folder
    assert maker.count == 1


@pytest.mark.parametrize("fault", [ModelError("cannot be made"), OSError(28, "No space left on device")])
def test_what_fails_leaves_nothing_and_is_tried_again(maker: Maker, fault: Exception) -> None:
    maker.fault = fault
    with pytest.raises(ModelError, match=r"cannot be made|No space left[\s\S]*QUANTGATE_CACHE_DIR"):
        made_folder(RECIPE, print, maker)
    assert not [path for path in RECIPE.folder.parent.iterdir() if path.is_dir()]
    maker.fault = None
    assert made_folder(RECIPE, print, maker).is_dir()


def test_what_a_killed_process_left_is_cleared(maker: Maker) -> None:
    partial = RECIPE.folder.with_suffix(".partial")
    partial.mkdir(parents=True)
    (partial / "half").write_text("a")
    assert not (made_folder(RECIPE, print, maker) / "half").exists()


def test_another_process_that_takes_too_long_is_told(maker: Maker) -> None:
    RECIPE.folder.parent.mkdir(parents=True)
    notes: list[str] = []
    with FileLock(RECIPE.folder.with_suffix(".lock")), pytest.raises(ModelError, match="has been making the thing"):
        made_folder(RECIPE, notes.append, maker)
    assert notes == ["waiting for another process that makes the thing"]
    assert maker.count == 0
