"""A candidate that is the reference itself cannot differ: the run says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import Lab

SAME = "is the same variant as the reference: both give the same answers"


def test_a_candidate_that_is_the_reference_is_told_in_the_header(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    named = f"fp16@{lab.tiny.folder}"
    result = lab.run(candidates=("fp16", named, "nf4"))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["quantgate: reference fp16 (*", f"quantgate: fp16 {SAME}", f"quantgate: {named} {SAME}", "*passed*"]
    )
    assert result.stdout.str().count(SAME) == 2


@pytest.mark.alone(reason="nothing is run")
def test_other_specs_and_other_models_are_others(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    address = "http://127.0.0.1:1/v1"
    for reference, candidate in (
        ("fp16", "bf16"),
        ("fp16", "fp16+kv:int8"),
        ("fp16", "fp16@somebody/else"),
        ("golden:fp16", "fp16"),
        (f"{address}#a", f"{address}#b"),
    ):
        lab.run("--co", f"--quant-ref={reference}", candidates=(candidate,)).stdout.no_fnmatch_line(f"*{SAME}*")
    told = lab.run("--co", f"--quant-ref={address}#a", candidates=(f"{address}?concurrency=2#a",))
    told.stdout.fnmatch_lines([f"quantgate: {address}[?]concurrency=2#a {SAME}"])


def test_a_copy_of_the_model_is_told_when_its_files_are_read(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    copy = shutil.copytree(lab.tiny.folder, Path(lab.pytester.path, "copy"))
    result = lab.run(candidates=(f"fp16@{copy}",))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"fp16@{copy} {SAME}"])


@pytest.mark.alone(reason="a dry run starts no workers")
def test_a_dry_run_tells_it_of_a_copy_and_calls_it_no_work(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    copy = shutil.copytree(lab.tiny.folder, Path(lab.pytester.path, "copy"))
    dry = lab.run("--quant-dry-run", candidates=(f"fp16@{copy}", f"nf4@{copy}"))
    dry.stdout.fnmatch_lines([f"quantgate: fp16@{copy} {SAME}", "quantgate: dry run: *; nothing was loaded, and *"])
    assert dry.stdout.str().count(SAME) == 1
