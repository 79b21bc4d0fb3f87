from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cli import main

GOOD = """\
slice: NAME
cases:
  - {id: a, prompt: Say x., checks: [{contains: x}]}
"""
BAD = """\
slice: bad
cases:
  - {id: a, prompt: Say x., checks: [{contain: x}]}
  - {id: a, prompt: Say y., checks: [{contains: y}], weight: 2}
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "deep/two"):
        file = Path("quant", f"{name}.slice.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(GOOD.replace("NAME", file.parent.name))


def test_a_folder_is_searched_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "quant"]) == 0
    assert capsys.readouterr().out == ("quant/deep/two.slice.yaml: deep, 1 case\nquant/one.slice.yaml: quant, 1 case\n")


def test_a_file_that_is_named_twice_is_read_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "quant/one.slice.yaml", "quant/one.slice.yaml", "quant"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_every_mistake_of_every_file_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("quant/bad.slice.yaml").write_text(BAD)
    Path("quant/worse.slice.yaml").write_text("cases: 3\n")
    assert main(["validate", "quant"]) == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    count, hint = told.err.splitlines()
    assert any(line.startswith("quant/bad.slice.yaml:3: ") and "contains" in line for line in lines)
    assert any(line.startswith("quant/bad.slice.yaml:4: ") and "duplicate" in line for line in lines)
    assert any(line.startswith("quant/bad.slice.yaml:4: ") and "weight" in line for line in lines)
    assert any(line.startswith("quant/worse.slice.yaml:1: ") for line in lines)
    assert count == f"{len(lines)} problems"
    assert "registers 'contain' (pytest_quantgate_register_checks), only pytest knows it: `pytest " in hint


def test_what_to_do_about_checks_of_ones_own_is_said_once_and_names_few(capsys: pytest.CaptureFixture[str]) -> None:
    checks = ["polite", '"mine:\\e[2J": x', "mine:b: x", "mine:c: x", "polite"]
    lines = ["slice: own", "cases:", "- id: a", "  prompt: Say x.", "  checks:", *(f"  - {each}" for each in checks)]
    Path("quant/own.slice.yaml").write_text("\n".join(lines))
    assert main(["validate", "quant"]) == 1
    _, *hints = capsys.readouterr().err.splitlines()
    assert len(hints) == 1
    assert r"registers 'polite' or 'mine:\\x1b[2J' or 'mine:b' or ... (" in hints[0]


@pytest.mark.parametrize("command", ["power", "gate"])
def test_other_commands_that_read_slices_say_it_too(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("quant/bad.slice.yaml").write_text(BAD)
    answers = ["--reference", "a.jsonl", "--candidate", "b.jsonl"] if command == "gate" else []
    assert main([command, "quant", *answers]) == 1
    assert "registers 'contain' (pytest_quantgate_register_checks)" in capsys.readouterr().err


def test_nothing_is_said_of_checks_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    Path("quant/bad.slice.yaml").write_text(BAD.replace("contain:", "contains:"))
    assert main(["validate", "quant"]) == 1
    assert capsys.readouterr().err == "2 problems\n"


@pytest.mark.parametrize("path", ["nowhere", "empty", "cases.yaml"])
def test_a_path_that_pytest_would_not_collect_is_told(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("cases.yaml").write_text(GOOD)
    assert main(["validate", path]) == 2
    assert f"quantgate: {path}: " in capsys.readouterr().err


def test_the_suites_in_the_package_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    import pytest_quantgate.suites

    assert main(["validate", *pytest_quantgate.suites.__path__]) == 0
    assert capsys.readouterr().err == ""


def test_a_name_that_is_too_long_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "a" * 300 + ".slice.yaml"]) == 2
    assert "File name too long" in capsys.readouterr().err


@pytest.mark.parametrize("text", [GOOD, BAD])
def test_a_files_name_cannot_act_on_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("quant/\x1b]0;title\x07\n.slice.yaml").write_text(text)
    main(["validate", "quant"])
    out = capsys.readouterr().out
    assert "\nquant/\\x1b]0;title\\x07\\n.slice.yaml:" in f"\n{out}"
    assert "\x1b" not in out
