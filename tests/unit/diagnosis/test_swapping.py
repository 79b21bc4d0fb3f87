from __future__ import annotations

import pytest
from torch import nn

from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.errors import ModelError


def network() -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Linear(3, 2))


def modules(model: nn.Module) -> dict[str, int]:
    return {name: id(module) for name, module in model.named_modules() if name}


def test_two_models_have_each_others_modules_meanwhile() -> None:
    model, donor = network(), network()
    ours, theirs = modules(model), modules(donor)
    with swapped(model, donor, ["0.0"]):
        assert modules(model) == ours | {"0.0": theirs["0.0"]}
        assert modules(donor) == theirs | {"0.0": ours["0.0"]}
    assert (modules(model), modules(donor)) == (ours, theirs)


def test_a_module_that_lies_in_another_goes_with_it() -> None:
    model, donor = network(), network()
    ours, theirs = modules(model), modules(donor)
    with swapped(model, donor, ["0.0", "0", "0.0"]):
        assert modules(model) == theirs | {"1": ours["1"]}
        assert modules(donor) == ours | {"1": theirs["1"]}
    assert (modules(model), modules(donor)) == (ours, theirs)


def test_everything_is_put_back_after_an_error() -> None:
    model, donor = network(), network()
    ours, theirs = modules(model), modules(donor)
    with pytest.raises(RuntimeError, match="in the middle"), swapped(model, donor, ["0.0", "1"]):
        raise RuntimeError("in the middle")
    assert (modules(model), modules(donor)) == (ours, theirs)


def test_everything_is_put_back_when_an_exchange_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model, donor = network(), network()
    ours, theirs = modules(model), modules(donor)
    exchange = nn.Module.set_submodule
    failed: list[str] = []

    def fail_once(self: nn.Module, target: str, module: nn.Module) -> None:
        if self is donor and target == "1" and not failed:
            failed.append(target)
            raise RuntimeError("out of memory")
        exchange(self, target, module)

    monkeypatch.setattr(nn.Module, "set_submodule", fail_once)
    with pytest.raises(RuntimeError, match="out of memory"), swapped(model, donor, ["0.0", "1"]):
        pytest.fail("it went on")
    assert failed
    assert (modules(model), modules(donor)) == (ours, theirs)


def test_an_unknown_name_is_an_error_and_exchanges_nothing() -> None:
    model, donor = network(), nn.Sequential(nn.Sequential(nn.Linear(2, 3)))
    ours, theirs = modules(model), modules(donor)
    with pytest.raises(ModelError, match="there is no module '1' to exchange"), swapped(model, donor, ["0.0", "1"]):
        pytest.fail("it went on")
    assert (modules(model), modules(donor)) == (ours, theirs)
