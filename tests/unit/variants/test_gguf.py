from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from gguf import GGMLQuantizationType, LlamaFileType

from pytest_quantgate.errors import ModelError
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.variants.gguf import converted_folder, folder_if_converted
from pytest_quantgate.variants.made import MANIFEST
from tests.gguf_files import write_gguf

CHILD = """
import sys
from pathlib import Path
from pytest_quantgate.variants.gguf import converted_folder

def convert(source, folder):
    with open(sys.argv[2], "a") as log:
        log.write("converted\\n")
    (folder / "weights").write_bytes(source.read_bytes())

print(converted_folder(Path(sys.argv[1]), lambda line: print(line, flush=True), convert), flush=True)
"""


class Converter:
    """A conversion that copies, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Exception | None = None

    def __call__(self, source: Path, folder: Path) -> None:
        assert list(folder.iterdir()) == []
        self.count += 1
        (folder / "weights").write_bytes(source.read_bytes())
        if self.fault:
            raise self.fault


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    return file


@pytest.fixture
def convert() -> Converter:
    return Converter()


@pytest.fixture
def notes() -> list[str]:
    return []


def test_a_conversion_is_made_once_and_said_once(source: Path, convert: Converter, notes: list[str]) -> None:
    first = converted_folder(source, notes.append, convert)
    assert converted_folder(source, notes.append, convert) == first
    assert convert.count == 1
    assert notes == ["model.gguf: converting to safetensors; this happens once and takes about a minute"]
    assert (first / "weights").read_bytes() == source.read_bytes()
    assert first.parent == cache_folder() / "models-2"


def test_a_file_with_the_same_content_shares_the_conversion(
    source: Path, convert: Converter, notes: list[str], tmp_path: Path
) -> None:
    copy = Path(shutil.copy(source, tmp_path / "copy.gguf"))
    assert converted_folder(source, notes.append, convert) == converted_folder(copy, notes.append, convert)
    assert convert.count == 1


def test_other_content_is_converted_anew(source: Path, convert: Converter, notes: list[str]) -> None:
    first = converted_folder(source, notes.append, convert)
    source.write_bytes(b"GGUF" + bytes(99) + b"x")
    assert converted_folder(source, notes.append, convert) != first


@pytest.mark.parametrize("damage", ["change", "remove", "manifest", "not json", "version"])
def test_a_damaged_conversion_is_set_aside_and_made_again(
    source: Path, convert: Converter, notes: list[str], damage: str
) -> None:
    folder = converted_folder(source, notes.append, convert)
    manifest = folder / MANIFEST
    match damage:
        case "change":
            (folder / "weights").write_bytes(b"GGUF" + bytes(99) + b"x")
        case "remove":
            (folder / "weights").unlink()
        case "manifest":
            manifest.unlink()
        case "not json":
            manifest.write_text("{")
        case "version":
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 0}))
    assert converted_folder(source, notes.append, convert) == folder
    assert convert.count == 2
    assert (folder / "weights").read_bytes() == source.read_bytes()
    assert "was damaged" in notes[1]
    assert folder.with_suffix(".damaged").is_dir()


@pytest.mark.parametrize("fault", [ModelError("cannot be read"), OSError(28, "No space left on device")])
def test_a_conversion_that_fails_leaves_nothing_and_is_tried_again(
    source: Path, convert: Converter, notes: list[str], fault: Exception
) -> None:
    convert.fault = fault
    with pytest.raises(ModelError, match=r"cannot be read|No space left"):
        converted_folder(source, notes.append, convert)
    assert not [path for path in (cache_folder() / "models-2").iterdir() if path.is_dir()]
    convert.fault = None
    assert converted_folder(source, notes.append, convert).is_dir()


def test_what_a_killed_process_left_is_cleared(source: Path, convert: Converter, notes: list[str]) -> None:
    folder = converted_folder(source, notes.append, convert)
    shutil.rmtree(folder)
    folder.with_suffix(".partial").mkdir()
    (folder.with_suffix(".partial") / "half").write_text("a")
    assert not (converted_folder(source, notes.append, convert) / "half").exists()


def test_a_cache_folder_that_cannot_be_made_says_which_variable_moves_it(
    source: Path, convert: Converter, own_cache: Path
) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="QUANTGATE_CACHE_DIR"):
        converted_folder(source, print, convert)


def test_processes_that_ask_at_once_convert_once(source: Path, convert: Converter, tmp_path: Path) -> None:
    folder = converted_folder(source, lambda _: None, convert)
    shutil.rmtree(folder)
    log = tmp_path / "log"
    children = []
    with FileLock(folder.with_suffix(".lock")):
        for _ in range(2):
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(source), str(log)],
                stdout=subprocess.PIPE,
                text=True,
                env=dict(os.environ),
            )
            assert child.stdout
            assert "waiting for another process" in child.stdout.readline()
            children.append(child)
    answers = [child.communicate()[0].splitlines()[-1] for child in children]
    assert answers == [str(folder)] * 2
    assert log.read_text() == "converted\n"


def test_a_damaged_gguf_file_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(60))
    with pytest.raises(ModelError, match="the GGUF file cannot be converted"):
        converted_folder(file, lambda _: None)


def test_a_conversion_takes_nothing_from_files_beside_the_gguf_file(pristine: Path, tmp_path: Path) -> None:
    from pytest_quantgate.variants.convert import convert_gguf  # imports torch

    written = {}
    for name in ("alone", "among"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}-converted").mkdir()
        file = tmp_path / name / "model.gguf"
        write_gguf(file, [GGMLQuantizationType.Q8_0], LlamaFileType.MOSTLY_Q8_0, template="{{ messages }}")
        if name == "among":
            for other in pristine.glob("*"):
                shutil.copy(other, file.parent)
            (file.parent / "adapter_config.json").write_text('{"base_model_name_or_path": "nobody/knows"}')
        convert_gguf(file, tmp_path / f"{name}-converted")
        written[name] = {path.name: path.read_bytes() for path in (tmp_path / f"{name}-converted").iterdir()}
    assert written["among"] == written["alone"]
    assert b"quantgate-gguf-" not in b"".join(written["alone"].values())


def test_a_file_system_without_links_is_converted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    file = tmp_path / "model.gguf"
    write_gguf(file, [GGMLQuantizationType.Q8_0], LlamaFileType.MOSTLY_Q8_0, template="{{ messages }}")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert (converted_folder(file, lambda _: None) / "model.safetensors").is_file()


def test_a_file_whose_weights_make_no_model_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such architecture")

    file = tmp_path / "model.gguf"
    write_gguf(file, [GGMLQuantizationType.Q8_0], LlamaFileType.MOSTLY_Q8_0, template="{{ messages }}")
    monkeypatch.setattr(AutoModelForCausalLM, "from_config", refuse)
    with pytest.raises(ModelError, match="the GGUF file cannot be converted: no such architecture"):
        converted_folder(file, lambda _: None)


def test_a_conversion_at_hand_is_found_and_none_is_made(source: Path, convert: Converter, notes: list[str]) -> None:
    assert folder_if_converted(source) is None
    assert not cache_folder().exists()
    folder = converted_folder(source, notes.append, convert)
    assert folder_if_converted(source) == folder
    (folder / "weights").write_bytes(b"damaged")
    assert folder_if_converted(source) is None
    assert convert.count == 1
