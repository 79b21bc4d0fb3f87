"""``--quant-dry-run``: everything that can be checked without loading a model."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.turns import look_up
from pytest_quantgate.plugin import preflight, terminal, views
from pytest_quantgate.plugin.backends import SAME
from pytest_quantgate.plugin.preparing import NO_TEMPLATE
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import no_command, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.plugin.book import CaseRef
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.variants.variant import Variant

_GIB = 1 << 30

TURN_TOKENS = 4
"""Tokens that a chat template spends on one turn, about."""

UNKNOWN = "?"

WHY_OWN = {
    "cpu": "its own decoding: on a CPU transformers' continuous batching was measured to be slower, and its generate "
    "with torch.compile had not answered 32 prompts in three minutes (docs/performance.md)",
    "cuda": "its own decoding: continuous batching and torch.compile were not measured on GPUs by this project; "
    "benchmarks/engines.py --device cuda:0 does that",
}
"""Why no other engine is used, by the type of the device."""

LEGEND = (
    "per slice: cases, tokens of all prompts (about) and of the longest, prompts longer than the context, tokens of "
    "all answers at most, answers that are cached by variant"
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model's files say of prompts, without the model.

    Attributes:
        count: Tokens of a request's prompt, about; None when the model has no tokenizer.json.
        context: Most tokens that prompt and answer may take; None when config.json does not say.
    """

    count: Callable[[Request], int] | None
    context: int | None


class DryRun:
    """Takes the place of pytest's run loop.

    Args:
        run: The session's run.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Check and show; run nothing.

        Raises:
            pytest.UsageError: With every problem that was found.
        """
        if session.config.option.collectonly:
            return None
        run = self._run
        run.select(session.items)
        told: list[str] = []

        def note(text: str) -> None:
            told.extend([text] * (not text.endswith((NO_TEMPLATE, SAME))))
            self._say(text)

        run.answers.prepare(run.answers.specs, note)
        problems = [trouble.reason for trouble in run.answers.troubles.values()]
        problems += self._show_memory()
        problems += self._show_slices()
        problems += self._show_power()
        problems += views.problems(run)
        if run.nothing_collected and run.options.explicit:
            problems.append(terminal.NO_SLICES)
        if session.testsfailed:
            problems.append(f"errors during collection: {session.testsfailed}")
        if problems:
            raise pytest.UsageError(*(no_command(visible(problem, keep="\n")) for problem in problems))
        done = "the model's files were made ready as told above" if told else "nothing was loaded"
        self._say(f"dry run: no problem found; {done}, and nothing was run")
        return True

    def _say(self, text: str, prefix: str = "quantgate: ") -> None:
        terminal.line(self._run.config, text, prefix=prefix)

    def _show_memory(self) -> list[str]:
        from pytest_quantgate.variants.device import split_devices
        from pytest_quantgate.variants.memory import check_memory
        from pytest_quantgate.variants.served import ServedVariant

        problems = []
        own: set[str] = set()
        devices = Counter(split_devices(self._run.options.device))
        for spec, variant in self._run.answers.variants.items():
            if isinstance(variant, ServedVariant):
                self._say(f"{spec}: {variant.summary}; {variant.keeping}")
                continue
            told = f"{spec}: {variant.summary}; {_answered_by(variant)}"
            with suppress(QuantgateError):  # of a device that cannot be used, which is told below
                told += f", {_memory(variant, devices[variant.device])}"
            self._say(told)
            problems += self._show_unmade(variant)
            if not variant.offline:
                own.add(variant.placement.device_type)
            for device, together in devices.items():
                try:
                    check_memory(variant.needed_bytes, device, spec, together)
                except QuantgateError as error:
                    problems.append(str(error))
        for device_type in sorted(own):
            self._say(WHY_OWN[device_type])
        return list(dict.fromkeys(problems))  # what is wrong with a device is so for all

    def _show_unmade(self, variant: Variant) -> list[str]:
        """What must be made before a variant is loaded, and where it is kept then."""
        from pytest_quantgate.variants.registry import backend_of

        unmade = getattr(backend_of(variant.spec.name), "unmade", None)
        try:
            found: Mapping[str, Path] = (
                {} if unmade is None else unmade(variant.spec, variant.model.folder, variant.placement)
            )
        except QuantgateError as error:
            return [str(error)]
        for spec, folder in found.items():
            self._say(
                f"{spec}: its checkpoint is not made yet: the run makes it before it is asked, once, which takes "
                f"minutes or longer, and keeps it in {folder}"
            )
        return []

    def _show_slices(self) -> list[str]:
        from pytest_quantgate.generation.cache import CompletionCache, default_cache_path

        run = self._run
        by_slice: dict[str, list[CaseRef]] = {}
        for ref in run.tally.wanted.values():
            by_slice.setdefault(ref.slice, []).append(ref)
        if not by_slice:
            return []
        problems = []
        tokens = Tokens(None, None)
        prepared = run.answers.local
        if prepared is not None:
            try:
                tokens = _tokens(prepared.model.folder)
            except QuantgateError as error:
                problems.append(str(error))
        with terminal.warnings_as_lines(run.config), CompletionCache(default_cache_path()) as cache:
            rows = [_row(run, name, refs, tokens, cache) for name, refs in by_slice.items()]
        specs = run.answers.specs
        head = ["slice", "cases", "prompts", "longest", "too long", "answers"]
        self._say(LEGEND)
        for text in _columns([[*head, *specs], *rows]):
            self._say(text, prefix="  ")
        if tokens.context is not None:
            self._say(
                f"the model's context is {tokens.context} tokens; prompt tokens are counted without the chat template"
            )
        if run.options.stop_early:
            self._say("answers stop as soon as they are decided")
            for name in by_slice:
                self._say(run.whole.told(name), prefix="  ")
        problems += self._show_other_models({ref.case.id: ref.case for ref in refs} for refs in by_slice.values())
        in_turns = [name for name, refs in by_slice.items() if any(ref.case.later for ref in refs)]
        if in_turns:
            self._say(
                f"{', '.join(in_turns)}: prompt tokens are at least as many: the model's own answers to earlier turns "
                "stand in later prompts"
            )
        return problems

    def _show_other_models(self, slices: Iterable[Mapping[str, Case]]) -> list[str]:
        """What models with tokenizers of their own make of the same prompts, where variants are of several."""
        from pytest_quantgate.variants.variant import Variant

        problems = []
        requests = _requests(case for cases in slices for case in cases.values())
        local = [each for each in self._run.answers.variants.values() if isinstance(each, Variant)]
        known = {local[0].identity.fields["tokenizer"]} if local else set()
        for variant in local[1:]:
            if variant.identity.fields["tokenizer"] in known:
                continue
            known.add(variant.identity.fields["tokenizer"])
            try:
                tokens = _tokens(variant.model.folder)
            except QuantgateError as error:
                problems.append(str(error))
                continue
            if tokens.count is None:
                self._say(f"{variant.model.name} has another tokenizer, which cannot be counted with")
                continue
            counts = [tokens.count(request) for request in requests]
            context = "" if tokens.context is None else f" of a context of {tokens.context}"
            self._say(
                f"{variant.model.name} has another tokenizer: {counted(sum(counts), 'token')} of all prompts, "
                f"the longest takes {max(counts)}{context}"
            )
        return problems

    def _show_power(self) -> list[str]:
        from pytest_quantgate.report.power import power_table

        rows = preflight.power(self._run)
        if rows:
            self._say("what the cases of each slice can prove:")
            self._say(power_table(rows, width=terminal.width(self._run.config), color=False).rstrip(), prefix="")
        return preflight.problems(self._run)


def _answered_by(variant: Variant) -> str:
    """By which engine and kernels, which docs/performance.md compares with others."""
    if variant.offline:
        return "answered by vLLM"
    how = {"native": "", "dense": ", weights spread out once"}
    return f"answered by quantgate's own decoding in {variant.placement.compute_dtype}{how[variant.placement.kernels]}"


def _memory(variant: Variant, together: int) -> str:
    """What it takes of its device.

    Args:
        variant: A variant that runs here.
        together: How many processes hold it there, each for itself.
    """
    from pytest_quantgate.generation.budget import key_value_budget

    needs = f"needs about {variant.needed_bytes / _GIB:.1f} GiB on {variant.device}"
    if variant.offline:  # vLLM takes what it likes of the rest
        return needs
    budget = key_value_budget(variant.device, together, to_load=variant.needed_bytes)
    return f"{needs}, and has about {budget / _GIB:.1f} GiB for keys and values"


def _row(run: QuantRun, name: str, refs: Sequence[CaseRef], tokens: Tokens, cache: CompletionCache) -> list[str]:
    cases = list({ref.case.id: ref.case for ref in refs}.values())
    requests = _requests(cases)
    counts = [tokens.count(request) for request in requests] if tokens.count is not None else None
    cached = []
    for spec in run.answers.specs:
        variant = run.answers.variants.get(spec)
        if variant is not None:
            asked = [run.whole.asked(name, case) for case in cases]
            cached.append(str(len(look_up(asked, partial(cache.get, variant.identity.digest), run.book.registry))))
        elif run.options.anchored is not None and spec == run.options.reference:
            cached.append(_anchored(run, name, cases))
        else:
            cached.append(UNKNOWN)
    return [
        name,
        str(len(cases)),
        UNKNOWN if counts is None else str(sum(counts)),
        UNKNOWN if counts is None else str(max(counts)),
        UNKNOWN if counts is None or tokens.context is None else str(sum(count >= tokens.context for count in counts)),
        str(sum(request.max_new_tokens for request in requests)),
        *cached,
    ]


def _requests(cases: Iterable[Case]) -> list[Request]:
    """All turns; what the model will have said in earlier ones is not known yet: it is counted as nothing."""
    return [Request.of(case.turn_after([""] * turn)) for case in cases for turn in range(len(case.later) + 1)]


def _anchored(run: QuantRun, name: str, cases: Sequence[Case]) -> str:
    """How many answers the golden has that stands for the reference."""
    try:
        return str(sum(each.problem is None for case in cases for each in run.goldens.anchored(name, case)))
    except QuantgateError:  # it cannot be read, and that is told as a problem
        return UNKNOWN


def _tokens(folder: Path) -> Tokens:
    """The model's tokenizer and context length, read from its files.

    Raises:
        ModelError: The tokenizer's file is damaged.
    """
    from pytest_quantgate.variants.checkpoint import CONFIG, read_json
    from pytest_quantgate.variants.tokenizer import read_tokenizer

    try:
        context = read_json(folder / CONFIG).get("max_position_embeddings")
    except QuantgateError:
        context = None
    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        return Tokens(None, context if isinstance(context, int) else None)

    def count(request: Request) -> int:
        texts = [message.content for message in request.messages]
        if request.answer_prefix:
            texts.append(request.answer_prefix)
        return sum(len(found.ids) + TURN_TOKENS for found in tokenizer.encode_batch(texts, add_special_tokens=False))

    return Tokens(count, context if isinstance(context, int) else None)


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows as lines; the first column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells])
