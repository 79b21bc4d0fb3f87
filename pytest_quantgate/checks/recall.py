"""The check of what a model would say next: recall, by the answer's rank and log-probability."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_quantgate.cases.model import CheckSpec
from pytest_quantgate.checks.arguments import listed
from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated
from pytest_quantgate.checks.model import Answer, Recall
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

NAME = "recall"

MOST_TEXTS = 20
LONGEST_TEXT = 400  # characters
MEASURED_DIGITS = 2


def recall(
    _answer: str,
    *,
    answer: str | Sequence[str],
    max_rank: int = 1,
    min_log_probability: float | None = None,
    full_answer: Answer,
) -> Finding:
    """The model would have gone on with the answer: each of its tokens is among the ``max_rank`` most probable ones.

    The answer is measured behind the prompt and the case's ``answer_prefix``, by teacher forcing; what the model
    wrote of its own does not matter. The rank of an answer of several tokens is the worst of theirs, each given the
    tokens before it, so that at rank 1 the greedy answer begins with it. A token that ties with others stands behind
    all of them. ``min_log_probability`` (0 or below, natural logarithm) is for the answer as a whole. Of several
    acceptable answers one is enough, and it must keep both limits; the one told is the best by rank, then by
    log-probability.

    Unscored when no model was run here to measure it (recorded or served answers), and when no answer could be
    measured: it does not fit the context, the logits were not numbers, or the tokenizer merges it with the prompt.
    """
    texts = texts_of(answer)
    known = {each.text: each for each in full_answer.recall}
    if missing := [text for text in texts if text not in known]:
        return unscored(f"nothing was measured of {quoted(missing[0])}: that takes a model that is run here")
    measured = [known[text] for text in texts if known[text].problem is None]
    if not measured:
        return unscored(f"{quoted(texts[0])} could not be measured: {known[texts[0]].problem}")
    ranked = sorted(measured, key=lambda each: (each.rank, -each.log_probability))
    for each in ranked:
        probable = min_log_probability is None or each.log_probability >= min_log_probability
        if each.rank <= max_rank and probable:
            return followed(_told(each))
    best = ranked[0]
    if best.rank > max_rank:
        return violated(f"{_told(best)}; at most rank {max_rank} is allowed")
    return violated(f"{_told(best)}; at least {min_log_probability} is asked")


def recall_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The texts are some, and the limits can be kept."""
    texts = texts_of(arguments["answer"])
    if not texts:
        yield "argument 'answer' is an empty list"
    if len(texts) > MOST_TEXTS:
        yield f"argument 'answer' holds {len(texts)} texts; at most {MOST_TEXTS} are allowed"
    if any(not text.strip() for text in texts):
        yield "argument 'answer' is blank, or holds a blank text"
    if longest := max((len(text) for text in texts if len(text) > LONGEST_TEXT), default=0):
        yield f"argument 'answer' has {longest} characters; at most {LONGEST_TEXT} are allowed"
    if len(set(texts)) < len(texts):
        yield "argument 'answer' holds a text twice"
    if arguments.get("max_rank", 1) < 1:
        yield "argument 'max_rank' must be 1 or more"
    if arguments.get("min_log_probability", 0) > 0:
        yield "argument 'min_log_probability' must be 0 or less: it is the logarithm of a probability"


def texts_of(answer: str | Sequence[str]) -> tuple[str, ...]:
    """The acceptable answers that the argument names."""
    return tuple(listed(answer))


def asked_of(checks: Iterable[CheckSpec]) -> tuple[str, ...]:
    """Every text that a case's checks want measured, in order, each once."""
    wanted = (texts_of(spec.arguments["answer"]) for spec in checks if spec.name == NAME and "answer" in spec.arguments)
    return tuple(dict.fromkeys(text for texts in wanted for text in texts))


def _told(found: Recall) -> str:
    place = len(found.ranks) > 1 and f" (worst of {len(found.ranks)} tokens)"
    ties = found.ties[found.ranks.index(found.rank)]
    tied = f", tied with {counted(ties, 'other')}" if ties else ""
    return (
        f"{quoted(found.text)} has rank {found.rank}{place or ''}{tied}"
        f", log-probability {found.log_probability:.{MEASURED_DIGITS}f}"
    )


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register(NAME, recall, shorthand="answer", validate=recall_problems)
