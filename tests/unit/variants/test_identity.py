from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from pytest_quantgate.variants import device
from pytest_quantgate.variants import identity as identity_module
from pytest_quantgate.variants.identity import Identity
from pytest_quantgate.variants.registry import Entry, register, unregister
from pytest_quantgate.variants.source import ModelSource, resolve_model
from pytest_quantgate.variants.variant import prepare_variant

OWN_DESCRIBE = """
    def describe(self, spec):
        return super().describe(type(spec)("fp16"))
BACKEND = Own()
"""


def identity(folder: Path, spec: str = "fp16", dtype: str = "auto") -> Identity:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", compute_dtype=dtype).identity


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def append(path: Path) -> None:
    path.write_text(path.read_text() + " ")


CHANGES: dict[str, Callable[[Path], None]] = {
    "weights": lambda folder: flip_last_byte(folder / "model.safetensors"),
    "tokenizer": lambda folder: append(folder / "tokenizer.json"),
    "config": lambda folder: append(folder / "config.json"),
    "chat_template": lambda folder: append(folder / "chat_template.jinja"),
    "generation_config": lambda folder: (folder / "generation_config.json").unlink(),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_file_changes_its_field_and_nothing_else(folder: Path, field: str) -> None:
    before = identity(folder)
    CHANGES[field](folder)
    after = identity(folder)
    assert {name for name in before.fields if before.fields[name] != after.fields[name]} == {field}
    assert before.digest != after.digest


def test_mistrals_own_vocabulary_is_part_of_the_tokenizer(folder: Path) -> None:
    before = identity(folder).fields
    (folder / "tekken.json").write_text("{}")
    after = identity(folder).fields
    assert {name for name in before if before[name] != after[name]} == {"tokenizer"}


def test_spec_and_compute_dtype_are_part_of_it(folder: Path) -> None:
    found = [
        identity(folder).digest,
        identity(folder, "fp32").digest,
        identity(folder, "nf4").digest,
        identity(folder, "nf4:double").digest,
        identity(folder, "fp16", "bfloat16").digest,
    ]
    assert len(set(found)) == len(found)


def test_the_same_model_elsewhere_is_the_same(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "README.md").write_text("not part of the model")
    assert identity(folder) == identity(copy)


def test_equal_specs_written_differently_are_the_same(folder: Path) -> None:
    assert identity(folder, "nf4:skip=up_proj+down_proj,double") == identity(
        folder, " nf4:double,skip=down_proj+up_proj"
    )


def test_a_hub_model_is_known_by_its_commit(folder: Path) -> None:
    source = ModelSource("org/name", folder, revision="c0ffee")
    assert prepare_variant("fp16", source, device="cpu").identity.fields["weights"] == "org/name@c0ffee"


def test_versions_of_the_libraries_that_compute_are_part_of_it(folder: Path) -> None:
    def versions(spec: str) -> set[str]:
        return {name for name in identity(folder, spec).fields if name.startswith("version:")}

    assert versions("fp16") == {"version:tokenizers", "version:torch", "version:transformers"}
    assert versions("nf4") == versions("fp16") | {"version:bitsandbytes"}


def test_a_template_that_asks_for_the_time_makes_the_date_part_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "date" not in identity(folder).fields
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%d %b %Y') }}{{ messages[0]['content'] }}")
    today = identity(folder)
    assert date.fromisoformat(today.fields["date"])
    monkeypatch.setattr(identity_module, "_today", lambda: "2030-01-02")
    tomorrow = identity(folder)
    assert tomorrow.fields["date"] == "2030-01-02"
    assert tomorrow.digest != today.digest


def test_the_template_that_is_used_is_part_of_it_wherever_it_lies(folder: Path) -> None:
    from pytest_quantgate.variants.loading import load_tokenizer  # imports torch

    others = folder / "additional_chat_templates"
    others.mkdir()
    before = identity(folder)
    (others / "rag.jinja").write_text("{{ documents }}")
    named = identity(folder)
    (others / "default.jinja").write_text("{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}")
    after = identity(folder)
    templates = {each.fields["chat_template"] for each in (before, named, after)}
    assert len(templates) == 3
    assert "date" not in named.fields
    assert "date" in after.fields  # transformers takes this one, and not chat_template.jinja
    (others / "rag.jinja").unlink()
    alone = identity(folder)
    assert load_tokenizer(folder).chat_template == (others / "default.jinja").read_text()
    (others / "default.jinja").rename(folder / "chat_template.jinja")
    assert identity(folder) == alone


def test_the_hardware_is_part_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(device, "_gpu_name", lambda index: f"GPU {index}")
    source = resolve_model(str(folder))
    found = [prepare_variant("fp16", source, device=name).identity.fields["device"] for name in ("cpu", "cuda:1")]
    assert found == ["cpu", "cuda: GPU 1"]


def test_a_backend_of_ours_is_known_by_its_name_alone(folder: Path) -> None:
    fields = identity(folder).fields
    assert fields["backend"] == "pytest_quantgate.variants.plain:BACKEND"
    assert not any("quantgate" in name for name in fields)


@pytest.fixture
def own_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = tmp_path / "own_backend.py"
    file.write_text(
        "from pytest_quantgate.variants.plain import PlainBackend\nclass Own(PlainBackend):\n" + OWN_DESCRIBE
    )
    monkeypatch.syspath_prepend(tmp_path)
    register("own", Entry("own_backend:BACKEND"))
    yield file
    unregister("own")
    sys.modules.pop("own_backend", None)


def changed(before: Identity, after: Identity) -> set[str]:
    return {name for name in before.fields if before.fields[name] != after.fields[name]}


def test_a_backend_of_another_plugin_is_known_by_its_version_and_its_file(
    folder: Path, own_backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_module, "packages_distributions", lambda: {own_backend.stem: ["pytest"]})
    before = identity(folder, "own")
    assert before.fields["backend"] == "own_backend:BACKEND"
    assert before.fields["version:pytest"] == pytest.__version__
    append(own_backend)  # as one edits what was installed from its checkout
    assert changed(before, identity(folder, "own")) == {"backend_files"}


def test_a_backend_that_no_distribution_provides_is_known_by_its_file(folder: Path, own_backend: Path) -> None:
    before = identity(folder, "own")
    (own_backend.parent / "unrelated.py").write_text("")
    assert identity(folder, "own") == before
    append(own_backend)
    assert changed(before, identity(folder, "own")) == {"backend_files"}


def test_a_backend_in_a_package_is_known_by_all_files_of_it(
    folder: Path, own_backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = own_backend.parent / "a_package"
    (package / "below").mkdir(parents=True)
    (package / "__init__.py").touch()
    own_backend.rename(package / "backend.py")
    (package / "below" / "loading.py").write_text("LOADED = 1")
    register("packed", Entry("a_package.backend:BACKEND"))
    monkeypatch.setattr(identity_module, "packages_distributions", lambda: {"a_package": ["pytest"]})
    try:
        before = identity(folder, "packed")
        append(package / "below" / "loading.py")
        assert changed(before, identity(folder, "packed")) == {"backend_files"}
    finally:
        unregister("packed")


def test_the_digest_depends_on_fields_and_not_on_their_order() -> None:
    assert Identity({"a": "1", "b": "2"}).digest == Identity({"b": "2", "a": "1"}).digest
    assert Identity({"a": "1"}).digest != Identity({"a": "2"}).digest


def test_preparing_a_variant_imports_no_torch(folder: Path) -> None:
    program = (
        "import json, sys\n"
        "from pytest_quantgate.variants.source import resolve_model\n"
        "from pytest_quantgate.variants.variant import prepare_variant\n"
        "for spec in ('fp16', 'nf4:double', 'int8'):\n"
        "    variant = prepare_variant(spec, resolve_model(sys.argv[1]))\n"
        "    variant.summary\n"
        "print(json.dumps(sorted({'torch', 'transformers', 'bitsandbytes', 'numpy'} & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
