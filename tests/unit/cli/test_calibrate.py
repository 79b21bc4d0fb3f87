"""`quantgate calibrate`: draws blind sheets from a stored run, and says how well its checks agree with them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.cli import main
from pytest_quantgate.commands.label_draw import draw, in_turn
from pytest_quantgate.commands.running import BAD_USAGE, OK, PROBLEMS
from pytest_quantgate.golden.labels import load_labels
from pytest_quantgate.outcomes.intervals import wilson
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.records import CaseRecord
from pytest_quantgate.report.store import load
from tests.unit.cli.labelled import fill, record, rows_of, stored


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def drifting(folder: Path, cases: int = 40) -> Path:
    """A check that knows every refusal of fp16 and half of those of nf4: the others are worded otherwise."""
    return stored(
        folder,
        *(
            record(f"c{n}", {"fp16": f"+Sorry {n}", "nf4": f"+Sorry {n}" if n % 2 else f"-Nope {n}"})
            for n in range(cases)
        ),
    )


def refusals(row: dict[str, str]) -> str:
    return "yes" if row["answer"].startswith(("Sorry", "Nope")) else "no"


def calibrated(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["calibrate", "run.json", *words]) == OK
    return capsys.readouterr().out


def test_a_check_that_is_wrong_about_the_candidate_alone_is_shown_as_that(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifting(here)
    told = calibrated(capsys, "--sheet", "labels.csv")
    assert "labels.csv: 60 answers to label, of the checks refusal" in told
    assert "then: quantgate calibrate run.json --labels labels.csv" in told
    fill(here / "labels.csv", refusals)
    shown = calibrated(capsys, "--labels", "labels.csv")
    rows = [line.split() for line in shown.splitlines() if line.startswith("refusal, people  ")]
    assert rows[0] == ["refusal,", "people", "fp16", "40", "of", "40", "0", "100.0%", "(91.2-100.0%)", "-"]
    assert rows[1] == ["refusal,", "people", "nf4", "40", "of", "40", "0", "50.0%", "(35.2-64.8%)", "0.00"]
    assert rows[3][3:8] == ["20", "0", "20", "0", "100.0%"]
    assert "agreement with people changed by -50.0 (-64.8 to -32.8) points on 40 cases labelled on both" in shown
    assert "fp16: no kappa: check and people say the same of every labelled answer: chance would as well" in shown


def test_the_sheet_is_blind(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drifting(here)
    calibrated(capsys, "--sheet", "labels.csv")
    text = (here / "labels.csv").read_text(encoding="utf-8-sig")
    assert not any(word in text for word in ("fp16", "nf4", "because", "true", "false", "PASS"))
    rows = rows_of(here / "labels.csv")
    assert len({row["row"] for row in rows}) == len({(row["prompt"], row["answer"]) for row in rows}) == 60
    worded = "".join(row["answer"][0] for row in rows)
    assert worded not in ("S" * 40 + "N" * 20, "N" * 20 + "S" * 40)


def test_the_same_seed_draws_the_same_and_another_one_does_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drifting(here)
    for name, seed in (("one", "0"), ("same", "0"), ("other", "1")):
        calibrated(capsys, "--sheet", f"{name}.csv", "--sample", "20", "--seed", seed)
    one, same, other = ((here / f"{name}.csv").read_bytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other


def test_rare_kinds_of_cases_are_drawn_too_and_weigh_as_much_as_they_are_many(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(
        here,
        *(record(f"c{n}", {"fp16": f"+Sorry {n}", "nf4": f"+Sorry {n}"}) for n in range(96)),
        *(record(f"d{n}", {"fp16": f"+Sorry d{n}", "nf4": f"-Nope {n}"}) for n in range(4)),
    )
    calibrated(capsys, "--sheet", "labels.csv", "--sample", "24")
    kinds = Counter(row["prompt"][4] for row in rows_of(here / "labels.csv"))
    assert kinds == {"c": 18, "d": 6}
    fill(here / "labels.csv", refusals)
    (found,) = json.loads(calibrated(capsys, "--labels", "labels.csv", "--format", "json"))["checks"]
    assert found["on_candidate"]["agreement"]["agreement"]["value"] == pytest.approx(0.96)
    assert found["on_candidate"]["agreement"]["counts"] == {"both": 18, "only_check": 0, "only_people": 3, "neither": 0}
    effective = 100**2 / (18 * (96 / 18) ** 2 + 3 * (4 / 3) ** 2)
    interval = wilson(0.96 * effective, effective)
    assert interval is not None
    assert found["on_candidate"]["agreement"]["agreement"]["interval"]["low"] == pytest.approx(interval.low)


def test_a_draw_takes_from_each_stratum_by_the_root_of_its_size(here: Path) -> None:
    file = stored(
        here,
        *(record(f"c{n}", {"fp16": f"+same {n}", "nf4": f"+same {n}"}) for n in range(100)),
        *(record(f"d{n}", {"fp16": f"-same d{n}", "nf4": f"-same d{n}"}) for n in range(25)),
    )
    drawn = draw(load(file), most=60, seed=0, checks=["refusal"])
    assert Counter(each.case_id[0] for each in drawn) == {"c": 40, "d": 20}


def test_two_of_every_kind_come_first() -> None:
    assert list(in_turn({"a": 100, "b": 3, "c": 1}))[:7] == ["a", "b", "c", "a", "b", "a", "a"]
    assert Counter(in_turn({"a": 100, "b": 3, "c": 1})) == {"a": 100, "b": 3, "c": 1}


def test_equal_answers_to_a_later_turn_are_two_questions_where_the_answers_before_differ(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case(
        "talk", (Message("user", "Hi."),), (CheckSpec("refusal"),), 8, later=(Turn("Go.", (CheckSpec("refusal"),), 8),)
    )

    def talk(first: str) -> Outcome:
        turns = tuple(record("c", {"x": f"+{text}"}).outcomes["x"] for text in (first, "No."))
        return replace(turns[0], results=(*turns[0].results, *turns[1].results), turns=turns)

    stored(here, CaseRecord("people", case, {}, {"fp16": talk("One."), "nf4": talk("Two.")}))
    calibrated(capsys, "--sheet", "labels.csv")
    assert sorted((row["prompt"].split("\n")[4:5], row["answer"]) for row in rows_of(here / "labels.csv")) == [
        ([], "One."),
        ([], "Two."),
        (["One."], "No."),
        (["Two."], "No."),
    ]
    fill(here / "labels.csv", lambda row: "yes" if row["answer"] == "No." else "")
    (found,) = json.loads(calibrated(capsys, "--labels", "labels.csv", "--format", "json"))["checks"]
    assert (found["reference"]["labelled"], found["on_candidate"]["labelled"], found["both"]) == (1, 1, 1)


def test_several_candidates_share_the_reference_and_equal_answers_are_asked_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(here, *(record(f"c{n}", {"fp16": f"+a{n}", "nf4": f"+b{n}", "int8": f"+a{n}"}) for n in range(10)))
    calibrated(capsys, "--sheet", "labels.csv")
    assert len(rows_of(here / "labels.csv")) == 20
    fill(here / "labels.csv", lambda row: "yes" if row["answer"][0] == "a" else "no")
    found = json.loads(calibrated(capsys, "--labels", "labels.csv", "--format", "json"))["checks"]
    assert {each["candidate"]: each["change"]["value"] for each in found} == {"nf4": -1.0, "int8": 0.0}


def test_slices_are_told_apart_and_together(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(
        here,
        *(record(f"c{n}", {"fp16": f"+a{n}", "nf4": f"+b{n}"}) for n in range(6)),
        *(record(f"c{n}", {"fp16": f"+a{n}", "nf4": f"-b{n}"}, slice_name="sums") for n in range(2)),
    )
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", lambda _: "yes")
    found = json.loads(calibrated(capsys, "--labels", "labels.csv", "--format", "json"))["checks"]
    measured = {each["slice"]: each["on_candidate"]["agreement"]["agreement"]["value"] for each in found}
    assert measured == {"people": 1.0, "sums": 0.0, None: 0.75}
    assert "refusal, all slices" in calibrated(capsys, "--labels", "labels.csv")
    calibrated(capsys, "--sheet", "sums.csv", "--slice", "sums")
    assert {row["slice"] for row in rows_of(here / "sums.csv")} == {"sums"}


def test_what_a_check_could_not_score_is_counted_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(here, *(record(f"c{n}", {"fp16": f"+a{n}", "nf4": f"{'?' if n < 3 else '+'}b{n}"}) for n in range(10)))
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", lambda _: "yes")
    (found,) = json.loads(calibrated(capsys, "--labels", "labels.csv", "--format", "json"))["checks"]
    side = found["on_candidate"]
    assert (side["labelled"], side["unscored"], side["answers"]) == (7, 3, 7)
    assert side["agreement"]["agreement"]["value"] == 1.0


def test_checks_that_read_meaning_are_asked_about_unless_others_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(
        here,
        *(record(f"c{n}", {"fp16": "+a", "nf4": "+b"}) for n in range(3)),
        *(record(f"n{n}", {"fp16": "+a", "nf4": "+b"}, check="number") for n in range(3)),
    )
    assert "not asked about, name them with --check for that: number" in calibrated(capsys, "--sheet", "a.csv")
    assert "of the checks number\n" in calibrated(capsys, "--sheet", "b.csv", "--check", "number")


def test_kept_labels_are_found_beside_the_slice_and_add_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drifting(here, cases=4)
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", refusals)
    told = calibrated(capsys, "--labels", "labels.csv", "--keep")
    path = here / "quant" / "golden" / "people" / "labels.jsonl"
    assert "quant/golden/people/labels.jsonl: 6 labels added, 0 changed, 6 in all" in told
    assert set(load_labels(path, "people").by_check()) == {"refusal"}
    before = path.read_bytes()
    calibrated(capsys, "--labels", "labels.csv", "--keep")
    assert path.read_bytes() == before
    fill(here / "labels.csv", lambda row: "no" if row["answer"] == "Nope 0" else "")
    assert "0 labels added, 1 changed, 6 in all" in calibrated(capsys, "--labels", "labels.csv", "--keep")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("path", ["/etc/people.slice.yaml", "../people.slice.yaml", "people.slice.yaml", "a\0b"])
def test_labels_are_kept_below_this_folder_alone(here: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    inner = here / "inner"
    inner.mkdir()
    (here / "people.slice.yaml").write_text("slice: people\n")
    file = stored(inner, record("c", {"fp16": "+a", "nf4": "+b"}))
    file.write_text(file.read_text().replace("quant/people.slice.yaml", path.replace("\0", "\\u0000")))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inner)
        calibrated(capsys, "--sheet", "labels.csv")
        fill(inner / "labels.csv", lambda _: "yes")
        assert main(["calibrate", "run.json", "--labels", "labels.csv", "--keep"]) == BAD_USAGE
    assert "the slice file of 'people' is not below this folder, so its labels are not kept" in capsys.readouterr().err
    assert not list(here.rglob("golden"))


def test_a_link_from_elsewhere_to_a_slice_in_here_leads_no_labels_out(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, out = here / "inner", here / "out"
    inner.mkdir()
    out.mkdir()
    file = stored(inner, record("c", {"fp16": "+a", "nf4": "+b"}))
    (out / "people.slice.yaml").symlink_to(inner / "quant" / "people.slice.yaml")
    file.write_text(file.read_text().replace("quant/people.slice.yaml", "../out/people.slice.yaml"))
    monkeypatch.chdir(inner)
    calibrated(capsys, "--sheet", "labels.csv")
    fill(inner / "labels.csv", lambda _: "yes")
    assert main(["calibrate", "run.json", "--labels", "labels.csv", "--keep"]) == BAD_USAGE
    assert "the slice file of 'people' is not below this folder, so its labels are not kept" in capsys.readouterr().err
    assert not list(here.rglob("golden"))


def test_labels_of_a_suite_are_kept_below_this_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = stored(here, record("c", {"fp16": "+a", "nf4": "+b"}, slice_name="refusals"), path="core/people.slice.yaml")
    (here / "core" / "refusals.slice.yaml").unlink()
    assert "core/refusals.slice.yaml" in file.read_text()
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", lambda _: "yes")
    assert "golden/core/refusals/labels.jsonl: 2 labels added" in calibrated(capsys, "--labels", "labels.csv", "--keep")


def test_mistakes_in_a_sheet_are_told_in_one_go_and_nothing_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifting(here, cases=2)
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", lambda row: "jes" if row["answer"] == "Nope 0" else "maybe")
    assert main(["calibrate", "run.json", "--labels", "labels.csv", "--keep"]) == PROBLEMS
    told = capsys.readouterr()
    assert told.out == ""
    assert len([line for line in told.err.splitlines() if line.startswith("labels.csv:")]) == 3
    assert "3 problems" in told.err
    assert not list(here.rglob("golden"))


def test_kept_labels_that_cannot_be_read_stop_everything(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drifting(here, cases=2)
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", refusals)
    path = here / "quant" / "golden" / "people" / "labels.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    assert main(["calibrate", "run.json", "--labels", "labels.csv", "--keep"]) == PROBLEMS
    assert "labels.jsonl:1: the first line is no header of labels" in capsys.readouterr().err
    assert path.read_text() == "{}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--slice", "peopel"], "the run has no slice 'peopel'"),
        (["--check", "refusl"], "no case has a check 'refusl'"),
        (["--sample", "1"], "too few rows: 1"),
    ],
)
def test_what_cannot_be_right_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    drifting(here, cases=2)
    assert main(["calibrate", "run.json", "--sheet", "labels.csv", *words]) == BAD_USAGE
    error = capsys.readouterr().err
    assert told in error
    assert not (here / "labels.csv").exists()


def test_nobody_is_asked_whether_recall_is_right(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(here, record("c", {"fp16": "+a", "nf4": "+b"}, check="recall"))
    assert main(["calibrate", "run.json", "--sheet", "labels.csv", "--check", "recall"]) == BAD_USAGE
    assert "recall measures the model, not its answer" in capsys.readouterr().err
    assert main(["calibrate", "run.json", "--sheet", "labels.csv"]) == BAD_USAGE
    assert "no answer could be asked about" in capsys.readouterr().err


def test_one_of_sheet_and_labels_is_needed(here: Path) -> None:
    drifting(here, cases=2)
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "run.json"])
    assert caught.value.code == BAD_USAGE


def test_markdown_is_a_table_that_no_name_breaks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(here, *(record(f"c{n}", {"fp16": f"+a{n}", "nf|4": f"+b{n}"}) for n in range(3)))
    calibrated(capsys, "--sheet", "labels.csv")
    fill(here / "labels.csv", lambda _: "yes")
    shown = calibrated(capsys, "--labels", "labels.csv", "--format", "markdown")
    assert r"| `refusal, people` | `nf\x7c4` | 3 of 3 | 0 | 100.0% (43.9-100.0%) | - |" in shown
