"""Settles options, ini keys and defaults to what the user asked for; what cannot be right is refused."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import pytest

from pytest_quantgate.golden.model import REFERENCE
from pytest_quantgate.plugin import values
from pytest_quantgate.plugin.options import Inconclusive, Only, Options
from pytest_quantgate.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_quantgate.cases.model import PolicySettings
    from pytest_quantgate.checks.settings import GradingSettings
    from pytest_quantgate.plugin.values import Given

_LIMITS = ("rule", "max_pass_to_fail", "min_robustness", "min_cases", "max_drift")
"""What options and ini keys may say of a gate; a slice file may say more."""


def resolve(config: pytest.Config) -> Options:
    """Settle the options.

    Raises:
        pytest.UsageError: A value cannot be right; one line that says which and why.
    """
    from pytest_quantgate.cases.suites import suite_files
    from pytest_quantgate.errors import QuantgateError

    suites = tuple(dict.fromkeys(values.texts(config, "quant_suite")))
    reference = _reference(config)
    candidates = _candidates(config)
    controls = _controls(config, reference, candidates)
    folders = _folders(config, reference, candidates, controls)
    noise_kernels = values.flag(config, "quant_noise_kernels")
    try:
        command_line = _policy(config, values.on_command_line)
        ini = _policy(config, values.in_ini_file)
        alpha = _alpha(config)
    except QuantgateError as error:
        raise pytest.UsageError(str(error)) from None
    for suite in suites:
        try:
            suite_files(suite)
        except QuantgateError as error:
            msg = f"{values.place_of(config, 'quant_suite', suite)}: {error}"
            raise pytest.UsageError(msg) from None
    given_paths = config.args_source is pytest.Config.ArgsSource.ARGS
    return Options(
        reference=reference,
        candidates=candidates,
        explicit=bool(config.getoption("quant_cand") or config.getoption("quant_cand_model")),
        folders=folders,
        model=_model(config),
        suites=suites,
        suites_only=bool(config.getoption("quant_suite")) and not given_paths,
        slices=tuple(dict.fromkeys(values.texts(config, "quant_slice"))),
        device=values.text(config, "quant_device") or "auto",
        compute_dtype=values.text(config, "quant_compute_dtype") or "auto",
        kernels=values.text(config, "quant_kernels") or "auto",
        command_line=command_line,
        ini=ini,
        alpha=alpha,
        inconclusive=_inconclusive(config),
        allow_underpowered=values.flag(config, "quant_allow_underpowered"),
        noise_floor=noise_kernels or values.flag(config, "quant_noise_floor"),
        noise_kernels=noise_kernels,
        fidelity=values.flag(config, "quant_fidelity"),
        stop_early=_stop_early(config),
        controls=controls,
        sequential=values.flag(config, "quant_sequential"),
        strict=values.flag(config, "quant_strict"),
        dry_run=values.flag(config, "quant_dry_run"),
        grading=_grading(config),
        reanchor=_reanchor(config),
        accepted=_accepted(config),
        only=_only(config),
        diagnose=values.flag(config, "quant_diagnose"),
        diagnose_minutes=_diagnose_minutes(config),
        report_json=_report_path(config, "quant_report_json"),
        report_html=_report_path(config, "quant_report_html"),
        report_markdown=_report_path(config, "quant_report_markdown"),
    )


def _grading(config: pytest.Config) -> GradingSettings:
    from pytest_quantgate.checks.judge.endpoint import JudgeEndpoint
    from pytest_quantgate.checks.settings import GradingSettings
    from pytest_quantgate.errors import QuantgateError

    found = values.given(config, "quant_judge")
    judge = None
    if found is not None:
        try:
            judge = JudgeEndpoint.parse(found.text())
        except QuantgateError as error:
            msg = f"{found.where}: {error}"
            raise pytest.UsageError(msg) from None
    return GradingSettings(allow_code=values.flag(config, "quant_allow_code"), judge=judge)


def _policy(config: pytest.Config, source: Callable[[pytest.Config, str], Given | None]) -> PolicySettings:
    """What one source says of gates.

    Raises:
        QuantgateError: A value is out of range.
        pytest.UsageError: A value is not of its kind.
    """
    from pytest_quantgate.cases.model import PolicySettings, Rule
    from pytest_quantgate.gate.policy import validate

    rule, rate, robustness, least, drift = (source(config, f"quant_{name}") for name in _LIMITS)
    settings = PolicySettings(
        rule=cast("Rule | None", rule.choice(get_args(Rule)) if rule else None),
        max_pass_to_fail=rate.number() if rate else None,
        min_robustness=robustness.number() if robustness else None,
        min_cases=least.count() if least else None,
        max_drift=drift.number() if drift else None,
    )
    given = (rule, rate, robustness, least, drift)
    places = {name: found.where for name, found in zip(_LIMITS, given, strict=True) if found}
    validate(settings, places.__getitem__)
    return settings


def _alpha(config: pytest.Config) -> float:
    from pytest_quantgate.gate.judge import ALPHA, check_alpha

    found = values.given(config, "quant_alpha")
    if found is None:
        return ALPHA
    alpha = found.number()
    check_alpha(alpha, found.where)
    return alpha


def _inconclusive(config: pytest.Config) -> Inconclusive:
    found = values.given(config, "quant_inconclusive")
    return cast("Inconclusive", found.choice(get_args(Inconclusive))) if found else "fail"


def _candidates(config: pytest.Config) -> tuple[str, ...]:
    """The candidates, each with the model that it is made of where that is not the run's."""
    from pytest_quantgate.variants.seen import model_from
    from pytest_quantgate.variants.spec import parse_spec

    specs = _specs(config, "quant_cand")
    found = values.given(config, "quant_cand_model")
    if found is None:
        return specs
    model, named = found.text(), values.given(config, "quant_cand")
    if named is not None and named.folder != found.folder:  # one spec is seen from one folder
        model = model_from(found.folder or config.invocation_params.dir, model)
    parsed = [parse_spec(spec) for spec in specs or ("stored",)]
    full = tuple(str(spec if spec.served or spec.model else replace(spec, model=model)) for spec in parsed)
    _refuse_twice(full, SETTINGS["quant_cand"].option)
    return full


def _specs(config: pytest.Config, key: str) -> tuple[str, ...]:
    """The canonical texts of the specs that an option names; each may be named once."""
    from pytest_quantgate.errors import QuantgateError
    from pytest_quantgate.variants.spec import parse_spec, split_specs

    found = values.given(config, key)
    if found is None:
        return ()
    specs: list[str] = []
    for text in found.texts():
        where = values.place_of(config, key, text)
        if "," in text and not all(each.strip() for each in text.split(",")):
            msg = f"{where} {text}: a variant is missing beside a comma: leave the comma out"
            raise pytest.UsageError(msg)
        try:
            specs += [str(parse_spec(each)) for each in split_specs(text)]
        except QuantgateError as error:
            msg = f"{where}: {error}"
            raise pytest.UsageError(msg) from None
    _refuse_twice(specs, found.where)
    return tuple(specs)


def _refuse_twice(specs: Sequence[str], where: str) -> None:
    for spec in specs:
        if specs.count(spec) > 1:
            msg = f"{where} {spec} is given {specs.count(spec)} times: name each variant once"
            raise pytest.UsageError(msg)


def _reference(config: pytest.Config) -> str:
    """The canonical text of the reference's spec.

    Raises:
        pytest.UsageError: It is none, or comes from goldens and is to be run a second time.
    """
    from pytest_quantgate.errors import QuantgateError
    from pytest_quantgate.variants.spec import parse_spec

    found = values.given(config, "quant_ref")
    if found is None:
        return "fp16"
    text = found.text()
    prefix = REFERENCE if text.startswith(REFERENCE) else ""
    if prefix and (values.flag(config, "quant_noise_floor") or values.flag(config, "quant_noise_kernels")):
        msg = f"{found.where} {text}: a reference from goldens is not run, so it has no noise floor: leave one out"
        raise pytest.UsageError(msg)
    try:
        return f"{prefix}{parse_spec(text.removeprefix(prefix))}"
    except QuantgateError as error:
        msg = f"{found.where}: {error}"
        raise pytest.UsageError(msg) from None


def _stop_early(config: pytest.Config) -> bool:
    """Whether answers may be stopped; where the ini file says so, runs that need whole answers have them.

    Raises:
        pytest.UsageError: The command line asks for it, and the run needs whole answers.
    """
    if not values.flag(config, "quant_stop_early"):
        return False
    whole = {"quant_reanchor": "goldens hold whole answers", "quant_diagnose": "a diagnosis reads whole answers"}
    for key, reason in whole.items():
        if values.given(config, key) is None or not (SETTINGS[key].type != "bool" or values.flag(config, key)):
            continue
        if config.getoption("quant_stop_early"):
            msg = f"--quant-stop-early and {SETTINGS[key].option}: {reason}: leave one out"
            raise pytest.UsageError(msg)
        return False
    return True


def _controls(config: pytest.Config, reference: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
    controls = _specs(config, "quant_control")
    found = values.given(config, "quant_control")
    for spec in controls:
        if found is not None and spec in (reference, *candidates):
            what = "the reference" if spec == reference else "a candidate"
            msg = f"{found.where} {spec} is {what} too: name a variant that is broken for certain, such as ruin:2bit"
            raise pytest.UsageError(msg)
    return controls


def _model(config: pytest.Config) -> str:
    """The run's model; a relative path in the ini file is seen from the ini file."""
    from pytest_quantgate.variants.seen import model_from

    found = values.given(config, "quant_model")
    if found is None:
        return "smollm2"
    return found.text() if found.folder is None else model_from(found.folder, found.text())


def _folders(
    config: pytest.Config, reference: str, candidates: tuple[str, ...], controls: tuple[str, ...]
) -> dict[str, Path]:
    """The folder that the paths of a spec are seen from, of those that an ini file of another folder names.

    Raises:
        pytest.UsageError: The command line names one of them too, and means other files.
    """
    from pytest_quantgate.variants.spec import parse_spec

    asked = values.given(config, "quant_cand") or values.given(config, "quant_cand_model")
    named = (
        (values.given(config, "quant_ref"), (reference.removeprefix(REFERENCE),)),
        (asked, candidates),
        (values.given(config, "quant_control"), controls),
    )
    known: dict[str, Given] = {}
    for found, specs in named:
        if found is None:
            continue
        for text in specs:
            spec, first = parse_spec(text), known.setdefault(text, found)
            if replace(spec, folder=found.folder).here != replace(spec, folder=first.folder).here:
                where = f"{found.where} and {first.where}"
                msg = f"{where}: {text} is seen from two folders and names two things: write its paths absolute"
                raise pytest.UsageError(msg)
    return {text: found.folder for text, found in known.items() if found.folder is not None}


def _reanchor(config: pytest.Config) -> tuple[str, ...]:
    """What ``--quant-reanchor`` names."""
    from pytest_quantgate.plugin.reanchor import read_states

    found = values.on_command_line(config, "quant_reanchor")
    return read_states(found.text(), found.where) if found else ()


def _accepted(config: pytest.Config) -> tuple[str, ...]:
    """What ``--quant-accept`` says, an id and a reason each."""
    from pytest_quantgate.plugin.reanchor import check_accepted

    found = values.on_command_line(config, "quant_accept")
    if found is None:
        return ()
    if config.getoption("quant_reanchor") is None:
        msg = f"{found.where} goes with --quant-reanchor: add what to anchor, or leave it out"
        raise pytest.UsageError(msg)
    texts = tuple(dict.fromkeys(found.texts()))
    for text in texts:
        check_accepted(text, found.where)
    return texts


def _only(config: pytest.Config) -> Only | None:
    """What ``--quant-only`` names."""
    found = values.on_command_line(config, "quant_only")
    return cast("Only", found.choice(get_args(Only))) if found else None


def _diagnose_minutes(config: pytest.Config) -> float | None:
    """What ``--quant-diagnose-minutes`` says; the ini key waits for a run that is diagnosed."""
    key = "quant_diagnose_minutes"
    found = values.given(config, key)
    if found is None:
        return None
    if values.on_command_line(config, key) and not values.flag(config, "quant_diagnose"):
        msg = f"{found.where} goes with --quant-diagnose: add it, or leave this out"
        raise pytest.UsageError(msg)
    return found.minutes()


def _report_path(config: pytest.Config, key: str) -> Path | None:
    """Where a report is to be written."""
    found = values.given(config, key)
    if found is None:
        return None
    text = found.text()
    try:
        path = config.invocation_params.dir / Path(text).expanduser()
        kind = path.stat().st_mode
    except FileNotFoundError:
        return path
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of nobody; ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        msg = f"{found.where} {text}: no report can be written there: {reason}"
        raise pytest.UsageError(msg) from None
    if not stat.S_ISREG(kind):  # it would be replaced by an ordinary file
        what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        msg = f"{found.where} {text}: this is {what}, name a file"
        raise pytest.UsageError(msg)
    return path
