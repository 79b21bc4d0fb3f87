"""The answers of one variant: from the cache where they are known, from the model where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pytest_quantgate.errors import ModelError, QuantgateError
from pytest_quantgate.generation.budget import key_value_budget
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.early import Early, kept_for
from pytest_quantgate.generation.kept import RunCache
from pytest_quantgate.generation.progress import Progress
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.memory import release_memory
from pytest_quantgate.variants.served import ServedVariant
from pytest_quantgate.variants.server_facts import MixedServersError
from pytest_quantgate.variants.variant import LoadedModel, Variant, check_day, load_variant

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.generation.prompts import Prompt

ATTENTION_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a variant answered.

    Attributes:
        completions: By request digest; one for every request.
        audit: What the audit found when the variant was last loaded; None when that is not known.
        cached: Number of different requests whose answer was stored already.
        generated: Number of different requests that were answered now.
    """

    completions: Mapping[str, Completion]
    audit: Audit | None
    cached: int
    generated: int


def no_more(_completions: Mapping[str, Completion]) -> Sequence[Request]:
    """Nothing follows from what was answered."""
    return ()


def answer(
    variant: Variant | ServedVariant,
    requests: Sequence[Request],
    cache: CompletionCache | RunCache,
    progress: Progress,
    more: Callable[[Mapping[str, Completion]], Sequence[Request]] = no_more,
    *,
    elsewhere: Sequence[Variant] = (),
    then: Callable[[Mapping[str, Completion], Callable[[], LoadedModel]], None] | None = None,
    registry: CheckRegistry | None = None,
) -> Answers:
    """Answer every request, loading the model only when an answer is missing, and only once.

    Each answer is in the cache as soon as it is finished, so that an interrupted or killed run loses only
    what was in flight; answers of a server are, once it told again what it serves. The model is freed before this
    returns. What a server could not answer, what did not fit in memory, and where logits were not numbers, is not
    kept: the next run asks again.

    Args:
        variant: Who answers, and under which schedule.
        requests: What is asked; equal requests are answered once.
        cache: Where answers are looked up and kept; for a server that nobody knows, for this run only.
        progress: Told how far it has come.
        more: Called with everything that was answered, by digest; gives the requests that follow from it (the next
            turn of a chat). It is asked again until it has nothing new.
        elsewhere: The same variant on further devices, which answer their share in processes of their own.
        then: Called once everything is answered by a variant that transformers runs, with what it answered, by digest,
            and with what gives the model, loaded now where it was not; the model is freed when this returns.
        registry: The checks that may end an answer early; the built-in ones when None.

    Raises:
        QuantgateError: The model cannot be loaded, is not what its spec says, or does not fit in memory; or a server
            tells other facts of itself than before it was asked. Where servers that are not alike take turns, none of
            their answers stays in the cache.
    """
    identity = variant.identity.digest
    completions: dict[str, Completion] = {}

    def audited(audit: Audit) -> None:
        cache.put_audit(identity, audit.to_json())

    engine = _engine(variant, elsewhere, audited, registry)
    wanted = {request.digest: request for request in requests}
    turn = generated = 0

    def keep(fresh: Mapping[str, Completion]) -> None:
        lasting = {_key(wanted[digest], digest, each): each for digest, each in fresh.items() if each.lasting}
        cache.put(identity, lasting)
        completions.update(fresh)

    try:
        while wanted or not turn:
            turn += 1
            completions.update(kept_for(wanted, partial(cache.get, identity), registry))
            missing = [request for digest, request in wanted.items() if digest not in completions]
            label = variant.label if turn == 1 else f"{variant.label}, turn {turn}"
            progress.start(label, len(wanted), len(wanted) - len(missing))
            try:
                if missing:
                    engine.generate(missing, keep, progress)
            except MixedServersError:  # nobody knows who gave which of its answers, nor in earlier runs
                cache.forget(identity)
                raise
            finally:
                progress.finish()
            generated += len(missing)
            wanted = {request.digest: request for request in more(completions) if request.digest not in completions}
        if then is not None and isinstance(variant, Variant) and not variant.offline:
            if not isinstance(engine, _Here):
                engine.close()
                engine = _Here(variant, audited, registry)
            then(completions, partial(engine.loaded, progress))
    finally:
        engine.close()
    return Answers(completions, _audit(cache, identity), cached=len(completions) - generated, generated=generated)


def _key(request: Request, digest: str, completion: Completion) -> str:
    """The digest that an answer is kept by: one that came to its own end is the whole one."""
    return request.whole.digest if request.until and completion.finish_reason != "decided" else digest


class _Engine(Protocol):
    """A variant that answers; it is loaded when something is first asked."""

    def generate(
        self, requests: Sequence[Request], keep: Callable[[Mapping[str, Completion]], None], progress: Progress
    ) -> None:
        """Answer requests, and have each kept as soon as it is finished."""

    def close(self) -> None:
        """Give its memory back."""


class _Here:
    """A variant in this process."""

    def __init__(self, variant: Variant, audited: Callable[[Audit], None], registry: CheckRegistry | None) -> None:
        self._variant = variant
        self._audited = audited
        self._registry = registry
        self._loaded: LoadedModel | None = None

    def generate(
        self, requests: Sequence[Request], keep: Callable[[Mapping[str, Completion]], None], progress: Progress
    ) -> None:
        generate(self.loaded(progress), requests, keep, progress, self._registry)

    def loaded(self, progress: Progress) -> LoadedModel:
        if self._loaded is None:
            release_memory()  # a variant that failed leaves its memory behind while its error is looked at
            self._loaded = load_variant(self._variant, progress.note)
            self._audited(self._loaded.audit)
        return self._loaded

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded = None
            release_memory()


def _engine(
    variant: Variant | ServedVariant,
    elsewhere: Sequence[Variant],
    audited: Callable[[Audit], None],
    registry: CheckRegistry | None,
) -> _Engine:
    if isinstance(variant, ServedVariant):
        from pytest_quantgate.generation.served import Served

        return Served(variant)
    if not elsewhere and not variant.offline:
        return _Here(variant, audited, registry)
    from pytest_quantgate.generation.shares import Shares

    return Shares((variant, *elsewhere), audited)


def _audit(cache: CompletionCache | RunCache, identity: str) -> Audit | None:
    stored = cache.get_audit(identity)
    if stored is None:
        return None
    try:
        return Audit.from_json(stored)
    except QuantgateError:  # written by another version; the answers hold all the same
        return None


def generate(
    loaded: LoadedModel,
    requests: Sequence[Request],
    keep: Callable[[Mapping[str, Completion]], None],
    progress: Progress,
    registry: CheckRegistry | None = None,
    *,
    processes: int = 1,
) -> None:
    """Answer requests with a variant that is in memory.

    Args:
        loaded: Who answers.
        requests: What is asked, each once.
        keep: Called with answers as soon as they are finished, by digest.
        progress: Told how far it has come.
        registry: The checks that may end an answer early; the built-in ones when None.
        processes: How many processes share the device's memory.

    Raises:
        ModelError: The model's files do not fit together, it is of a kind that cannot be run, or as for ``check_day``.
    """
    from pytest_quantgate.generation.decode import Decoder
    from pytest_quantgate.generation.prompts import tokenize

    model, tokenizer = loaded.model, loaded.tokenizer
    config = model.config.get_text_config(decoder=True)
    _refuse_other_state(config, loaded.variant.model.name)
    prompts, refused = tokenize(tokenizer, requests, context_length(config))
    check_day(loaded.variant)
    embedding: Any = model.get_input_embeddings()
    refuse_unknown_tokens(embedding.weight.shape[0], prompts, loaded.variant.model.name)
    stops = stops_of(loaded)
    if refused:
        keep(refused)
        progress.advance(len(refused), 0)
    variant, budget = loaded.variant, key_value_budget(str(model.device), processes)
    decided = Early(requests, tokenizer, registry) if any(each.until for each in requests) else None
    decoder = Decoder(
        model, stops, budget, progress.note, schedule=variant.schedule, kv=variant.spec.kv, decided=decided
    )
    for step in decoder.run(prompts):
        if step.finished:
            keep({decoded.prompt.digest: decoded.completion(tokenizer) for decoded in step.finished})
        progress.advance(len(step.finished), step.tokens)


def stops_of(loaded: LoadedModel) -> frozenset[int]:
    """Ids that end an answer: those of the generation config and the tokenizer's end of sequence.

    Args:
        loaded: Who answers.

    Raises:
        ModelError: The generation config names what is no token.
    """
    return stop_ids(loaded.model.generation_config.eos_token_id, loaded.tokenizer, loaded.variant.model.name)


def stop_ids(named: object, tokenizer: PreTrainedTokenizerBase, name: str) -> frozenset[int]:
    """Ids that end an answer.

    Args:
        named: What a generation config names: an id, a list of them, or None.
        tokenizer: Its end of sequence is one too.
        name: The model, for the message.

    Raises:
        ModelError: Something else is named.
    """
    ids = named if isinstance(named, list) else [] if named is None else [named]
    if not all(type(each) is int for each in ids):
        raise ModelError(
            f"eos_token_id is {named!r}, neither a token id nor a list of them",
            where=name,
            hint="correct it in generation_config.json, or in config.json where there is none",
        )
    return frozenset({*ids, tokenizer.eos_token_id} - {None})


def refuse_unknown_tokens(rows: int, prompts: Iterable[Prompt], name: str) -> None:
    """Refuses prompts that the model cannot read.

    Args:
        rows: Tokens that the model knows.
        prompts: What it is to read.
        name: The model, for the message.

    Raises:
        ModelError: The tokenizer gives a token beyond them.
    """
    texts = (ids for prompt in prompts for ids in (prompt.token_ids, *(asked.token_ids for asked in prompt.asked)))
    highest = max((max(ids) for ids in texts if ids), default=0)
    if highest >= rows:
        raise ModelError(
            f"the tokenizer gives token {highest} and the model knows {rows}, counted from 0",
            where=name,
            hint="copy the tokenizer files and config.json that belong to the weights",
        )


def context_length(config: PreTrainedConfig) -> int:
    """Most positions that a model can attend to, and that do not change how it reads its neighbours in a batch.

    With ``longrope`` a batch that holds a position beyond the original context is turned by other factors, all of it.

    Args:
        config: Of its decoder.

    Raises:
        ModelError: It does not say.
    """
    length = getattr(config, "max_position_embeddings", None)
    if not isinstance(length, int) or length < 1:
        raise ModelError(
            "the model's config.json does not say how many positions it can attend to",
            hint="add max_position_embeddings to it",
        )
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *rope.values()]  # one for all layers, or one for each type of them
    switches = [
        each.get("original_max_position_embeddings")
        for each in kinds
        if isinstance(each, dict) and each.get("rope_type") == "longrope"
    ]
    return min([length, *(each for each in switches if isinstance(each, int) and each > 0)])


def _refuse_other_state(config: PreTrainedConfig, name: str) -> None:
    """Rows are moved and padded as keys and values; a recurrent state would need other care."""
    others = set(getattr(config, "layer_types", None) or ()) - ATTENTION_LAYERS
    if others or getattr(config, "is_encoder_decoder", False):
        kinds = ", ".join(sorted(others)) or "an encoder"
        raise ModelError(f"only decoders that keep keys and values can be run, this model has {kinds}", where=name)
