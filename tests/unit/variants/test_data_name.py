"""A data set's name is told; where it lay on its maker's machine is not."""

from __future__ import annotations

import pytest

from pytest_quantgate.variants.data_name import data_name


@pytest.mark.parametrize(
    "name", ["c4", "", "HuggingFaceH4/ultrachat_200k", "own texts: mails and/or minutes", "wikitext-2-raw-v1"]
)
def test_a_name_stays_as_it_is(name: str) -> None:
    assert data_name(name) == name


@pytest.mark.parametrize(
    "path",
    [
        "/home/somebody/own.jsonl",
        "/own.jsonl",
        "~/own.jsonl",
        "~somebody/own.jsonl",
        "./own.jsonl",
        "../somebody/own.jsonl",
        "home/somebody/own.jsonl",
        "file:///home/somebody/own.jsonl",
        "json:/home/somebody/own.jsonl",
        "s3://bucket/own.jsonl",
        "C:/own.jsonl",
        r"C:\Users\somebody\own.jsonl",
        r"\\server\share\own.jsonl",
        "/home/somebody/own.jsonl/",
        "/home/some\nbody/own.jsonl\n",
    ],
)
def test_of_a_path_the_last_part_is_told(path: str) -> None:
    assert data_name(path) == "own.jsonl"


@pytest.mark.parametrize("path", ["/", "//", "\\"])
def test_a_path_without_a_last_part_tells_nothing(path: str) -> None:
    assert data_name(path) == ""
