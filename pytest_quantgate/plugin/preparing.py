"""The variants of a run, prepared without loading anything; each model is found once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.plugin.backends import spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.variants.served import ServedVariant
    from pytest_quantgate.variants.source import ModelSource
    from pytest_quantgate.variants.variant import Variant

NO_TEMPLATE = "has no chat template: prompts are the plain texts"
"""What is told of a base model."""


def prepared_another_way(usual: Variant | ServedVariant, options: Options) -> Variant | ServedVariant:
    """A prepared variant under another schedule.

    Raises:
        SpecError: It chooses its kernels itself, and others are wanted.
    """
    from pytest_quantgate.variants.served import ServedVariant, serve_another_way
    from pytest_quantgate.variants.variant import run_another_way

    if isinstance(usual, ServedVariant):
        return serve_another_way(usual, kernels=options.noise_kernels)
    return run_another_way(usual, kernels=options.noise_kernels)


class Models:
    """The models of a run.

    Args:
        options: Which variants of which model.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sources: dict[str, ModelSource] = {}
        self._asked: set[str] = set()

    def prepared(self, spec: str, device: str, note: Callable[[str], None]) -> Variant | ServedVariant:
        """A variant, prepared of its model or at its server.

        Args:
            spec: The variant.
            device: Where it is to run.
            note: Told what takes long.

        Raises:
            QuantgateError: It cannot be prepared.
        """
        from pytest_quantgate.variants.mix import models_in
        from pytest_quantgate.variants.served import prepare_served
        from pytest_quantgate.variants.variant import prepare_variant

        options = self._options
        parsed = spec_of(options, spec)
        if parsed.served:
            return prepare_served(spec)
        source = self._source(parsed.here.model or options.model, note)
        for part in models_in(parsed):
            self._found(part, note)
        return prepare_variant(
            spec,
            source,
            folder=parsed.folder,
            device=device,
            compute_dtype=options.compute_dtype,
            kernels=options.kernels,
        )

    def _source(self, model: str, note: Callable[[str], None]) -> ModelSource:
        """A model that is asked; of one without a chat template that is told once."""
        from pytest_quantgate.variants.checkpoint import chat_template_text

        source = self._found(model, note)
        if model not in self._asked and not chat_template_text(source.folder):
            note(f"{model} {NO_TEMPLATE}")
        self._asked.add(model)
        return source

    def _found(self, model: str, note: Callable[[str], None]) -> ModelSource:
        """A model, found once."""
        from pytest_quantgate.variants.source import resolve_model

        if model not in self._sources:
            self._sources[model] = resolve_model(model, note=note)
        return self._sources[model]
