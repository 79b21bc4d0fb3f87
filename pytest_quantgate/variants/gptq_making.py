"""Makes a GPTQ checkpoint out of a plain one. Imports torch: call it through ``gptq``.

Layers are rounded in the model's order, and what the rounded layers of one block give out is what the next block is
calibrated with (section 4 of the paper, see ``gptq_solver``). The model is held in half precision; the block at hand,
the text's activations and all arithmetic are float32.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import CHAT_TEMPLATE, TOKENIZER_FILES
from pytest_quantgate.variants.gptq_calibration import LENGTH, SOURCE, Message, sequences, sequences_for
from pytest_quantgate.variants.gptq_solver import DAMPING, Hessian, Solution, solve
from pytest_quantgate.variants.loading import load_pretrained, load_tokenizer, quiet
from pytest_quantgate.variants.modules import check_skips, covers
from pytest_quantgate.variants.packed import pack_gptq
from pytest_quantgate.variants.packed_loading import PackedLinear, Packing
from pytest_quantgate.variants.source import message_of

_BATCH = 4  # sequences at a time: enough for matrix products, few enough for attention's memory
_NOTES = 10  # lines that tell how far it has come
_LAYERS = "its decoder layers cannot be calibrated one by one"
_OTHER = "use rtn:, nf4 or quanto:, which need no calibration, or a checkpoint that was made elsewhere (stored@FOLDER)"

Inputs = list[torch.Tensor]
"""What a block is given: hidden states of each batch, ``(sequences, length, width)``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make.

    Attributes:
        bits: 2, 3, 4 or 8.
        group: Inputs that share a scale.
        skips: Names of modules that stay as they are.
        device: Where to compute.
        note: Told how far it has come.
    """

    bits: int
    group: int
    skips: Sequence[str]
    device: str
    note: Callable[[str], None]


@torch.no_grad()
def make(source: Path, target: Path, plan: Plan) -> None:
    """Writes a GPTQ checkpoint (``format`` ``gptq``, symmetric, groups in order) of a model.

    Args:
        source: A plain checkpoint folder that ``check_folder`` accepted.
        target: An existing, empty folder.
        plan: What to make.

    Raises:
        SpecError: A skipped module that the model does not have.
        ModelError: The model does not load, or is not one that this can quantize.
        OSError: The folder cannot be written.
    """
    model = load_pretrained(source, dtype=torch.float16, device=plan.device)
    check_skips(plan.skips, [name for name, _ in model.named_modules()], f"gptq:{plan.bits}bit-g{plan.group}")
    prefix, blocks = _blocks_of(model, source)
    hidden, given = _first_inputs(model, blocks, _batches(model, source, plan.device), source)
    left: list[str] = []
    last = max((place for place, each in enumerate(blocks) if _chosen(each, f"{prefix}.{place}", plan)), default=0)
    for place, block in enumerate(blocks):
        block.float()
        name = f"{prefix}.{place}"
        try:
            left += _quantize_block(block, name, hidden, given[place], plan)
        except ValueError as error:
            raise ModelError(f"{name}: {error}", where=str(source), hint=_OTHER) from error
        if place < last:  # behind it nothing is calibrated
            for batch in hidden:
                batch.copy_(_run(block, batch, given[place]))
        block.half()
        if (place + 1) * _NOTES // len(blocks) > place * _NOTES // len(blocks):
            plan.note(f"gptq:{plan.bits}bit-g{plan.group}: {place + 1} of {len(blocks)} layers are quantized")
    _write(model, source, target, plan, left)


def _blocks_of(model: PreTrainedModel, source: Path) -> tuple[str, nn.ModuleList]:
    """The decoder layers, and their name."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and any(module is each for each in decoder.modules()):
            return name, module
    raise ModelError(_LAYERS, where=str(source), hint=_OTHER)


def _batches(model: PreTrainedModel, source: Path, device: str) -> list[torch.Tensor]:
    """The calibration text in tokens, ``(sequences, length)`` each."""
    tokenizer = load_tokenizer(source)
    context = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", LENGTH)
    length = min(LENGTH, context)
    widest = max((each.in_features for each in model.modules() if isinstance(each, nn.Linear)), default=1)
    count = sequences_for(widest, length)
    rows = torch.tensor(sequences(lambda chat: _encode(tokenizer, chat), length, count), device=device)
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def _encode(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Message]) -> list[int]:
    """The tokens of a chat; for a model without a chat template those of its texts, a blank line between them."""
    plain: Any = tokenizer
    if tokenizer.chat_template:
        try:
            text = plain.apply_chat_template([dict(message) for message in chat], tokenize=False)
        except Exception as error:  # templates are the model's own programs and raise what they like
            raise ModelError(
                f"its chat template fails at the text that GPTQ is calibrated with: {message_of(error)}", hint=_OTHER
            ) from error
        return list(plain(text, add_special_tokens=False)["input_ids"])
    return list(plain("\n\n".join(message["content"] for message in chat))["input_ids"])


class _StopError(Exception):
    """Ends a pass over the model where nothing further is needed."""


def _first_inputs(
    model: PreTrainedModel, blocks: nn.ModuleList, batches: list[torch.Tensor], source: Path
) -> tuple[Inputs, list[dict[str, Any]]]:
    """What the first block is given for each batch, and what every block is given beside it (positions, masks).

    Raises:
        ModelError: That depends on the text, as in models whose layers read the tokens themselves.
    """
    runs: list[list[dict[str, Any]]] = []
    for batch in batches[:2]:
        kept: list[dict[str, Any]] = []
        hooks = [
            block.register_forward_pre_hook(
                lambda _, args, kwargs, kept=kept: kept.append({**kwargs, "_args": args[1:]}), with_kwargs=True
            )
            for block in blocks
        ]
        _forward(model, batch[:1])
        for hook in hooks:
            hook.remove()
        runs.append([{key: value for key, value in each.items() if key != "hidden_states"} for each in kept])
    if len(runs[0]) != len(blocks) or not all(
        _same(first, other) for first, other in zip(runs[0], runs[-1], strict=True)
    ):
        raise ModelError(_LAYERS, where=str(source), hint=_OTHER)
    hidden: Inputs = []

    def stop(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden.append((args[0] if args else kwargs["hidden_states"]).float())
        raise _StopError

    hook = blocks[0].register_forward_pre_hook(stop, with_kwargs=True)
    for batch in batches:
        _forward(model, batch)
    hook.remove()
    return hidden, [{key: _float(value) for key, value in each.items()} for each in runs[0]]


def _forward(model: PreTrainedModel, batch: torch.Tensor) -> None:
    run: Any = model.get_decoder()  # type: ignore[no-untyped-call]
    with suppress(_StopError):
        run(input_ids=batch, use_cache=False)


def _same(one: Any, other: Any) -> bool:
    """Whether two calls were given the same."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and not isinstance(one, torch.Tensor)


def _float(value: Any) -> Any:
    """The same in float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, tuple):
        return tuple(map(_float, value))
    return value


def _run(block: nn.Module, hidden: torch.Tensor, given: dict[str, Any]) -> torch.Tensor:
    """What a block gives out."""
    kwargs = {key: value for key, value in given.items() if key != "_args"}
    found = block(hidden, *given["_args"], **kwargs)
    output: torch.Tensor = found[0] if isinstance(found, tuple) else found
    return output


def _quantize_block(block: nn.Module, prefix: str, hidden: Inputs, given: dict[str, Any], plan: Plan) -> list[str]:
    """Puts packed layers in the place of a block's linear ones, and gives the names of those that stay.

    All are calibrated by one pass over the block as it is.

    Raises:
        ValueError: A layer cannot be solved, or does not fill whole words.
    """
    linear, chosen = _linear(block), _chosen(block, prefix, plan)
    for names, hessian in _second_moments(block, chosen, hidden, given) if chosen else ():
        rows = torch.cat([chosen[name].weight for name in names])
        solution = solve(rows, hessian, plan.bits, plan.group)
        start = 0
        for name in names:
            end = start + chosen[name].out_features
            block.set_submodule(name, _pack(chosen[name], solution, slice(start, end), plan.bits))
            start = end
    return [f"{prefix}.{name}" for name in linear.keys() - chosen.keys()]


def _linear(block: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}


def _chosen(block: nn.Module, prefix: str, plan: Plan) -> dict[str, nn.Linear]:
    """The linear layers of a block that are to be quantized."""
    return {
        name: module
        for name, module in _linear(block).items()
        if not any(covers(skip, f"{prefix}.{name}") for skip in plan.skips)
    }


def _second_moments(
    block: nn.Module, layers: dict[str, nn.Linear], hidden: Inputs, given: dict[str, Any]
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Layers that read the same, with the Hessian of what they read."""
    found: list[tuple[list[str], Hessian, list[torch.Tensor]]] = []

    def listen(name: str) -> Callable[..., None]:
        def heard(_module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            for names, hessian, last in found:
                if last and last[0] is args[0]:
                    if name not in names:
                        names.append(name)
                    return
                if name == names[0]:
                    hessian.add(args[0])
                    last[:] = args[:1]
                    return
            hessian = Hessian(args[0].shape[-1], args[0].device)
            hessian.add(args[0])
            found.append(([name], hessian, [args[0]]))

        return heard

    hooks = [module.register_forward_pre_hook(listen(name)) for name, module in layers.items()]
    for batch in hidden:
        _run(block, batch, given)
    for hook in hooks:
        hook.remove()
    for names, hessian, _ in found:
        yield names, hessian.mean


def _pack(linear: nn.Linear, solution: Solution, rows: slice, bits: int) -> PackedLinear:
    """A layer that holds some outputs of a solution."""
    levels, scales = solution.levels[rows], solution.scales[rows]
    packing = Packing("gptq", bits)
    zeros = torch.full_like(scales, solution.zero)
    qweight, qzeros = pack_gptq(levels, zeros, bits, zero_offset=packing.zero_offset)
    packed = PackedLinear(linear, packing, scales.shape[1], ordered=True)
    packed.load_state_dict(
        {
            "qweight": qweight,
            "qzeros": qzeros,
            "scales": scales.T.contiguous(),
            "g_idx": (torch.arange(levels.shape[1]) // solution.group).int(),
            **({} if linear.bias is None else {"bias": linear.bias}),
        }
    )
    return packed


def _write(model: PreTrainedModel, source: Path, target: Path, plan: Plan, left: Sequence[str]) -> None:
    """The checkpoint as optimum and gptqmodel write it; which layers stay is told as gptqmodel and vLLM read it."""
    config: Any = model.config
    config.quantization_config = {
        "quant_method": "gptq",
        "checkpoint_format": "gptq",
        "format": "gptq",
        "bits": plan.bits,
        "group_size": plan.group,
        "sym": True,
        "desc_act": False,
        "act_group_aware": False,
        "true_sequential": False,
        "damp_percent": DAMPING,
        "lm_head": False,
        # as "dataset" transformers would take three names only
        "meta": {"quantizer": ["pytest-quantgate"], "dataset": SOURCE},
        **({"dynamic": {f"-:^{re.escape(name)}$": {} for name in sorted(left)}} if left else {}),
    }
    with quiet():
        model.save_pretrained(target)
    for name in (*TOKENIZER_FILES, CHAT_TEMPLATE):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
