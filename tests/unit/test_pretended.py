"""The pretended device refuses what CUDA refuses, and allows what it allows."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_quantgate.generation.budget import CUDA_SHARE, key_value_budget
from pytest_quantgate.variants.memory import available_bytes
from tests.pretended import DEVICE, pretended

THERE = torch.device(DEVICE)


def there(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, device=DEVICE)


def put(index: Any, value: torch.Tensor) -> torch.Tensor:
    changed = there(3)
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    "mix",
    [
        lambda: there(3) + torch.ones(3),
        lambda: torch.ones(3) * there(3),
        lambda: torch.ones(3) + there(3)[0],
        lambda: torch.ones(3).add_(there(3)),
        lambda: torch.tensor(1.0).add_(there(3)[0]),
        lambda: torch.cat([there(3), torch.ones(3)]),
        lambda: torch.stack([there(3)[0], torch.tensor(1.0)]),
        lambda: functional.linear(there(2, 3), torch.ones(4, 3)),
        lambda: functional.embedding(torch.tensor([1]), there(5, 2)),
        lambda: functional.scaled_dot_product_attention(there(1, 1, 2, 4), there(1, 1, 2, 4), torch.ones(1, 1, 2, 4)),
        lambda: there(3).gather(0, torch.tensor([1])),
        lambda: there(3).index_select(0, torch.tensor([1])),
        lambda: there(3).masked_fill(torch.tensor([True, False, True]), 0),
        lambda: torch.where(there(3) > 0, there(3), torch.ones(3)),
        lambda: torch.ones(3)[torch.tensor([1], device=DEVICE)],
        lambda: put(torch.tensor([1]), torch.ones(1)),
        lambda: put([0, 2], torch.ones(2)),
        lambda: torch.equal(there(3), torch.ones(3)),
    ],
)
def test_tensors_of_both_devices_do_not_mix(mix: Callable[[], object]) -> None:
    with pretended(), pytest.raises(RuntimeError, match=f"at least two devices, {DEVICE} and cpu"):
        mix()


@pytest.mark.parametrize(
    "make",
    [
        lambda: there(3) + torch.tensor(2.0),
        lambda: there(3) * 2,
        lambda: there(3)[torch.tensor([0, 2])],
        lambda: there(3)[torch.tensor([True, False, True])],
        lambda: there(2, 3).max(dim=1).values,
        lambda: there(3).new_zeros(4),
        lambda: torch.zeros_like(there(3)),
        lambda: torch.as_tensor(torch.ones(3), device=DEVICE),
        lambda: torch.ones(3).to(DEVICE),
        lambda: torch.ones(3).to(THERE, torch.float16),
        lambda: torch.ones(3).to(there(2).half()),
        lambda: torch.ones(3).cuda(),
        lambda: there(2, 3).t()[1:] + 0,
        lambda: nn.Parameter(there(3)),
        lambda: nn.Parameter(there(3)).data,
        lambda: deepcopy(there(3)),
        lambda: torch.linalg.qr(there(3, 3)).Q,
        lambda: there(3).copy_(torch.zeros(3)),
        lambda: put([0, 2], there(2)),
        lambda: put(torch.tensor([1]), torch.tensor(2.0)),
        lambda: torch.arange(3, device=THERE).float(),
    ],
)
def test_what_is_made_of_tensors_there_is_there(make: Callable[[], torch.Tensor]) -> None:
    with pretended():
        made = make()
        assert (made.device, made.is_cuda, made.is_cpu) == (THERE, True, False)
        assert (made + there(1)).device == THERE
        with pytest.raises(TypeError, match="can't convert"):
            made.numpy()
        here = made.cpu()
        assert (here.device.type, here.is_cuda, here.tolist()) == ("cpu", False, made.tolist())
    assert made.device.type == "cpu"  # and no longer


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(3),
        lambda: torch.ones(3).to(torch.float16),
        lambda: there(3).to("cpu"),
        lambda: torch.zeros_like(there(3), device="cpu"),
        lambda: torch.as_tensor(there(3), device="cpu"),
        lambda: torch.zeros(3).copy_(there(3)),
        lambda: torch.ones(3)[there(1).long()[0]],
    ],
)
def test_what_is_of_the_cpu_stays_there(make: Callable[[], torch.Tensor]) -> None:
    with pretended():
        made = make()
        assert made.device.type == "cpu"
        assert (made + torch.ones(1)).device.type == "cpu"


def test_slices_are_copied_into_from_either_device() -> None:
    with pretended():
        far, near = torch.zeros(3, device=DEVICE), torch.zeros(3)
        far[1:] = torch.ones(2)
        near[:2] = far[1:]
        assert (far.tolist(), near.tolist()) == ([0, 1, 1], [1, 1, 0])
        assert (far.device, near.device.type) == (THERE, "cpu")


def test_a_copy_is_one_and_is_counted_by_where_it_came_from() -> None:
    with pretended() as device:
        near = torch.ones(3)
        pageable, pinned = near.to(DEVICE), near.pin_memory().to(DEVICE, non_blocking=True)
        near.zero_()
        assert (pageable.tolist(), pinned.tolist(), near.pin_memory().is_pinned()) == ([1] * 3, [1] * 3, True)
        assert pinned.to(DEVICE) is pinned
        pinned.cpu().zero_()
        assert pinned.tolist() == [1] * 3
        assert device.transfers == {"pageable": 1, "pinned": 1, "back": 1}


def test_what_cannot_be_pinned_is_not() -> None:
    with pretended():
        with pytest.raises(RuntimeError, match="more than one element"):
            torch.ones(1, 3).expand(2, -1).pin_memory()
        with pytest.raises(RuntimeError, match="only dense CPU tensors"):
            there(3).pin_memory()


def test_numbers_are_drawn_there_by_generators_of_the_device_only() -> None:
    with pretended(), pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator"):
        torch.randn(3, device=DEVICE, generator=torch.Generator())


def test_a_model_lies_there_and_gradients_are_there() -> None:
    model = nn.Linear(3, 2)
    seen: list[str] = []

    def hook(gradient: torch.Tensor) -> None:
        seen.append(str((gradient @ model.weight).device))
        with pytest.raises(RuntimeError, match="at least two devices"):
            gradient + torch.ones(2)

    with pretended(model):
        assert {each.device for each in model.parameters()} == {THERE}
        with pytest.raises(RuntimeError, match="at least two devices"):
            model(torch.ones(1, 3))
        output = model(there(1, 3).requires_grad_())
        output.register_hook(hook)
        torch.autograd.backward(output.sum())
        assert model.weight.grad is not None
        assert model.weight.grad.device == THERE
    assert seen == [DEVICE]
    assert model.weight.device.type == "cpu"


def test_memory_that_is_freed_and_taken_again_is_not_mistaken() -> None:
    with pretended():
        for _ in range(6_000):
            torch.empty(16, device=DEVICE)
            assert torch.empty(16).device.type == "cpu"


def test_its_memory_is_what_it_says() -> None:
    with pretended(free=1000):
        assert available_bytes(DEVICE) == 1000
        assert key_value_budget(DEVICE) == int(1000 * CUDA_SHARE)
