"""Linear layers by oneDNN: the same numbers but for rounding, and only where it has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_quantgate.generation import linear
from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.generation.linear import product
from tests.unit.generation.test_step import BUILDERS, build

IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    """Whether there is oneDNN is found out once a process; here tests change that."""
    linear.has_onednn.cache_clear()
    yield
    linear.has_onednn.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(("features", "rows"), [((64, 48), 1), ((64, 48), 7), ((3, 1), 2), ((200, 96), 130)])
@torch.inference_mode()
def test_a_product_is_that_of_torch(dtype: torch.dtype, features: tuple[int, int], rows: int) -> None:
    weight, inputs = torch.randn(features, dtype=dtype), torch.randn(features[1], rows, dtype=dtype)
    torch.testing.assert_close(product(weight, inputs), torch.mm(weight, inputs))


@torch.inference_mode()
def test_weights_that_are_part_of_others_and_weights_that_lie_across_are_multiplied_rightly() -> None:
    joined, inputs = torch.randn(30, 20), torch.randn(20, 5)
    for weight in (joined[10:25], joined.t().contiguous().t(), torch.randn(30, 40)[:, 10:30]):
        torch.testing.assert_close(product(weight, inputs), torch.mm(weight, inputs))


@torch.inference_mode()
def test_no_rows_give_no_columns() -> None:
    assert product(torch.randn(4, 3), torch.randn(3, 0)).shape == (4, 0)
    assert product(torch.randn(0, 3), torch.randn(3, 2)).shape == (0, 2)


@pytest.mark.parametrize("name", BUILDERS)
@torch.inference_mode()
def test_logits_are_those_of_the_model(name: str) -> None:
    model = build(name)
    torch.testing.assert_close(logits_of(model, input_ids=IDS), model(input_ids=IDS).logits)


@torch.inference_mode()
def test_in_float32_the_linear_layers_of_a_forward_pass_are_onednns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert linear.has_onednn()
    seen = set()
    multiply = linear.by_onednn

    def seeing(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.add(id(weight))
        return multiply(inputs, weight, bias)

    monkeypatch.setattr(linear, "by_onednn", seeing)
    model = build("Qwen2")
    logits_of(model, input_ids=IDS)
    assert seen == {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}


def test_gradients_flow_where_they_are_asked_for() -> None:
    model = build("Llama with biases")
    head = model.lm_head.weight.requires_grad_()
    torch.autograd.backward(logits_of(model, input_ids=IDS).sum())
    assert head.grad is not None
    assert head.grad.abs().sum() > 0


class Halved(nn.Parameter):
    """Weights of a kind of their own, as quantizers have them: what is stored is not what is meant."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear:
            return nn.functional.linear(args[0], args[1].as_subclass(torch.Tensor) / 2, *args[2:])
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


@torch.inference_mode()
def test_weights_of_another_kind_stay_with_their_own_arithmetic() -> None:
    model = build("Llama with biases")
    whole = logits_of(model, input_ids=IDS)
    model.lm_head.weight = Halved(model.lm_head.weight.data, requires_grad=False)
    torch.testing.assert_close(logits_of(model, input_ids=IDS), whole / 2)


@pytest.mark.parametrize("broken", ["gone", "of another meaning", "of other arguments"])
@torch.inference_mode()
def test_where_the_operator_is_not_what_it_was_torch_multiplies_as_ever(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> torch.Tensor:
        raise {"gone": AttributeError, "of other arguments": TypeError}[broken]("no such operator")

    def wrong(inputs: torch.Tensor, weight: torch.Tensor, _bias: object) -> torch.Tensor:
        return inputs.new_zeros(*inputs.shape[:-1], len(weight))

    monkeypatch.setattr(linear, "by_onednn", wrong if broken == "of another meaning" else absent)
    model = build("Mistral")
    assert torch.equal(logits_of(model, input_ids=IDS), model(input_ids=IDS).logits)
    weight, inputs = torch.randn(64, 48), torch.randn(48, 3)
    assert torch.equal(product(weight, inputs), torch.mm(weight, inputs))
