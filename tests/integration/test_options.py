"""Options, their ini keys, and what is said of values that cannot be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import Lab


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quant-suite=core",), "ERROR: --quant-suite: no candidate is named, so nothing is gated: add --quant*"),
        (("--quant-cand", "nf5"), "ERROR: --quant-cand: variant 'nf5': is not a known variant"),
        (("--quant-cand", "nf4", "--quant-ref", "fp61"), "ERROR: --quant-ref: variant 'fp61': is not a known variant"),
        (("--quant-cand", "nf4", "--quant-cand", "nf4"), "ERROR: --quant-cand nf4 is given 2 times*"),
        (("--quant-cand", "nf4,int9"), "ERROR: --quant-cand: variant 'int9': is not a known variant"),
        (("--quant-cand", "nf4,int8,nf4"), "ERROR: --quant-cand nf4 is given 2 times: name each variant once"),
        (("--quant-cand", "nf4,,int8"), "ERROR: --quant-cand nf4,,int8: a variant is missing beside a comma: leave *"),
        (("--quant-cand", "rtn:4bit,"), "ERROR: --quant-cand rtn:4bit,: a variant is missing beside a comma: leave *"),
        (("--quant-control", ",ruin:2bit", "--quant-cand=nf4"), "ERROR: --quant-control ,ruin:2bit: a variant is *"),
        (("-o", "quant_cand=nf5"), "ERROR: -o quant_cand: variant 'nf5': is not a known variant"),
        (("--quant-cand", "nf4", "--quant-suite", "cora"), "ERROR: --quant-suite: unknown suite 'cora'*"),
        (("--quant-cand", "nf4", "--quant-suite="), "ERROR: --quant-suite is empty*"),
        (("--quant-cand", "nf4", "--quant-slice="), "ERROR: --quant-slice is empty*"),
        (("--quant-cand", "nf4", "--quant-device", "gpu"), "ERROR: --quant-device: 'gpu' is not a device"),
        (("--quant-cand", "nf4", "--quant-device", "cuda:99"), "ERROR: --quant-device: cuda:99 is not there*"),
        (("--quant-cand", "nf4", "--quant-compute-dtype", "f8"), "ERROR: --quant-compute-dtype: 'f8' is not*"),
        (("--quant-cand", "nf4", "--quant-kernels", "vlm"), "ERROR: --quant-kernels: 'vlm' are no kernels"),
        (
            ("--quant-cand", "nf4", "--quant-kernels", "vllm"),
            "ERROR: variant 'nf4': it is quantized while it is loaded*",
        ),
        (
            ("--quant-cand", "nf4", "--quant-device", "cpu+cpu"),
            "ERROR: --quant-device: cpu+cpu is one model on several*",
        ),
        (
            ("--quant-cand", "nf4", "--quant-max-pass-to-fail", "5%"),
            "ERROR: --quant-max-pass-to-fail 5%: not a number*",
        ),
        (
            ("--quant-cand", "nf4", "--quant-max-pass-to-fail", "5"),
            "ERROR: --quant-max-pass-to-fail: max_pass_to_fail is 5",
        ),
        (
            ("--quant-cand", "nf4", "--quant-min-robustness", "nan"),
            "ERROR: --quant-min-robustness: min_robustness is nan",
        ),
        (("--quant-cand", "nf4", "--quant-min-cases", "2.5"), "ERROR: --quant-min-cases 2.5: not a whole number"),
        (("--quant-cand", "nf4", "--quant-min-cases", "0"), "ERROR: --quant-min-cases: min_cases is 0"),
        (
            ("--quant-cand", "nf4", "--quant-diagnose", "--quant-diagnose-minutes=-1"),
            "ERROR: --quant-diagnose-minutes -1: give minutes, 0 or more and at most a day",
        ),
        (
            ("--quant-cand", "nf4", "--quant-diagnose", "--quant-diagnose-minutes", "soon"),
            "ERROR: --quant-diagnose-minutes soon: give minutes, 0 or more and at most a day",
        ),
        (
            ("--quant-cand", "nf4", "--quant-diagnose-minutes", "5"),
            "ERROR: --quant-diagnose-minutes goes with --quant-diagnose: add it, or leave this out",
        ),
        (("--quant-cand", "nf4", "--quant-report-json", "."), "ERROR: --quant-report-json .: this is a folder*"),
        (("--quant-cand", "nf4", "--quant-report-json=~nobody-here/x"), "*no report can be written there: *"),
        (("--quant-cand", "nf4", f"--quant-report-json={'a' * 300}"), "*no report can be written there: *too long"),
        (("--quant-cand", "nf4", "-o", "quant_min_cases=many"), "ERROR: -o quant_min_cases: *many*"),
        (
            ("--quant-cand", "nf4", "-o", "quant_min_robustness=2"),
            "ERROR: -o quant_min_robustness: min_robustness is 2",
        ),
    ],
)
def test_a_value_that_cannot_be_right_is_told_in_one_line(
    pytester: pytest.Pytester, arguments: tuple[str, ...], message: str
) -> None:
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("option", ["--quant-max-pass-to-fail", "--quant-min-robustness", "--quant-alpha"])
@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.01"])
def test_a_share_that_is_none_names_its_option(pytester: pytest.Pytester, option: str, value: str) -> None:
    result = pytester.runpytest_inprocess("--quant-cand", "nf4", f"{option}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option}: * is {value}"])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("quant_max_pass_to_fail = nan", "quant_max_pass_to_fail: max_pass_to_fail is nan"),
        ("quant_min_cases = 0", "quant_min_cases: min_cases is 0"),
        ("quant_alpha = 0.5", "quant_alpha: alpha is 0.5"),
        ("quant_alpha = small", "quant_alpha: *small*"),
        ("quant_diagnose_minutes = nan", "quant_diagnose_minutes nan: give minutes, 0 or more and at most a day"),
        ("quant_diagnose_minutes = 1441", "quant_diagnose_minutes 1441*: give minutes, 0 or more and at most a day"),
        ("quant_rule = guess", "quant_rule guess: give point or evidence"),
        ("quant_inconclusive = skip", "quant_inconclusive skip: give pass or fail"),
        ("quant_sequential = perhaps", "quant_sequential: *perhaps*"),
        ("quant_ref = fp61", "quant_ref: variant 'fp61': is not a known variant"),
        ("quant_ref = fp16,", "quant_ref: variant 'fp16,': is not a known variant"),
        ("quant_device = gpu", "quant_device: 'gpu' is not a device"),
        ("quant_device = cuda:99", "quant_device: cuda:99 is not there*"),
        ("quant_device = cpu+cpu", "quant_device: cpu+cpu is one model on several*"),
        ("quant_compute_dtype = f8", "quant_compute_dtype: 'f8' is not a compute dtype"),
        ("quant_kernels = vlm", "quant_kernels: 'vlm' are no kernels"),
        ("quant_judge = localhost:8000", "quant_judge: 'localhost:8000' is not the URL of an endpoint: *"),
        ("quant_suite = cora", "quant_suite: unknown suite 'cora'"),
        ("quant_report_json = .", "quant_report_json .: this is a folder, name a file"),
        ("quant_report_html = ~nobody-here/x", "quant_report_html ~nobody-here/x: no report can be written there: *"),
        ("quant_control = ruin:2bit, ,nf4", "quant_control ruin:2bit, ,nf4: a variant is missing beside a comma*"),
        (
            "quant_device = cpu # slow",
            "quant_device: an ini file has no comments behind values: put '# slow' on *",
        ),
        ("quant_alpha = 0.05 # less", "quant_alpha: an ini file has no comments behind values: put '# less' on a *"),
        ("quant_min_cases = 30 # few", "quant_min_cases: an ini file has no comments behind values: put '# few' on *"),
        ("quant_strict = yes # all", "quant_strict: an ini file has no comments behind values: put '# all' on a line*"),
        (
            "quant_report_json = a.json # it",
            "quant_report_json: an ini file has no comments behind values: put '# *",
        ),
    ],
)
def test_a_bad_ini_key_is_told_with_its_line(pytester: pytest.Pytester, line: str, message: str) -> None:
    pytester.makeini(f"[pytest]\nquant_cand = nf4\n{line}\n")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: tox.ini:3: {message}"])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tox.ini", "[pytest]\nquant_cand = nf4,\n", "2: quant_cand nf4,: a variant is missing beside a comma*"),
        (
            "tox.ini",
            "[pytest]\nquant_cand = nf4 # small\n",
            "2: quant_cand: an ini file has no comments *",
        ),
        ("pytest.ini", "[pytest]\nquant_cand =\n  nf4\n  # not yet\n  nf5\n", "5: quant_cand: variant 'nf5': *"),
        ("pytest.ini", "[pytest]\nquant_cand =\n  nf4 # a\n  int8\n", "3: quant_cand: an ini file has no comments *"),
        ("setup.cfg", "[tool:pytest]\nquant_cand = int8,nf5\n", "2: quant_cand: variant 'nf5': is not a known variant"),
        ("pyproject.toml", '[tool.pytest]\nquant_cand = [\n  "nf4",\n  "nf5",\n]\n', "4: quant_cand: variant 'nf5': *"),
        ("pyproject.toml", '[tool.pytest]\nquant_cand = ["nf4 # a"]\n', "2: quant_cand: variant 'nf4 # a': *"),
        ("tox.ini", "[pytest]\nquant_cand = nf4\nquant_suite =\n  core\n  cora\n", "5: quant_suite: unknown suite *"),
    ],
)
def test_a_bad_value_among_several_is_told_with_its_own_line(
    pytester: pytest.Pytester, name: str, text: str, message: str
) -> None:
    (pytester.path / name).write_text(text)
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {name}:{message}"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_slice_of_the_ini_file_that_is_not_there_is_told_with_its_line(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    lab.pytester.makeini(f"[pytest]\nquant_model = {lab.tiny.folder}\nquant_cand = nf4\nquant_slice =\n  word\n")
    result = lab.run_pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: tox.ini:5: quant_slice word: no such slice: did you mean 'words'[?]"])


def test_a_comment_in_toml_is_no_part_of_the_value(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    lab.pytester.makepyprojecttoml(f'[tool.pytest]\nquant_model = "{lab.tiny.folder}" # it\nquant_cand = ["nf4"] # 4\n')
    assert lab.run_pytest().ret == pytest.ExitCode.OK


def test_a_bad_key_of_a_toml_file_is_told_with_its_line(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.pytest]\nquant_cand = ["nf4"]\n\nquant_alpha = 0.7\n')
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pyproject.toml:4: quant_alpha: alpha is 0.7"])


def test_commas_separate_candidates(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("-v", candidates=("fp32,nf4",))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*candidates fp32*nf4*", "words.slice.yaml::gate[[]fp32[]] PASSED*", "words.slice.yaml::gate[[]nf4[]] PASSED*"]
    )


def test_ini_keys_stand_in_for_options(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=1.0, min_robustness=0.0)
    lab.pytester.makeini(f"[pytest]\nquant_model = {lab.tiny.folder}\nquant_ref = fp32\nquant_cand =\n  nf4\n  int8\n")
    result = lab.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*reference fp32*candidates nf4*int8*", "*degraded*"])


@pytest.mark.parametrize("table", ["tool.pytest", "tool.pytest.ini_options"])
def test_ini_keys_can_be_written_as_toml(lab: Lab, table: str) -> None:
    lab.write("words", lab.many(2))
    limits = "" if "options" in table else "quant_min_cases = 2\nquant_max_pass_to_fail = 0\nquant_strict = true\n"
    lab.pytester.makepyprojecttoml(f'[{table}]\nquant_model = "{lab.tiny.folder}"\nquant_cand = ["nf4"]\n{limits}')
    result = lab.pytester.runpytest_inprocess()
    result.assert_outcomes(passed=3)


def test_the_command_line_wins_over_the_slice_file_and_that_over_the_ini_file(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=1), max_pass_to_fail=0.3, min_robustness=0.0)
    lab.pytester.makeini("[pytest]\nquant_max_pass_to_fail = 0.0")
    assert lab.run().ret == pytest.ExitCode.OK
    assert lab.run("--quant-max-pass-to-fail", "0.1").ret == pytest.ExitCode.TESTS_FAILED


def test_a_path_behind_a_space_must_not_hide_the_ini_file(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makeini("[pytest]")
    result = lab.pytester.runpytest_inprocess("--quant-cand", "nf4", "--quant-model", str(lab.tiny.folder))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*write --quant-model={lab.tiny.folder}*"])


def test_a_date_that_is_none_is_told_before_anything_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: SOURCE_DATE_EPOCH: 'yesterday' is not*"])


def test_the_options_are_in_the_help(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(
        ["quantgate: gate quantized language models*", "*--quant-cand*SPEC*", "*quant_cand (linelist)*"]
    )


def test_a_candidate_without_slices_names_what_to_do(lab: Lab) -> None:
    result = lab.run()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["*no slice was found*quantgate init*--quant-suite core*"])


def test_a_candidate_without_slices_fails_beside_ordinary_tests(lab: Lab) -> None:
    lab.pytester.makepyfile("def test_one(): pass")
    result = lab.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*no slice was found*quantgate init*--quant-suite core*", "*1 passed*"])
    assert lab.run("--co").ret == pytest.ExitCode.OK


def test_a_model_in_the_ini_file_is_seen_from_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(lab.tiny.folder, lab.pytester.path / "models/tiny")
    lab.pytester.makeini("[pytest]\nquant_model = models/tiny\nquant_cand = nf4")
    lab.write("words", lab.many(2), file="sub/words.slice.yaml")
    monkeypatch.chdir(lab.pytester.path / "sub")
    result = lab.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"quantgate: model {lab.pytester.path / 'models/tiny'},*"])


@pytest.mark.parametrize("model", ["smollm2", "someone/tiny"])
def test_an_alias_or_hub_id_in_the_ini_file_stays_as_it_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    lab.pytester.makeini(f"[pytest]\nquant_model = {model}\nquant_cand = nf4")
    lab.pytester.mkdir("smollm2")
    monkeypatch.chdir(lab.pytester.mkdir("sub"))
    result = lab.pytester.runpytest_inprocess("--co")
    result.stdout.fnmatch_lines([f"quantgate: model {model},*"])


def test_a_candidate_in_the_ini_file_says_nothing_beside_ordinary_tests(lab: Lab) -> None:
    lab.pytester.makeini("[pytest]\nquant_cand = nf4")
    lab.pytester.makepyfile("def test_one(): pass")
    result = lab.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*no slice was found*")


@pytest.mark.alone(reason="no test of quantgate's is run")
def test_options_of_the_ini_file_wait_for_a_candidate(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --quant-ref fp16\nquant_model = smollm2")
    pytester.makepyfile("def test_one(): pass")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    assert pytester.runpytest_inprocess("--quant-ref=fp16", "--help").ret == pytest.ExitCode.OK


def test_without_a_candidate_slice_files_are_not_collected(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.no_fnmatch_line("*quantgate: *")


def test_a_session_without_a_candidate_writes_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(pytester.path, "cache")
    monkeypatch.setenv("QUANTGATE_CACHE_DIR", str(folder))
    pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert not folder.exists()


def test_a_cache_folder_that_cannot_be_is_refused_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(2))
    monkeypatch.setenv("QUANTGATE_CACHE_DIR", "~no-such-user/cache")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *QUANTGATE_CACHE_DIR*"])
