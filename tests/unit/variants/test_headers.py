from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.headers import read_headers


def write(path: Path, header: object, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(start: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_tensors_are_read_without_their_data(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": entry(0, 12, [2, 3]), "b": entry(12, 20, [2], "F32")}
    tensors = read_headers(write(tmp_path / "x.safetensors", header, bytes(20)))
    assert [(tensor.name, tensor.dtype, tensor.count) for tensor in tensors] == [("a", "F16", 6), ("b", "F32", 2)]


@pytest.mark.parametrize("cut", [0, 4, 8, 40, -1])
def test_a_truncated_file_is_one_clear_error(folder: Path, cut: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ModelError) as caught:
        read_headers(file)
    assert "truncated or damaged" in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        "text",
        {"a": None},
        {"a": {}},
        {"a": entry(0, 12, [2, 3])["shape"]},
        {"a": entry(0, 12, [2, 4])},
        {"a": entry(0, 12, [-2, -3])},
        {"a": entry(0, 12, [2.0, 3.0])},  # type: ignore[list-item]
        {"a": {**entry(0, 12, [6]), "data_offsets": [0, 6, 12]}},
        {"a": entry(0, 10**30, [5 * 10**29])},
        {"a": entry(0, 12, [1 << 40, 1 << 40], "unknown")},
        {"a" * 1_001: entry(0, 12, [6])},
        {f"model.layers{'.' * 1_000}weight": entry(0, 12, [6])},
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object) -> None:
    with pytest.raises(ModelError, match="truncated or damaged"):
        read_headers(write(tmp_path / "x.safetensors", header, bytes(12)))


def test_a_tensor_of_nothing_and_a_long_name_are_read(tmp_path: Path) -> None:
    header = {"a" * 1_000: entry(0, 12, [6]), "b": entry(12, 12, [0, 1 << 40])}
    assert [tensor.count for tensor in read_headers(write(tmp_path / "x.safetensors", header, bytes(12)))] == [6, 0]


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="its header claims"):
        read_headers(file)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_headers(tmp_path / "x.safetensors")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_tensors_or_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(ModelError):
        read_headers(file)
