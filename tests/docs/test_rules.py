"""The runner of pages: what has no rule, or does not do what a page says, fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.ci_yaml import check_ci
from tests.docs.rules import Page
from tests.docs.shell import Shell, commands_of, told

MODEL = Path("model")


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in an empty folder: for pages that need no project."""
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, monkeypatch, MODEL)


def work_through(text: str, shell: Shell, folder: Path) -> None:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    Page(blocks_of(page), shell).work_through()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (fenced("rust", "let it = be;"), "page.md:2: no rule for a block marked 'rust'"),
        (fenced("", "quantgate checks"), "page.md:2: no rule for a block marked ''"),
        ("Words.\n\n    something\n", "page.md:3: no rule for a block marked ''"),
        (fenced("sh", "curl http://127.0.0.1"), "page.md:2: no rule says what to do with: curl"),
        (fenced("sh", "quantgate checks | head"), "the runner knows no |"),
        (fenced("sh", "quantgate checks nosuch"), "exit 2"),
        (fenced("sh", "pip install nosuch"), "pip would install an unknown nosuch"),
        (fenced("sh", "make nosuch"), "nosuch"),
        (fenced("sh", "python nosuch.py"), "there is no nosuch.py"),
        (fenced("text", "pytest quant"), "a command"),
        (fenced("yaml", "odd: true"), "neither a slice, nor a part of one, nor CI"),
        (fenced("yaml", "checks: [nosuch]"), "unknown check 'nosuch'"),
        (fenced("yaml", "- run: pytest --quant-nosuch"), "pytest has no {'--quant-nosuch'}"),
        (fenced("yaml", "- run: quantgate gate --nosuch"), "quantgate does not take"),
        (fenced("yaml", "- run: echo ${{ inputs.x }}"), "an expression inside shell text"),
        (fenced("ini", "[pytest]\nquant_nosuch = 1"), "no ini keys: {'quant_nosuch'}"),
        (fenced("ini", "[pytest]\nquant_accept = a=b"), "no ini keys: {'quant_accept'}"),
        (fenced("toml", "[tool.pytest.ini_options]\nquant_nosuch = 1"), "no ini keys: {'quant_nosuch'}"),
        (fenced('yaml title="examples/ci/github.yml"', "jobs: {}"), "not what examples/ci/github.yml holds"),
        (fenced("sh", "quantgate checks json") + fenced('text title="output"', "no such words"), "not printed"),
    ],
)
def test_what_a_page_says_wrongly_fails_it(text: str, why: str, bare: Shell, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        work_through(text, bare, tmp_path)
    assert why in str(caught.value)


def test_what_a_page_says_rightly_passes(bare: Shell, tmp_path: Path) -> None:
    text = (
        fenced('jsonl title="sums.jsonl"', '{"id": "a", "prompt": "1 + 1?", "checks": [{"number": 2}]}')
        + fenced('yaml title="sums.slice.yaml"', "slice: sums\ncases: sums.jsonl")
        + fenced("sh", "quantgate validate sums.slice.yaml  # a comment\nquantgate \\\n  checks json > json.txt")
        + fenced('text title="output"', "...\nsums.slice.yaml: sums, 1 case")
        + fenced('sh status="2"', "quantgate nosuch")
        + fenced("python", "from pathlib import Path\n\nassert Path('json.txt').read_text()")
        + fenced("pycon", ">>> 1 + 1\n2")
    )
    work_through(text, bare, tmp_path)


def test_a_line_is_words_environment_and_files() -> None:
    first, second = commands_of("A=1 B=2 quantgate 'a b' \\\n --c=d < in > out &\n# nothing\npytest x::y[nf4]\n")
    assert (first.words, first.environment) == (("quantgate", "a b", "--c=d"), {"A": "1", "B": "2"})
    assert (first.input, first.output, first.background) == ("in", "out", True)
    assert second.words == ("pytest", "x::y[nf4]")


def test_pytest_is_told_what_keeps_a_page_short() -> None:
    assert told(["--quant-suite", "core"], MODEL) == ["--quant-suite", "core", "--quant-dry-run"]
    assert told(["--quant-rule", "evidence"], MODEL) == ["--quant-rule", "evidence", "--quant-allow-underpowered"]
    words = ["-n", "4", "--quant-model", "big", "--quant-device", "cuda"]
    assert told(words, MODEL) == ["-n", "0", "--quant-model", "model", "--quant-device", "cpu"]


def test_a_step_of_gitlab_is_held_against_the_options_too() -> None:
    with pytest.raises(AssertionError, match="pytest has no"):
        check_ci({"gate": {"script": ["pytest quant --quant-nosuch"]}}, "here")
