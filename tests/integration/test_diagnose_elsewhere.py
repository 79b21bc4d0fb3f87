"""A stored run is diagnosed from any folder: its paths mean what they meant where it was made."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import BAD_USAGE, OK
from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab
from tests.integration.test_made_of_parts import adapter
from tests.stored_checkpoints import gptq

pytestmark = pytest.mark.alone(reason="the command looks into models without pytest")

CASES = 2
WORSE = {"*": "rtn:2bit-g32"}


@pytest.fixture
def project(lab: Lab) -> Path:
    """A folder with a slice whose right answers are the reference's, and the files of variants that give others."""
    asked = islice(lab.tiny.texts["fp16"].items(), CASES)
    cases = [
        {"id": f"case-{number}", "prompt": prompt, "checks": [{"exact": text}]}
        for number, (prompt, text) in enumerate(asked)
    ]
    folder = lab.write("words", cases, file="project/words.slice.yaml").parent
    shutil.copytree(lab.tiny.folder, folder / "model")
    gptq(2)(lab.tiny.folder, folder / "made")
    (folder / "mix.json").write_text(json.dumps(WORSE))
    adapter(lab)
    (lab.pytester.path / "adapter").rename(folder / "adapter")
    return folder


def diagnosed(file: str, *options: str) -> int:
    return main(["diagnose", file, "--no-repair", *options])


def test_its_paths_are_seen_from_the_folder_that_it_was_made_in(
    lab: Lab, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = ("mix:mix.json", "stored@made", "fp16+lora:adapter")
    monkeypatch.chdir(project)
    red = lab.run_pytest(
        "--quant-model=model", *(f"--quant-cand={spec}" for spec in specs), "--quant-report-json=out/run.json"
    )
    assert red.ret == pytest.ExitCode.TESTS_FAILED
    assert load(Path("out/run.json")).folder == ".."
    assert str(lab.pytester.path) not in Path("out/run.json").read_text()  # nothing tells where on the machine it was

    monkeypatch.chdir(lab.pytester.mkdir("other"))
    assert diagnosed("../project/out/run.json", "--json=why/why.json") == OK
    why = load(Path("why/why.json"))
    assert {each.candidate for each in why.diagnoses} == set(specs)
    assert why.folder == "../../project"
    assert diagnosed("why/why.json", "--candidate=stored@made") == OK

    moved = project.rename("moved")
    capsys.readouterr()
    assert diagnosed("why/why.json") == BAD_USAGE
    told = capsys.readouterr().err
    assert f"from which its paths are seen, is not there: {project}\n  put the report back where it was" in told
    assert diagnosed(str(moved / "out" / "run.json"), "--candidate=mix:mix.json") == OK


def test_what_an_ini_file_names_is_seen_from_there(lab: Lab, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pytest.ini").write_text("[pytest]\nquant_model = model\nquant_cand =\n  ruin:2bit\n  stored@made\n")
    (project / "sub").mkdir()
    (project / "words.slice.yaml").rename(project / "sub" / "words.slice.yaml")
    monkeypatch.chdir(project / "sub")
    red = lab.run_pytest("--quant-report-json=run.json", ".")
    assert red.ret == pytest.ExitCode.TESTS_FAILED
    report = load(Path("run.json"))
    assert {each.spec: each.folder for each in report.candidates} == {"ruin:2bit": None, "stored@made": ".."}
    assert (report.reference.folder, report.folder) == (None, ".")
    monkeypatch.chdir(lab.pytester.path)
    assert diagnosed("project/sub/run.json", "--candidate=stored@made") == OK
