from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.golden.identity import changes_since, identity_changes
from tests.unit.golden.build import ANCHOR, LATER, entry, golden

FULL = {
    "backend": "pytest_quantgate.variants.bitsandbytes:backend",
    "chat_template": "aa" * 32,
    "compute_dtype": "float32",
    "config": "bb" * 32,
    "device": "cpu",
    "engine": "1",
    "generation_config": "cc" * 32,
    "kernels": "dense",
    "spec": "nf4",
    "tokenizer": "dd" * 32,
    "version:torch": "2.13.0",
    "version:transformers": "5.23.0",
    "weights": "ee" * 32,
}


def test_an_identity_that_is_the_same_has_no_changes() -> None:
    assert identity_changes(FULL, dict(reversed(FULL.items()))) == ()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("weights", "0123456789ab" + "0" * 52, "weights: eeeeeeeeeeee → 0123456789ab"),
        ("weights", "org/model@" + "f" * 40, f"weights: eeeeeeeeeeee → org/model@{'f' * 40}"),
        ("config", "11" * 32, "model configuration: bbbbbbbbbbbb → 111111111111"),
        ("tokenizer", "11" * 32, "tokenizer: dddddddddddd → 111111111111"),
        ("chat_template", "none", "chat template: aaaaaaaaaaaa → none"),
        ("generation_config", "11" * 32, "generation settings: cccccccccccc → 111111111111"),
        ("compute_dtype", "bfloat16", "compute dtype: float32 → bfloat16"),
        ("kernels", "native", "kernels: dense → native"),
        ("device", "cuda: NVIDIA H100", "device: cpu → cuda: NVIDIA H100"),
        ("engine", "2", "decoding of pytest-quantgate: 1 → 2"),
        ("date", "2026-01-02", "date in the chat template: none → 2026-01-02"),
        ("schedule", "at most 7 rows", "schedule: none → at most 7 rows"),
        ("version:torch", "2.14.1", "library torch: 2.13.0 → 2.14.1"),
        ("version:gguf", "0.17.1", "library gguf: none → 0.17.1"),
        ("something", "new", "something: none → new"),
    ],
)
def test_each_field_is_told_by_the_name_that_people_use(key: str, value: str, expected: str) -> None:
    assert identity_changes(FULL, FULL | {key: value}) == (expected,)


def test_a_field_that_went_is_told() -> None:
    after = {key: value for key, value in FULL.items() if key != "version:torch"}
    assert identity_changes(FULL, after) == ("library torch: 2.13.0 → none",)


def test_weights_come_first_then_settings_then_libraries_then_what_nobody_knows() -> None:
    found = identity_changes({}, FULL | {"zz": "1", "aa": "1"})
    titles = [line.partition(":")[0] for line in found]
    assert titles[:4] == ["weights", "model configuration", "tokenizer", "chat template"]
    assert titles[-4:] == ["library torch", "library transformers", "aa", "zz"]


def test_what_a_golden_holds_is_shown_on_one_line_and_cut() -> None:
    (line,) = identity_changes({"device": "\x1b[2J\n" + "x" * 500}, {"device": "cpu"})
    assert line.isprintable()
    assert len(line) < 100
    (line,) = identity_changes({"\x1b" + "k" * 500: "x"}, {})
    assert line.isprintable()
    assert len(line) < 100


def test_a_whole_golden_says_for_how_many_cases_a_change_holds() -> None:
    both = golden(Path(), entry("a"), entry("b"), entry("c", anchor=LATER))
    now = {**LATER.identity, "device": "cpu"}
    assert changes_since(both, now) == (
        "device: none → cpu",
        "library torch: 2.13.0 → 2.14.1 (2 of 3 cases)",
    )
    assert changes_since(golden(Path(), entry("a", anchor=LATER)), LATER.identity) == ()


def test_anchors_with_different_identities_each_have_their_line() -> None:
    older = replace(ANCHOR, identity={**ANCHOR.identity, "version:torch": "2.12.0"})
    found = changes_since(golden(Path(), entry("a"), entry("b", anchor=older)), LATER.identity)
    assert found == (
        "library torch: 2.12.0 → 2.14.1 (1 of 2 cases)",
        "library torch: 2.13.0 → 2.14.1 (1 of 2 cases)",
    )


def test_of_endless_changes_the_first_are_told() -> None:
    hostile = {f"field-{number}": "x" for number in range(2_000)}
    found = changes_since(golden(Path(), entry("a", anchor=replace(ANCHOR, identity=hostile))), {})
    assert (len(found), found[-1]) == (51, "... and 1,950 more")
    assert identity_changes(hostile, {})[-1] == "... and 1,950 more"
