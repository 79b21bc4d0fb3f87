"""One decoding step of common decoders on a CPU, with little around the linear layers. Imports torch: import to load.

transformers' own forward is right for every architecture, and at one token a row it spends most of its time around the
linear layers: on columns that are padding, on many small operations, and on laying out weights anew for every product.
For a few architectures whose arithmetic is plain this module does the same with less:

- activations lie as ``(features, rows)``, so that weights are the left factor of each product and are read as they lie;
- projections of the same input are one product; rotary angles are applied to queries and keys together;
- attention goes over runs of rows of about the same length, each as wide as its longest row.

Everything else is left to the model's forward, and the first step of a run is done both ways and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from pytest_quantgate.generation.linear import product
from pytest_quantgate.variants.memory import is_out_of_memory, release_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantgate.generation.slots import SlotLayer, SlotPool

# Decoders of rotary attention, RMS norms and a gated MLP without further terms; some of them norm queries and keys.
_KNOWN = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
_PRODUCTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head")
_STRETCH = 64
_FOURS = 4
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.05}


@dataclass(frozen=True, slots=True)
class _Linear:
    """A product with weights, for activations of ``(features, rows)``."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def of(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.bias is None:
            return product(self.weight, inputs)
        return product(self.weight, inputs).add_(self.bias)

    def added_to(self, residual: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return self.of(inputs).add_(residual)


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one decoder layer computes with; norms are the modules' weights."""

    before: torch.Tensor
    qkv: _Linear
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    out: _Linear
    after: torch.Tensor
    gate_up: _Linear
    activation: Callable[[torch.Tensor], torch.Tensor]
    down: _Linear
    scaling: float


class ShortStep:
    """One decoding step of a model that `short_step` found to be of a known kind.

    Args:
        model: The model. Weights that are read together are laid side by side; its modules then hold views of them.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        decoder: Any = model.model
        self._decoder = decoder
        self._layers = [_layer(each) for each in decoder.layers]
        self._final = decoder.norm.weight[:, None]
        self._head = _joined([model.lm_head])
        self._epsilon = float(decoder.norm.variance_epsilon)
        self._width = int(decoder.layers[0].self_attn.head_dim)

    def logits(self, token_ids: torch.Tensor, pool: SlotPool) -> torch.Tensor:
        """Write the tokens' keys and values under the pool's cursor, and give the logits behind them.

        Args:
            token_ids: The last token of each active row.
            pool: Keys and values.

        Returns:
            Logits, ``(rows, vocabulary)``.
        """
        rows = len(token_ids)
        starts = torch.tensor(pool.starts)
        hidden = functional.embedding(token_ids, self._decoder.embed_tokens.weight)
        cos, sin = self._decoder.rotary_emb(hidden, (pool.cursor - starts)[:, None])
        # The two halves of a head turn into each other: the second comes in with a minus sign.
        sin = torch.cat((-sin[..., : self._width // 2], sin[..., self._width // 2 :]), dim=-1)
        runs = [(rows_, window, _mask(starts[rows_], window, pool.cursor, hidden)) for rows_, window in pool.runs()]
        hidden = hidden.t().contiguous()
        for index, layer in enumerate(self._layers):
            turned = layer.qkv.of(self._norm(hidden, layer.before))
            heads = turned.view(-1, self._width, rows).permute(2, 0, 1).contiguous()
            memory = pool.layer(index)
            kv_heads = memory.keys.shape[1]
            queries_keys, values = heads[:, :-kv_heads], heads[:, -kv_heads:]
            if layer.query_norm is not None and layer.key_norm is not None:
                queries_keys = torch.cat(
                    (
                        self._norm(queries_keys[:, :-kv_heads], layer.query_norm, -1),
                        self._norm(queries_keys[:, -kv_heads:], layer.key_norm, -1),
                    ),
                    dim=1,
                )
            queries_keys = torch.addcmul(queries_keys * cos, queries_keys.roll(self._width // 2, -1), sin)
            memory.write(queries_keys[:, -kv_heads:, None], values[:, :, None])
            read = _attention(queries_keys[:, :-kv_heads], memory, runs, pool.cursor, layer.scaling)
            hidden = layer.out.added_to(hidden, read.t())
            gate, up = layer.gate_up.of(self._norm(hidden, layer.after)).chunk(2)
            hidden = layer.down.added_to(hidden, layer.activation(gate).mul_(up))
        return self._head.of(self._norm(hidden, self._final)).t()

    def _norm(self, inputs: torch.Tensor, weight: torch.Tensor, dim: int = 0) -> torch.Tensor:
        exact = inputs.to(torch.float32, copy=True)
        scale = (exact * exact).sum(dim, keepdim=True).div_(exact.shape[dim]).add_(self._epsilon).rsqrt_()
        return exact.mul_(scale).to(inputs.dtype).mul_(weight)


def short_step(model: PreTrainedModel) -> ShortStep | None:
    """The short way for a model; None where only its own forward is known to be right, or where it cannot be made.

    That is on a GPU, where products do not lay out weights anew, for other architectures, for modules that are not
    plain (quantized, adapted, hooked), for sliding windows, and for attention that was chosen on purpose. It cannot be
    made where another version of transformers names the parts of a module otherwise, or memory runs out.
    """
    try:
        return ShortStep(model) if _is_known(model) else None
    except Exception as error:  # noqa: BLE001  (as above; what was joined by then is as right as before)
        error.__traceback__ = None  # it holds what was being joined
        ran_out = is_out_of_memory(error)
    if ran_out:
        release_memory()
    return None


def agrees(short: torch.Tensor, whole: torch.Tensor) -> bool:
    """Whether logits of the short way are those of the model's own forward, but for rounding."""
    if short.shape != whole.shape:
        return False
    bound = _TOLERANCE.get(whole.dtype, 0.0) * whole.float().norm()
    return bool((short.float() - whole.float()).norm() <= bound)  # never for what is not a number


def top_two(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The most probable token of each row, its logit, and the runner-up's; of equal ones the first, as argmax has it.

    Stretches of the vocabulary are compared first: looking for two in all of it takes ten times as long.

    Args:
        logits: ``(rows, vocabulary)``, in either memory order.
    """
    stretches = logits.shape[1] // _STRETCH
    if stretches < 2:  # noqa: PLR2004  (one may hold the best token, another the runner-up)
        return _two_of(logits)
    whole = stretches * _STRETCH
    if logits.stride(0) == 1:
        best = logits[:, :whole].t().view(stretches, _STRETCH, -1).amax(1).t()
    else:
        best = logits[:, :whole].reshape(-1, stretches, _STRETCH).amax(2)
    first = best.argmax(-1, keepdim=True)
    second = best.scatter(1, first, float("-inf")).argmax(-1, keepdim=True)
    inside = torch.arange(_STRETCH, device=logits.device)
    rest = torch.arange(whole, logits.shape[1], device=logits.device).expand(len(logits), -1)
    places = torch.cat((first * _STRETCH + inside, second * _STRETCH + inside, rest), dim=1)
    at, top, next_best = _two_of(logits.gather(1, places))
    return places.gather(1, at[:, None])[:, 0], top, next_best


def _two_of(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    top, at = logits.float().max(-1)
    others = logits.float().scatter(1, at[:, None], float("-inf"))
    return at, top, others.amax(-1)


def _is_known(model: PreTrainedModel) -> bool:
    config = model.config
    kinds = getattr(config, "layer_types", None) or ("full_attention",)
    return (
        type(model).__name__ in _KNOWN
        and type(model).__module__.startswith("transformers.models.")
        and model.device.type == "cpu"
        and config._attn_implementation == "sdpa"  # noqa: SLF001  (there is no other place where it is told)
        and set(kinds) == {"full_attention"}
        and not (getattr(config, "sliding_window", None) and not getattr(config, "layer_types", None))
        and all(_is_plain(name, module) for name, module in model.named_modules())
        and len({parameter.dtype for parameter in model.parameters()}) == 1
    )


def _is_plain(name: str, module: nn.Module) -> bool:
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):  # noqa: SLF001
        return False
    if name.rpartition(".")[2] not in _PRODUCTS:
        return type(module).__module__.startswith(("torch.nn.modules.", "transformers."))
    # Some quantizers keep the module's type and put a tensor of their own into it.
    return type(module) is nn.Linear and type(module.weight.data) is torch.Tensor


def _layer(module: Any) -> _Layer:
    attention, mlp = module.self_attn, module.mlp
    return _Layer(
        before=module.input_layernorm.weight[:, None],
        qkv=_joined([attention.q_proj, attention.k_proj, attention.v_proj]),
        query_norm=attention.q_norm.weight if hasattr(attention, "q_norm") else None,
        key_norm=attention.k_norm.weight if hasattr(attention, "k_norm") else None,
        out=_joined([attention.o_proj]),
        after=module.post_attention_layernorm.weight[:, None],
        gate_up=_joined([mlp.gate_proj, mlp.up_proj]),
        activation=mlp.act_fn,
        down=_joined([mlp.down_proj]),
        scaling=float(attention.scaling),
    )


def _joined(modules: Sequence[nn.Linear]) -> _Linear:
    """Layers of the same input as one; each then holds its part of the joined weights, so nothing is held twice."""
    weights = [module.weight.data for module in modules]
    weight = _lying_together(weights)
    if weight is None:
        weight = torch.cat(weights)
        first = 0
        for module in modules:
            module.weight.data = weight[first : first + module.out_features]
            first += module.out_features
    biases = [module.bias.data for module in modules if module.bias is not None]
    return _Linear(weight, torch.cat(biases)[:, None] if biases else None)


def _lying_together(weights: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Weights that were joined before, as for an earlier turn of a chat, as one; None when they were not."""
    first, place = weights[0], weights[0].storage_offset()
    for weight in weights:
        same = weight.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not (same and weight.is_contiguous() and weight.storage_offset() == place):
            return None
        place += weight.numel()
    return first.as_strided((sum(len(weight) for weight in weights), first.shape[1]), first.stride())


def _mask(starts: torch.Tensor, window: int, cursor: int, like: torch.Tensor) -> torch.Tensor | None:
    """What keeps a run's shorter rows from columns before their start, to be added; None when all are as long."""
    if bool((starts == window).all()):
        return None
    hidden = torch.arange(window, cursor + 1) < starts[:, None]
    return like.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))[:, None, None]


def _attention(
    queries: torch.Tensor,
    memory: SlotLayer,
    runs: Sequence[tuple[slice, int, torch.Tensor | None]],
    cursor: int,
    scaling: float,
) -> torch.Tensor:
    """What each row reads: ``(rows, heads * width)`` of queries ``(rows, heads, width)``."""
    rows, heads, width = queries.shape
    kv_heads = memory.keys.shape[1]
    # Queries that share keys are one product, in half precision too: several times quicker there than one for each.
    together = heads // kv_heads
    queries = queries.reshape(rows, kv_heads, together, width)
    if queries.dtype != torch.float32:  # and quickest by fours; what is filled up reads, and nobody asks what
        queries = torch.cat((queries, queries[:, :, :1].expand(-1, -1, -together % _FOURS, -1)), dim=2)
    # A view takes microseconds, and there are several for each run and layer: so as few as can be.
    sizes = [run.stop - run.start for run, _, _ in runs]
    keys, values = (torch.split(each[:rows], sizes) for each in (memory.keys, memory.values))
    read = [
        functional.scaled_dot_product_attention(
            asking,
            key.narrow(2, window, cursor + 1 - window),
            value.narrow(2, window, cursor + 1 - window),
            attn_mask=mask,
            scale=scaling,
        )[:, :, :together]
        for asking, key, value, (_, window, mask) in zip(torch.split(queries, sizes), keys, values, runs, strict=True)
    ]
    return torch.cat(read).reshape(rows, heads * width)
