"""A device that is not the CPU, pretended on one: tensors must be brought there, and mix with no others.

Every tensor lies in ordinary memory; which of them are pretended to be on ``cuda:0`` is known by their storages, so
that views, parameters and what autograd keeps are where the memory is that they share. A mode sees each call of torch
from Python: it answers what a tensor's device is, refuses to mix as CUDA does, and notes where results are.

What it cannot show: that kernels exist and what they compute (numbers are the CPU's, in its arithmetic); memory that
runs out, or is read before a copy to it is through; what happens inside one call of torch, in code of C++, in Triton or
under torch.compile. Of what hooks see of a backward pass only tensors that their own calls made are known to be on the
CPU: autograd makes gradients out of sight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

DEVICE: Final = "cuda:0"
_TYPE: Final = "cuda"
_GIB: Final = 1 << 30
_AUTOGRAD, _ENGINE = torch.autograd, "_engine_run_backward"
_WEAK: Any = StorageWeakRef  # it carries no types


@contextmanager
def pretended(*models: nn.Module, free: int = _GIB) -> Iterator[Pretended]:
    """A device, while this lasts.

    Args:
        models: Lie on it, as if they had been loaded there; what they are made of is not copied.
        free: Bytes that it says are free.
    """
    mode = Pretended(models)

    def figures(device: object) -> tuple[int, int]:
        assert torch.device(str(device)) == torch.device(DEVICE)
        return free, free

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "mem_get_info", figures)
        patch.setattr(torch.cuda, "memory_reserved", lambda _: 0)
        patch.setattr(torch.cuda, "memory_allocated", lambda _: 0)
        patch.setattr(_AUTOGRAD, _ENGINE, mode.through(getattr(_AUTOGRAD, _ENGINE)))
        with mode:
            yield mode


class Pretended(TorchFunctionMode):
    """Sees every call of torch.

    Args:
        models: Lie on the device from the beginning.

    Attributes:
        transfers: How many tensors were copied: to the device from ``pinned`` or ``pageable`` memory, and ``back``.
    """

    def __init__(self, models: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.transfers: Counter[str] = Counter()
        self._there = _Storages()
        self._pinned = _Storages()
        self._here: _Storages | None = None  # made by calls in hooks of the backward pass that runs
        for model in models:
            for tensor in (*model.parameters(), *model.buffers()):
                self._there.add(tensor)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what is asked, as the device would."""
        name, named = getattr(func, "__name__", ""), dict(kwargs or {})
        if name == "__get__":
            return self._attribute(func, args[0])
        if name == "__set__":  # of ``data``, which brings its memory along; all else says nothing of devices
            return func(*args)
        if name in {"to", "cpu", "cuda"}:
            return self._moved(name, func, args, named)
        if name in {"pin_memory", "is_pinned"}:
            return self._in_pinned_memory(name, args[0])
        if name in {"numpy", "__array__"} and self._is_there(args[0]):
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first")
        given = args[:1] if name == "__deepcopy__" else (args, named)
        tensors = [each for each in tree_leaves(given) if isinstance(each, torch.Tensor)]
        self._refuse_mixed(name, args, tensors)
        there = any(map(self._is_there, tensors))
        if (told := named.get("device")) is None:
            result = func(*args, **named)
            if there and name != "copy_" and args and result is args[0] and not self._is_there(result):
                _refuse(name)  # written in place, into a number of the CPU
        else:
            there = _means_it(told)
            if there and named.get("generator") is not None:
                raise RuntimeError(f"Expected a '{_TYPE}' device type for generator but found 'cpu'")
            result = func(*args, **named | {"device": _ordinary(told)})
            if result in _Storages(tensors) and self._is_there(result) != there:  # as_tensor gives what it was given
                result = result.clone()
        self._note(result, tensors, there=there)
        return result

    def through(self, engine: Callable[..., Any]) -> Callable[..., Any]:
        """What runs a backward pass: no call of torch is seen to make its gradients, and hooks are seen as all else."""

        def run(*args: Any, **named: Any) -> Any:
            self._here = _Storages()
            try:
                with self:  # torch has put it aside for the call that runs the engine
                    return engine(*args, **named)
            finally:
                self._here = None

        return run

    def _means(self, told: Any) -> bool:
        return self._is_there(told) if isinstance(told, torch.Tensor) else _means_it(told)

    def _is_there(self, tensor: torch.Tensor) -> bool:
        return tensor in self._there or (self._here is not None and tensor not in self._here)

    def _attribute(self, func: Any, tensor: torch.Tensor) -> Any:
        there = self._is_there(tensor)
        of = getattr(func, "__self__", None)
        if there and of is torch.Tensor.device:
            return torch.device(DEVICE)
        if there and of in {torch.Tensor.is_cuda, torch.Tensor.is_cpu}:
            return of is torch.Tensor.is_cuda
        found = func(tensor)
        if there and isinstance(found, torch.Tensor):
            self._there.add(found)
        return found

    def _moved(self, name: str, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> torch.Tensor:
        """A tensor that is where it should be: copied where it was elsewhere."""
        tensor: torch.Tensor = args[0]
        moved, before, after = tensor, self._is_there(tensor), name == "cuda"
        if name == "to":
            given = (*args[1:], *named.values())
            told = [each for each in given if isinstance(each, (str, torch.device, torch.Tensor))]
            after = self._means(told[0]) if told else before
            moved = func(tensor, *map(_ordinary, args[1:]), **{key: _ordinary(each) for key, each in named.items()})
        if before != after:
            self.transfers["back" if before else "pinned" if tensor in self._pinned else "pageable"] += 1
            if moved in _Storages([tensor]):
                moved = moved.clone()
        self._note(moved, (), there=after)
        return moved

    def _in_pinned_memory(self, name: str, tensor: torch.Tensor) -> torch.Tensor | bool:
        if name == "is_pinned":
            return tensor in self._pinned
        if self._is_there(tensor):
            raise RuntimeError(f"cannot pin 'torch.{_TYPE}.Tensor' only dense CPU tensors can be pinned")
        if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )
        pinned = tensor.clone()
        self._pinned.add(pinned)
        return pinned

    def _refuse_mixed(self, name: str, args: Sequence[Any], tensors: Sequence[torch.Tensor]) -> None:
        """Refuse tensors of both devices; numbers of the CPU (of no dimension) go with everything."""
        if name == "copy_":
            return
        if name in {"__getitem__", "__setitem__"}:
            self._refuse_index(*args)
            return
        there = [self._is_there(each) for each in tensors]
        strict = name in {"cat", "stack"}
        if any(there) and any(not at and (each.dim() or strict) for each, at in zip(tensors, there, strict=True)):
            _refuse(name)

    def _refuse_index(self, tensor: torch.Tensor, index: Any, *values: Any) -> None:
        """Indices of the CPU go with tensors of the device, and not the other way round; slices are copied into."""
        at = self._is_there(tensor)
        parts = index if isinstance(index, tuple) else (index,)
        indices = [each for each in parts if isinstance(each, torch.Tensor) and each.dim()]
        if not at and any(map(self._is_there, indices)):
            _refuse("index")
        scattered = indices or any(isinstance(each, list) for each in parts)
        for value in values:
            if scattered and isinstance(value, torch.Tensor) and value.dim() and self._is_there(value) != at:
                _refuse("index_put_")

    def _note(self, result: Any, given: Sequence[torch.Tensor], *, there: bool) -> None:
        """Note where results are, but for those that share memory with what was given."""
        shared, place = _Storages(given), self._there if there else self._here
        for each in _tensors_in(result):
            if place is not None and each not in shared:
                place.add(each)


class _Storages:
    """Memory of tensors, as long as it is there."""

    def __init__(self, tensors: Iterable[torch.Tensor] = ()) -> None:
        self._known: set[Any] = set()
        self._room = 4096
        for tensor in tensors:
            self.add(tensor)

    def add(self, tensor: torch.Tensor) -> None:
        """Know a tensor's memory."""
        if len(self._known) >= self._room:
            self._known = {each for each in self._known if not each.expired()}
            self._room = 4096 + 2 * len(self._known)
        self._known.add(_WEAK(tensor.untyped_storage()))

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return _WEAK(tensor.untyped_storage()) in self._known


def _means_it(device: object) -> bool:
    return torch.device(str(device)).type == _TYPE


def _ordinary(told: Any) -> Any:
    """What was told, with the CPU in the place of the device."""
    return "cpu" if isinstance(told, (str, torch.device)) and _means_it(told) else told


def _tensors_in(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (list, tuple)):
        for each in result:
            yield from _tensors_in(each)


def _refuse(name: str) -> NoReturn:
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and cpu! (in {name})"
    )
