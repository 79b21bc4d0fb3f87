"""examples/ci/record.py asks a server and writes recorded answers: a real one, and one that says what a test wants."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_quantgate import cli
from tests.docs.project import MODEL
from tests.docs.server import Server
from tests.served import serving

SCRIPT: Final = Path(__file__).parents[2] / "examples" / "ci" / "record.py"
SLICE: Final = """
slice: talk
defaults: {max_new_tokens: 9, system: Be kind.}
cases:
  - {id: one, prompt: Hello?, checks: [comply]}
  - id: two
    turns:
      - {prompt: "I am Ines.", checks: [comply]}
      - {prompt: "Who am I?", checks: [contains: Ines]}
"""


def record(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["record.py", *words])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "talk.slice.yaml").write_text(SLICE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERVED_MODEL_API_KEY", raising=False)
    return tmp_path


def test_turns_are_asked_behind_the_models_own_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def says(body: dict[str, Any]) -> tuple[int, Any]:
        text = f"said {len(body['messages'])}"
        return 200, {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": 3},
        }

    with Server(says) as server:
        monkeypatch.setenv("SERVED_MODEL_API_KEY", "secret")
        assert record(monkeypatch, server.url, "big", str(folder), "--parallel", "1") == 0
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert one == {"slice": "talk", "id": "one", "response": "said 2", "finish_reason": "stop", "tokens": 3}
    assert two["responses"] == ["said 2", "said 4"]
    assert two["tokens"] == [3, 3]
    assert server.asked[2]["messages"][2] == {"role": "assistant", "content": "said 2"}
    assert {(each["model"], each["temperature"], each["max_tokens"]) for each in server.asked} == {("big", 0, 9)}
    assert set(server.keys) == {"Bearer secret"}


@pytest.mark.parametrize("reply", [(500, {}), (200, {"choices": []}), (200, [])])
def test_a_case_without_an_answer_is_told_and_has_no_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reply: tuple[int, Any]
) -> None:
    with Server(lambda _: reply) as server:
        assert record(monkeypatch, server.url, "big", str(folder / "talk.slice.yaml")) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "talk::one: no answer" in told.err
    assert "talk::two: no answer" in told.err


def test_a_real_server_is_recorded_and_gated(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    people = str(built / "project" / "quant" / "people.slice.yaml")
    with serving(MODEL) as url:
        assert record(monkeypatch, url, str(MODEL), people) == 0
    recorded = capsys.readouterr().out
    assert len(recorded.splitlines()) == 10
    Path("served.jsonl").write_text(recorded, encoding="utf-8")
    reference = [
        line
        for line in (built / "project" / "fp16.jsonl").read_text(encoding="utf-8").splitlines()
        if json.loads(line)["slice"] == "people"
    ]
    Path("fp16.jsonl").write_text("\n".join(reference), encoding="utf-8")
    assert cli.main(["gate", "--reference", "fp16.jsonl", "--candidate", "served.jsonl", people]) == 0
    assert "people" in capsys.readouterr().out
