from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import chat_template_text, check_folder, read_tensors, weight_files


def set_key(path: Path, key: str, value: object) -> None:
    content = json.loads(path.read_text())
    content[key] = value
    path.write_text(json.dumps(content))


def shard(folder: Path, weight_map: object) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_a_whole_folder_passes(folder: Path) -> None:
    check_folder(folder)


def test_shards_are_found_through_the_index(folder: Path) -> None:
    shard(folder, {"x": "model-00001-of-00001.safetensors"})
    check_folder(folder)
    assert [path.name for path in weight_files(folder)] == ["model-00001-of-00001.safetensors"]
    assert len(read_tensors(folder)) > 1


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("config.json", "config.json is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
        ("model.safetensors", "model.safetensors is missing"),
    ],
)
def test_what_is_missing_is_named(folder: Path, missing: str, named: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError) as caught:
        check_folder(folder)
    assert named in str(caught.value)
    assert str(folder) in str(caught.value)


def test_missing_shards_are_named(folder: Path) -> None:
    shard(folder, {"a": "gone-1.safetensors", "b": "gone-2.safetensors"})
    with pytest.raises(ModelError, match=r"gone-1\.safetensors, gone-2\.safetensors are missing"):
        check_folder(folder)


@pytest.mark.parametrize(
    "weight_map",
    [None, [], {}, {"a": "../x.safetensors"}, {"a": "/x.safetensors"}, {"a": "x.bin"}, {"a": 1}, {"a": ["x"]}],
)
def test_an_index_that_leads_elsewhere_is_refused(folder: Path, weight_map: object) -> None:
    shard(folder, weight_map)
    with pytest.raises(ModelError, match="does not map tensors"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_pickles_are_refused_with_the_reason_and_the_way_out(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError) as caught:
        check_folder(folder)
    assert f"only pickle weights ({name}), and loading a pickle can run any code" in str(caught.value)
    assert "save_pretrained" in str(caught.value)


def test_a_template_that_only_processors_read_is_refused(folder: Path) -> None:
    template = (folder / "chat_template.jinja").rename(folder / "chat_template.json")
    template.write_text(json.dumps({"chat_template": "{{ messages }}"}))
    with pytest.raises(ModelError, match=r"its chat template is in chat_template\.json"):
        check_folder(folder)


def test_a_base_model_has_no_chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    check_folder(folder)
    assert chat_template_text(folder) is None


def test_a_configuration_that_says_nothing_of_quantization_is_plain(folder: Path) -> None:
    set_key(folder / "config.json", "quantization_config", None)
    check_folder(folder)


def test_a_quantizer_that_is_not_known_is_refused_with_those_that_are(folder: Path) -> None:
    set_key(folder / "config.json", "quantization_config", {"quant_method": "aqlm"})
    with pytest.raises(ModelError) as caught:
        check_folder(folder)
    assert f"{folder}/config.json: this checkpoint is quantized with aqlm" in str(caught.value)
    assert "GPTQ, AWQ, compressed-tensors" in str(caught.value)


def test_a_configuration_that_does_not_belong_to_the_weights_is_refused(folder: Path) -> None:
    set_key(folder / "config.json", "quantization_config", {"quant_method": "gptq", "bits": 4, "group_size": 32})
    with pytest.raises(ModelError, match="no tensor of its files is stored so"):
        check_folder(folder)


def test_an_adapter_beside_the_weights_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="also holds an adapter"):
        check_folder(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_config_is_one_clear_error(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=file):
        check_folder(folder)


@pytest.mark.parametrize("template", ["{{ messages }}", [{"name": "default", "template": "x"}]])
def test_a_template_inside_the_tokenizer_config_counts(folder: Path, template: object) -> None:
    (folder / "chat_template.jinja").unlink()
    set_key(folder / "tokenizer_config.json", "chat_template", template)
    check_folder(folder)
    assert chat_template_text(folder)


def test_integer_weights_are_refused(folder: Path) -> None:
    header = json.dumps({"a.qweight": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ModelError, match="not plain floating point"):
        check_folder(folder)


def test_weights_of_another_name_are_refused(folder: Path) -> None:
    set_key(folder / "config.json", "transformers_weights", "other.safetensors")
    with pytest.raises(ModelError, match="transformers_weights names the file to load"):
        check_folder(folder)


def test_a_generation_config_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"generation_config\.json: is not valid JSON"):
        check_folder(folder)
