"""The CI recipes and the action: they parse, and their steps run, in bash, with what a runner would give them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.docs.ci_yaml import check_ci, scripts_of
from tests.faulty import Asked, FaultyServer, Reply, chat

ROOT: Final = Path(__file__).parents[2]
RECIPES: Final = sorted((ROOT / "examples" / "ci").glob("*.yml"))
ACTION: Final = ROOT / "action.yml"
_INPUT: Final = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
_FAKE: Final = '#!/bin/sh\necho "$(basename "$0") $*" >>"$CALLS"\n'


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def name(path: Path) -> str:
    return path.name


class Runner:
    """A machine of CI: a project, the commands of this environment, and `pip` and `gh` that only tell what was asked.

    Args:
        built: The project and its answers.
        folder: Where the machine is.
    """

    def __init__(self, built: Path, folder: Path) -> None:
        self.project = folder / "project"
        self.calls = folder / "calls"
        self.outputs = folder / "outputs"
        shutil.copytree(built / "project", self.project, symlinks=True)
        shutil.copytree(built / "cache", folder / "cache")
        fakes = folder / "fakes"
        fakes.mkdir()
        for program in ("pip", "gh"):
            (fakes / program).write_text(_FAKE, encoding="utf-8")
            (fakes / program).chmod(0o755)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "GITHUB_", "CI"))},
            "PATH": f"{fakes}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "CI": "true",
            "QUANTGATE_CACHE_DIR": str(folder / "cache"),
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(self.outputs),
        }

    def run(self, script: str, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a step as GitHub does."""
        return subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.project,
            env={**self.environment, **(given or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self) -> dict[str, str]:
        """The outputs that steps have set."""
        return dict(line.split("=", 1) for line in self.outputs.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def runner(built: Path, tmp_path: Path) -> Runner:
    return Runner(built, tmp_path)


@pytest.mark.parametrize("path", [*RECIPES, ACTION], ids=name)
def test_commands_of_ci_have_options_that_there_are_and_no_expressions(path: Path) -> None:
    check_ci(load(path), path.name)


@pytest.mark.parametrize("path", [path for path in RECIPES if path.name != "deploy.yml"], ids=name)
def test_the_steps_of_a_recipe_run(path: Path, runner: Runner) -> None:
    for script in scripts_of(load(path)):
        done = runner.run(script, {"PULL_REQUEST": "12"})
        # nf4 loses more than the slice allows: the gate's exit status is what turns the job red
        expected = 1 if "pytest quant " in script else 0
        assert done.returncode == expected, f"{script}\n{done.stdout[-3_000:]}{done.stderr}"
    called = runner.calls.read_text(encoding="utf-8")
    assert re.search(r"^pip install .*pytest-quantgate$", called, re.MULTILINE)
    if path.name == "settings-change.yml":
        assert "gh pr comment 12 --edit-last --create-if-none --body-file comment.md" in called
        assert "sums" in (runner.project / "comment.md").read_text(encoding="utf-8")


def test_a_deployment_is_gated_by_what_its_server_answers(runner: Runner) -> None:
    _, gate, _ = scripts_of(load(ROOT / "examples" / "ci" / "deploy.yml"))

    def adds(asked: Asked) -> Reply | None:
        terms = [int(term) for term in re.findall(r"\d+", asked.body["messages"][-1]["content"])] if asked.body else []
        return chat(str(sum(terms)))

    with FaultyServer(adds) as production, FaultyServer(lambda _: chat("No.")) as staging:
        host = staging.url.removeprefix("http://").removesuffix("/v1")
        given = {"REFERENCE": f"{production.url}#big", "CANDIDATE": f"{staging.url}#big"}
        given["QUANTGATE_API_KEY"] = f"llm.example.com= {host}=secret"
        done = runner.run(f"{gate} --quant-allow-underpowered", given)  # few cases, so that the test is short
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL sums" in done.stdout
    assert {each.key for each in production.asked} == {None}
    assert {each.key for each in staging.asked} == {"Bearer secret"}
    assert (runner.project / "gate.html").stat().st_size > 0


def steps() -> dict[str, dict[str, Any]]:
    """The action's steps that run something, by name."""
    return {step["name"]: step for step in load(ACTION)["runs"]["steps"] if "run" in step}


def environment_of(step: Mapping[str, Any], **inputs: str) -> dict[str, str]:
    """What a step's `env` becomes with these inputs, and the defaults of others."""
    known = {key: str(value.get("default", "")) for key, value in load(ACTION)["inputs"].items()} | inputs
    return {key: _INPUT.sub(lambda match: known[match[1]], value) for key, value in step.get("env", {}).items()}


def test_no_step_of_the_action_puts_an_input_into_shell_text() -> None:
    assert all("${{" not in step["run"] for step in steps().values())
    assert all(step["shell"] == "bash" for step in steps().values())


def test_every_input_of_the_action_is_used_and_told() -> None:
    text, action = ACTION.read_text(encoding="utf-8"), load(ACTION)
    assert all(f"inputs.{key}" in text and each["description"] for key, each in action["inputs"].items())
    assert {each["value"] for each in action["outputs"].values()} == {
        f"${{{{ steps.gate.outputs.{key} }}}}" for key in action["outputs"]
    }


def test_the_action_gates_and_tells_the_verdict_and_its_reports(runner: Runner) -> None:
    gate = steps()["gate"]
    done = runner.run(gate["run"], environment_of(gate, candidates="nf4\nint8\n", arguments="-q\n--junitxml=j u.xml\n"))
    assert done.returncode == 1, done.stdout[-3_000:] + done.stderr
    said = runner.said()
    assert said.pop("verdict") == "FAIL"
    assert all(Path(path).stat().st_size > 0 for path in said.values())
    assert sorted(said) == ["report-html", "report-json", "report-markdown"]
    assert (runner.project / "j u.xml").is_file()


def test_inputs_of_the_action_are_words_and_never_commands(runner: Runner) -> None:
    gate, evil = steps()["gate"], '$(touch pwned); "`touch pwned`'
    given = environment_of(gate, candidates=evil, reference=evil, model=evil, paths=evil, arguments=evil)
    done = runner.run(gate["run"], given)
    assert done.returncode not in {0, 1}, done.stdout
    assert not (runner.project / "pwned").exists()
    assert runner.said()["verdict"] == ""


def test_the_action_installs_itself(runner: Runner) -> None:
    fake = Path(runner.environment["PATH"].partition(":")[0]) / "python"
    fake.write_text(_FAKE, encoding="utf-8")
    fake.chmod(0o755)
    assert runner.run(steps()["install"]["run"], {"GITHUB_ACTION_PATH": "/an action"}).returncode == 0
    assert runner.calls.read_text(encoding="utf-8") == "python -m pip install --quiet /an action\n"
