"""The backends of other plugins, and where each variant of the run will run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_quantgate.plugin import hooks
from pytest_quantgate.variants import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.variants.device import Placement
    from pytest_quantgate.variants.spec import VariantSpec


class BackendRegistry:
    """What the hook ``pytest_quantgate_register_backends`` is given."""

    def register(self, name: str, entry: registry.Entry) -> None:
        """Add a spec name.

        Args:
            name: Lower-case letters, digits, ``.``, ``_`` and ``-``.
            entry: Where its backend is and what options it takes.

        Raises:
            UsageError: The name is malformed or belongs to another backend, or the entry is none.
        """
        registry.register(name, entry)


def register_backends(config: pytest.Config) -> None:
    """Let other plugins add spec names, before the user's specs are read.

    Raises:
        pytest.UsageError: One of them fails at it.
    """
    hooks.call(config, "pytest_quantgate_register_backends", BackendRegistry())


def spec_of(options: Options, text: str) -> VariantSpec:
    """A variant of the run, or the one whose golden is its reference, read; it knows where its paths are seen from."""
    from pytest_quantgate.variants.spec import parse_spec

    if options.anchored is not None and text == options.reference:
        text = options.anchored
    return replace(parse_spec(text), folder=options.folders.get(text))


def model_of(options: Options, spec: str) -> str:
    """What a variant's model is called: by the user, or by the server that answers for it."""
    from pytest_quantgate.variants.address import parse_address

    parsed = spec_of(options, spec)
    return parse_address(str(parsed)).model if parsed.served else parsed.here.model or options.model


def model_of_run(options: Options, places: Mapping[str, Placement]) -> str:
    """What the model of a run is called: of one in which nothing runs here, the reference's."""
    return options.model if places else model_of(options, options.reference)


SAME: Final = "is the same variant as the reference: both give the same answers"
"""What is told of a candidate that cannot differ."""


def same_as_reference(options: Options) -> tuple[str, ...]:
    """The candidates that are the reference, told without reading a model: the same spec of a model of the same name.

    A reference that comes from goldens is none: what answered then may have changed.
    """
    if options.anchored is not None:
        return ()
    known = _known_by(options, options.reference)
    return tuple(spec for spec in options.candidates if _known_by(options, spec) == known)


def _known_by(options: Options, text: str) -> tuple[str, ...]:
    """What two texts of one variant have in common."""
    from pytest_quantgate.variants.address import parse_address
    from pytest_quantgate.variants.source import from_anywhere

    spec = spec_of(options, text).here
    if spec.served:
        return (str(replace(parse_address(str(spec)), concurrency=None)),)
    adapter = "" if spec.lora is None else from_anywhere(spec.lora)
    return (str(replace(spec, model=None, lora=None)), from_anywhere(spec.model or options.model), adapter)


def placements(options: Options) -> dict[str, Placement]:
    """Where and in which arithmetic each variant that runs here will run, settled without loading anything.

    Raises:
        QuantgateError: A device or a dtype that is unknown or not there.
    """
    from pytest_quantgate.variants.device import place, split_devices
    from pytest_quantgate.variants.vllm import check_runs

    found = {}
    device = split_devices(options.device)[0]
    reference = () if options.anchored else (options.reference,)
    for text in (*reference, *options.candidates, *options.controls):
        spec = spec_of(options, text)
        if spec.served:
            continue
        check_runs(spec, options.kernels)
        description = _described(spec, spec.here.model or options.model)
        found[text] = place(description, device, options.compute_dtype, options.kernels)
    return found


def _described(spec: VariantSpec, model: str) -> registry.Description:
    """What a spec means, told from its checkpoint where that is at hand and its backend looks at it."""
    from pytest_quantgate.errors import QuantgateError
    from pytest_quantgate.variants.source import folder_at_hand

    if hasattr(registry.backend_of(spec.name), "inspect"):
        with suppress(QuantgateError):  # what is wrong with it is told when the variant is prepared
            return registry.describe(spec, folder_at_hand(model))
    return registry.describe(spec)
