"""vLLM as the engine of a variant: one offline batch in this process, each answer kept as soon as it is finished.

It runs in a process that ``shares`` started, which has its devices and its environment to itself. What is asked and
what is kept is as for every other engine: token ids that our own tokenizer made, greedy decoding, the margin of each
token, the recall of given texts. Imports torch and vLLM: import it only to run a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite, isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from transformers import AutoConfig, GenerationConfig

from pytest_quantgate.checks.model import Recall
from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation.completion import Completion, FinishReason, Request
from pytest_quantgate.generation.decoded import Decoded
from pytest_quantgate.generation.progress import Progress
from pytest_quantgate.generation.prompts import Asked, Prompt, in_groups, tokenize
from pytest_quantgate.generation.recall import DIGITS
from pytest_quantgate.generation.run import context_length, refuse_unknown_tokens, stop_ids
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.checkpoint import CONFIG, WEIGHTS_INDEX, read_json, weight_files
from pytest_quantgate.variants.device import members
from pytest_quantgate.variants.header_audit import audit_headers
from pytest_quantgate.variants.hush import hushed
from pytest_quantgate.variants.loading import load_tokenizer, quiet
from pytest_quantgate.variants.memory import check_memory, release_memory
from pytest_quantgate.variants.registry import backend_of
from pytest_quantgate.variants.source import message_of
from pytest_quantgate.variants.variant import Variant, check_day

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SEED: Final = 0
_SECONDS: Final = 1.0  # between two signs of life
_MARGIN: Final = 2  # the chosen token and the runner-up
_TIES: Final = 20  # most probable tokens among which ties are looked for; as many as vLLM gives without being told more


class Offline:
    """A variant that vLLM runs in this process, loaded.

    Args:
        variant: Who answers, and under which schedule.
        note: Told how far the weights have come where they must be made first.

    Raises:
        ModelError: It does not fit in memory, does not load, or vLLM cannot run it here.
        AuditError: Its checkpoint is not quantized as its spec says.

    Attributes:
        audit: What its checkpoint holds; None where nothing is quantized in it.
    """

    def __init__(self, variant: Variant, note: Callable[[str], None]) -> None:
        self._variant = variant
        where = f"variant {str(variant.spec)!r}"
        folder, placement, schedule = variant.model.folder, variant.placement, variant.schedule
        if placement.device_type == "cpu":
            check_memory(variant.needed_bytes, variant.device, str(variant.spec))
        self._where = where
        self._tokenizer: PreTrainedTokenizerBase = load_tokenizer(folder)
        with quiet():
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        self._context = context_length(config.get_text_config(decoder=True))
        self._rows: int = config.get_text_config(decoder=True).vocab_size
        named = _generation(folder, config).eos_token_id
        self._stops = stop_ids(named, self._tokenizer, variant.model.name)
        make = getattr(backend_of(variant.spec.name), "make", None)
        if make is not None:
            # of the devices that this process sees, its first is the first
            first = replace(placement, device="cpu" if placement.device_type == "cpu" else "cuda:0")
            folder = make(variant.spec, folder, first, note)
            release_memory()
        self.audit = audit_headers(folder, variant.description, str(variant.spec))
        self._files = TemporaryDirectory(prefix="quantgate-vllm-")
        _link(folder, Path(self._files.name), where)
        options: dict[str, Any] = {}
        if schedule.max_rows is not None:
            options["max_num_seqs"] = schedule.max_rows
        if schedule.chunk is not None:
            options["max_num_batched_tokens"] = schedule.chunk
        try:
            with hushed():
                from vllm import EngineArgs, LLMEngine
                from vllm.usage.usage_lib import UsageContext

            self._engine: Any = LLMEngine.from_engine_args(
                EngineArgs(
                    model=self._files.name,
                    load_format="safetensors",
                    config_format="hf",
                    dtype=placement.compute_dtype,
                    tensor_parallel_size=len(members(placement.device)),
                    max_model_len=-1,  # the model's context, or as much of it as there is memory for
                    enable_prefix_caching=schedule.share_beginnings,
                    enforce_eager=placement.device_type == "cpu",  # compiling for a CPU takes longer than a gate
                    skip_tokenizer_init=True,
                    generation_config="vllm",  # no penalties, whatever the model's own file asks for
                    trust_remote_code=False,
                    use_tqdm_on_load=False,
                    disable_log_stats=True,
                    seed=SEED,
                    **options,
                ),
                usage_context=UsageContext.LLM_CLASS,  # which only settles how large batches are
            )
            self._room = min(self._context, int(self._engine.vllm_config.model_config.max_model_len))
        except Exception as error:  # vLLM and what it stands on raise anything
            raise ModelError(
                f"vLLM cannot load it: {message_of(error)}",
                where=where,
                hint="where memory is short, spread it: --quant-device cuda:0+cuda:1; where vLLM does not know such a "
                "model or such weights, leave out --quant-kernels vllm",
            ) from error

    def generate(
        self, requests: Sequence[Request], keep: Callable[[Mapping[str, Completion]], None], progress: Progress
    ) -> None:
        """Answer requests.

        Args:
            requests: What is asked, each once.
            keep: Called with answers as soon as they are finished, by digest.
            progress: Told how far it has come.

        Raises:
            ModelError: The model's files do not fit together, vLLM breaks off, or as for ``check_day``.
        """
        prompts, refused = tokenize(self._tokenizer, requests, self._context)
        check_day(self._variant)
        refuse_unknown_tokens(self._rows, prompts, self._variant.model.name)
        too_large = self._too_large(prompts)
        refused |= too_large
        if refused:
            keep(refused)
            progress.advance(len(refused), 0)
        fitting = [prompt for prompt in prompts if prompt.digest not in too_large]
        ordered = [prompt for group in in_groups(fitting) for prompt in group.prompts]
        if self._variant.schedule.reverse:
            ordered.reverse()
        open_ = {
            prompt.digest: _Open(prompt, sum(self._is_read(prompt, asked) for asked in prompt.asked))
            for prompt in ordered
        }
        for prompt in ordered:
            self._ask(prompt)
        told = monotonic()
        while self._engine.has_unfinished_requests():
            if monotonic() - told > _SECONDS:
                told = monotonic()
                progress.advance(0, 0)  # fails where nobody listens any more
            for output in self._step():
                digest, _, text = output.request_id.partition(_BEHIND)
                each = open_[digest]
                each.take(output, int(text) if text else None)
                if each.whole:
                    completion = self._completion(open_.pop(digest))
                    keep({digest: completion})
                    progress.advance(1, len(completion.token_ids))

    def close(self) -> None:
        """End vLLM and what it has started; nothing can be asked behind it."""
        self._engine.engine_core.shutdown()
        self._files.cleanup()

    def _too_large(self, prompts: Sequence[Prompt]) -> dict[str, Completion]:
        """By request digest, what stands for answers that the model could give and there is no memory for."""
        found: dict[str, Completion] = {}
        if self._room == self._context:
            return found
        for prompt in prompts:
            texts = (len(prompt.token_ids) + len(asked.token_ids) + 1 for asked in prompt.asked)
            longest = max([prompt.total, *texts])
            if longest > self._room:
                problem = (
                    f"prompt and answer may take {longest} tokens, and vLLM has memory for {self._room}: spread the "
                    "model over several devices, --quant-device cuda:0+cuda:1, or shorten the prompt"
                )
                decoded = Decoded(prompt, (), (), "unknown", problem=problem)
                found[prompt.digest] = decoded.completion(self._tokenizer)
        return found

    def _ask(self, prompt: Prompt) -> None:
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        common: dict[str, Any] = {
            "temperature": 0.0,
            "detokenize": False,
            "ignore_eos": True,  # what ends an answer is said here, and by the same rule as for every engine
            "output_kind": RequestOutputKind.FINAL_ONLY,
        }
        self._engine.add_request(
            prompt.digest,
            TokensPrompt(prompt_token_ids=list(prompt.token_ids)),
            SamplingParams(
                **common, max_tokens=prompt.max_new_tokens, logprobs=_MARGIN, stop_token_ids=sorted(self._stops)
            ),
        )
        for number, asked in enumerate(prompt.asked):
            if self._is_read(prompt, asked):
                self._engine.add_request(
                    f"{prompt.digest}{_BEHIND}{number}",
                    # its last token is predicted like the others: the token that is made behind it is not looked at
                    TokensPrompt(prompt_token_ids=[*prompt.token_ids, *asked.token_ids]),
                    SamplingParams(**common, max_tokens=1, prompt_logprobs=_TIES),
                )

    def _is_read(self, prompt: Prompt, asked: Asked) -> bool:
        return asked.problem is None and len(prompt.token_ids) + len(asked.token_ids) < self._room

    def _step(self) -> Sequence[Any]:
        try:
            found: Sequence[Any] = self._engine.step()
        except Exception as error:  # as above
            raise self._broken_off(message_of(error)) from error
        return found

    def _broken_off(self, why: str) -> ModelError:
        hint = "what was finished is kept, and the same command goes on from there"
        return ModelError(f"vLLM broke off: {why}", where=self._where, hint=hint)

    def _completion(self, found: _Open) -> Completion:
        answer = found.answer.outputs[0]
        token_ids, margins = list(answer.token_ids), _margins(answer)
        reason: FinishReason = "stop" if token_ids and token_ids[-1] in self._stops else "length"
        if reason == "stop":
            token_ids.pop()
        elif len(token_ids) != found.prompt.max_new_tokens:
            raise self._broken_off(
                f"it ended an answer after {counted(len(token_ids), 'token')}: {answer.finish_reason}"
            )
        # an infinite margin is no fault: no other token was possible
        valid = next((place for place, margin in enumerate(margins) if isnan(margin)), len(margins))
        if valid < len(margins):
            reason, token_ids = "invalid", token_ids[:valid]
        recalls = (
            _recall(asked, found.texts[number])
            if number in found.texts
            else Recall(asked.text, problem=asked.problem or _FILLS)
            for number, asked in enumerate(found.prompt.asked)
        )
        decoded = Decoded(found.prompt, tuple(token_ids), tuple(margins[: len(token_ids)]), reason, tuple(recalls))
        return decoded.completion(self._tokenizer)


_FILLS: Final = "with it, the prompt fills the model's context, and vLLM reads none that does"
_BEHIND: Final = "+"  # between a request's digest and the number of a text that is read behind it


def _link(folder: Path, into: Path, where: str) -> None:
    """Shows vLLM the files that the variant is known by, and no others.

    It would take other weights that lie beside them, such as ``consolidated.safetensors``, and a configuration that
    names another model.

    Raises:
        ModelError: The configuration does so.
    """
    if "speculators_config" in read_json(folder / CONFIG):
        raise ModelError("its config.json makes it the draft of another model", where=where, hint="name that model")
    weights = weight_files(folder)
    configs = [path for path in folder.glob("*.json") if path.name not in ("params.json", WEIGHTS_INDEX)]
    index = [folder / WEIGHTS_INDEX] if len(weights) > 1 else []
    for path in (*weights, *configs, *index):
        (into / path.name).symlink_to(path.resolve())


class _Open:
    """A prompt whose answer, or a text behind it, is still to come."""

    def __init__(self, prompt: Prompt, texts: int) -> None:
        self.prompt = prompt
        self.answer: Any = None
        self.texts: dict[int, Any] = {}
        self._wanted = texts

    def take(self, output: Any, text: int | None) -> None:
        """What came: the answer, or the text of that number."""
        if text is None:
            self.answer = output
        else:
            self.texts[text] = output.prompt_logprobs[len(self.prompt.token_ids) :]

    @property
    def whole(self) -> bool:
        """Whether everything came that was asked for."""
        return self.answer is not None and len(self.texts) == self._wanted


def _generation(folder: Any, config: Any) -> GenerationConfig:
    """As ``from_pretrained`` of a model has it."""
    try:
        return GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    except OSError:
        return GenerationConfig.from_model_config(config)


def _margins(answer: Any) -> list[float]:
    """For each token, its log-probability less the highest among the others."""
    margins = []
    for token, at in zip(answer.token_ids, answer.logprobs, strict=True):
        others = [each.logprob for other, each in at.items() if other != token]
        margins.append(round(float(at[token].logprob - max(others)), DIGITS))
    return margins


def _recall(asked: Asked, places: Sequence[Mapping[int, Any]]) -> Recall:
    """What the places of a text's tokens say of them; vLLM's ranks stand behind ties, as ours do."""
    own = [at[token] for token, at in zip(asked.token_ids, places, strict=True)]
    if not all(isfinite(each.logprob) for each in own):
        return Recall(asked.text, problem="the logits were not finite numbers")
    return Recall(
        text=asked.text,
        token_ids=asked.token_ids,
        ranks=tuple(each.rank for each in own),
        ties=tuple(
            sum(other.logprob == each.logprob for other in at.values()) - 1
            for each, at in zip(own, places, strict=True)
        ),
        log_probabilities=tuple(round(float(each.logprob), DIGITS) for each in own),
    )
