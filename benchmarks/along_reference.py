"""Checking a candidate along the reference's answers, several tokens in a pass, against plain decoding: a prototype.

    python benchmarks/along_reference.py            # 64 prompts, 128 new tokens, three times: half an hour or so
    python benchmarks/along_reference.py --quick    # 8 prompts, 24 new tokens, once

The reference is fp16 of the embedded model, and its answers are known. Both sides answer the same prompts with a loaded
candidate, and take turns:

- plain: as a run does, one step for each token
- along: the candidate reads each prompt and the reference's answer in one pass. Its own choices are taken over up to
  and with the first that is another than the reference's; only what follows is decoded, behind prompt and choices,
  which are read a second time for it. What keeping them between both passes would save is at most that reading.

In float32, on a CPU, both sides must give the same tokens, but for near ties: fails when the logits of the two tokens
where answers first differ are further apart than rounding. On a GPU arithmetic is in half precision, and answers that
differ are only counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from speed import by_turns, embedded, requests, table, taken_on

from pytest_quantgate.generation.budget import key_value_budget
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.fidelity import Known, Meter, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.generation.run import context_length, generate, stops_of
from pytest_quantgate.generation.step import top_two
from pytest_quantgate.variants.variant import LoadedModel

REFERENCE = "fp16"
CANDIDATES = ("rtn:8bit", "quanto:int8", "nf4")
ROUNDING = 1e-4  # of two logits that are a near tie, relatively

Tokens = tuple[int, ...]


class Choices:
    """The candidate's most probable tokens along one answer, up to and with the first that is another one.

    Args:
        token_ids: The answer.
    """

    def __init__(self, token_ids: Tokens) -> None:
        self._answer = token_ids
        self._chosen: list[int] = []

    def take(self, logits: torch.Tensor) -> None:
        """Take the next ones; see ``Meter``."""
        seen = len(self._chosen)
        if tuple(self._chosen) != self._answer[:seen]:
            return
        for choice, token in zip(top_two(logits)[0].tolist(), self._answer[seen:], strict=False):
            self._chosen.append(choice)
            if choice != token:
                break

    def found(self) -> Tokens:
        """All of them."""
        return tuple(self._chosen)


class Last:
    """Keeps the logits in the place of an answer's last token."""

    def __init__(self) -> None:
        self._logits = torch.empty(0)

    def take(self, logits: torch.Tensor) -> None:
        """Look at the next ones; see ``Meter``."""
        self._logits = logits[-1].clone()

    def found(self) -> torch.Tensor:
        """Of all tokens of the vocabulary."""
        return self._logits


@dataclass(frozen=True, slots=True)
class Answered:
    """What a candidate answered along the reference's answers.

    Attributes:
        token_ids: Its answers, by the request's digest.
        taken_over: How many of their tokens were not decoded one by one.
        reading: Seconds until these were known.
    """

    token_ids: Mapping[str, Tokens]
    taken_over: int
    reading: float


def plain(loaded: LoadedModel, asked: Sequence[Request]) -> dict[str, Completion]:
    """Answers by the request's digest, as a run makes them."""
    answers: dict[str, Completion] = {}
    generate(loaded, asked, answers.update, SilentProgress())
    if problems := {each.problem for each in answers.values()} - {None}:
        raise SystemExit(f"prompts without an answer: {problems}")
    return answers


def known_of(asked: Sequence[Request], answers: Mapping[str, Completion], end: int) -> list[Known]:
    """The reference's answers, with an end where it ended: that token, too, is predicted."""
    ended = {digest: (end,) if each.finish_reason == "stop" else () for digest, each in answers.items()}
    return [Known(each, answers[each.digest].token_ids + ended[each.digest]) for each in asked]


def along_reference(loaded: LoadedModel, known: Sequence[Known]) -> Answered:
    """The candidate's answers: read as far as it agrees with the reference, and decoded from there."""
    begin = time.perf_counter()
    answers = {each.request.digest: each.token_ids for each in known}
    read = measured(loaded, known, lambda digest: Choices(answers[digest]))
    reading = time.perf_counter() - begin
    config = loaded.model.config.get_text_config(decoder=True)
    prompts, _ = tokenize(loaded.tokenizer, [each.request for each in known], context_length(config))
    stops = stops_of(loaded)
    made: dict[str, Tokens] = {}
    unfinished = []
    for prompt in prompts:
        chosen: Tokens = read[prompt.digest]
        ended = chosen[-1] in stops
        made[prompt.digest] = chosen[:-1] if ended else chosen
        left = prompt.max_new_tokens - len(chosen)
        if left and not ended:
            unfinished.append(replace(prompt, token_ids=prompt.token_ids + chosen, max_new_tokens=left))
    taken_over = sum(map(len, made.values()))
    variant = loaded.variant
    budget = key_value_budget(str(loaded.model.device))
    decoder = Decoder(loaded.model, stops, budget, schedule=variant.schedule, kv=variant.spec.kv)
    for step in decoder.run(unfinished):
        for decoded in step.finished:
            made[decoded.prompt.digest] += decoded.token_ids
    return Answered(made, taken_over, reading)


def measured(loaded: LoadedModel, known: Sequence[Known], meter: Callable[[str], Meter[Any]]) -> dict[str, Any]:
    """What a meter finds along each answer, by the request's digest; it is made of the digest."""
    found = dict(along(loaded, known, lambda digests: {each: meter(each) for each in digests}, SilentProgress()))
    if problems := {each for each in found.values() if isinstance(each, str)}:
        raise SystemExit(f"answers that could not be read: {problems}")
    return found


def differences(
    loaded: LoadedModel, known: Sequence[Known], one: Mapping[str, Tokens], other: Mapping[str, Tokens]
) -> list[float]:
    """Of each answer that is another one: the two logits where both first differ, how far apart, relatively."""
    places = {digest: _parting(tokens, other[digest]) for digest, tokens in one.items() if tokens != other[digest]}
    before = {digest: one[digest][:place] for digest, place in places.items()}
    asked = (each.request for each in known if each.request.digest in places)
    read = [Known(request, (*before[request.digest], 0)) for request in asked]  # the last one is predicted, not read
    end = stops_of(loaded)
    found = []
    for digest, logits in measured(loaded, read, lambda _: Last()).items():
        at = slice(places[digest], places[digest] + 1)
        left, right = (float(logits[list(tokens[digest][at] or end)].max()) for tokens in (one, other))
        found.append(abs(left - right) / max(abs(left), abs(right)))
    return found


def _parting(left: Tokens, right: Tokens) -> int:
    """Where two answers first differ; where one of them ends, if it is the other's beginning."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def compare(
    loaded: LoadedModel, asked: Sequence[Request], known: Sequence[Known], times: int
) -> tuple[list[str], float]:
    """One candidate's row of the table, and the furthest that logits are apart where answers first differ."""
    plainly: list[dict[str, Completion]] = []
    answered: list[Answered] = []
    sides = {
        "plain": lambda: plainly.append(plain(loaded, asked)),
        "along": lambda: answered.append(along_reference(loaded, known)),
    }
    taken = by_turns(sides, times)
    whole = {digest: each.token_ids for digest, each in plainly[-1].items()}
    apart = differences(loaded, known, whole, answered[-1].token_ids)
    row = [
        str(loaded.variant.spec),
        f"{100 * answered[-1].taken_over / sum(map(len, whole.values())):.0f}%",
        f"{taken['plain']:.1f}",
        f"{taken['along']:.1f}",
        f"{median(each.reading for each in answered):.1f}",
        f"{taken['along'] / taken['plain']:.2f}",
        f"{len(apart)} of {len(known)}",
    ]
    return row, max(apart, default=0.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", nargs="+", default=list(CANDIDATES), help="of candidates")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="8 prompts, 24 tokens, once")
    options = parser.parse_args()
    if options.quick:
        options.prompts, options.tokens, options.times = 8, 24, 1
    exact = options.device == "cpu"
    dtype = "float32" if exact else "auto"
    asked = requests(options.prompts, options.tokens)
    reference = embedded(REFERENCE, dtype, options.device)
    known = known_of(asked, plain(reference, asked), min(stops_of(reference)))
    del reference
    rows, furthest = [], 0.0
    for spec in options.spec:
        row, apart = compare(embedded(spec, dtype, options.device), asked, known, options.times)
        rows.append(row)
        furthest = max(furthest, apart)
    work = f"{options.prompts} prompts, {options.tokens} new tokens, medians of {options.times}"
    print(f"{work}, {taken_on(options.device)}")
    print(f"logits where answers first differ: at most {furthest:.1e} apart, relatively\n")
    head = ("candidate", "tokens taken over", "plain, s", "along, s", "of it reading, s", "along to plain")
    table((*head, "answers that differ"), rows)
    if exact and furthest > ROUNDING:
        raise SystemExit(f"answers differ where logits are {furthest:.1e} apart: that is no near tie")


if __name__ == "__main__":
    main()
