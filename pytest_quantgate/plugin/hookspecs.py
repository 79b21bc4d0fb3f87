"""Hooks by which other plugins and conftest files add to pytest-quantgate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.cases.sources.registry import SourceRegistry
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.diagnosis.architecture import ArchitectureRegistry
    from pytest_quantgate.plugin.backends import BackendRegistry


def pytest_quantgate_register_checks(registry: CheckRegistry) -> None:
    """Add checks of your own, before the first slice file is loaded.

    Args:
        registry: The checks by name; the built-in ones are there already.

    Example:
        In a ``conftest.py`` at the root of your tests::

            from pytest_quantgate.checks.finding import Finding

            def ends_with(answer: str, *, text: str) -> Finding:
                return Finding(answer.endswith(text), f"looked for {text}")

            def pytest_quantgate_register_checks(registry):
                registry.register("ends_with", ends_with, shorthand="text")

        and in a slice file ``checks: [ends_with: "."]``.
    """


def pytest_quantgate_register_backends(registry: BackendRegistry) -> None:
    """Add spec names of your own, before the variants are prepared.

    Args:
        registry: The backends by spec name; the built-in ones are there already.

    Example:
        ``my_backend.py`` has an object whose ``describe(spec)`` says how a variant of that spec is loaded; it is
        imported when a spec names it. Here another name for fp16::

            from pytest_quantgate.variants.plain import BACKEND as PLAIN
            from pytest_quantgate.variants.spec import VariantSpec

            class Half:
                def describe(self, spec):
                    return PLAIN.describe(VariantSpec("fp16"))

            BACKEND = Half()

        In a ``conftest.py`` at the root of your tests, or in a plugin::

            from pytest_quantgate.variants.registry import Entry

            def pytest_quantgate_register_backends(registry):
                registry.register("half", Entry("my_backend:BACKEND"))
    """


def pytest_quantgate_register_sources(registry: SourceRegistry) -> None:
    """Add data sets of your own, before the first slice file is loaded.

    Args:
        registry: The sources by name; the built-in ones are there already.

    Example:
        A table of questions, which users have as a file or in a package of yours. In a ``conftest.py`` at the root of
        your tests, or in a plugin::

            from pytest_quantgate.cases.sources.places import Package
            from pytest_quantgate.cases.sources.table import TableSource

            def capital(row, asked):
                return {
                    "id": row.name("country"),
                    "prompt": asked.prompt(f"What is the capital of {row.text('country')}?"),
                    "checks": [{"contains": row.text("capital")}],
                    "tags": ["europe"],
                }

            def pytest_quantgate_register_sources(registry):
                registry.register(
                    TableSource(
                        name="capitals",
                        description="45 countries and their capitals",
                        licence="CC0-1.0",
                        homepage="https://example.org/capitals",
                        download="capitals.csv from its homepage",
                        to_case=capital,
                        packages=(Package("my-capitals", "my_capitals/capitals.csv"),),
                        instruction="Answer in one word.",
                    )
                )

        and in a slice file ``dataset: {name: capitals, limit: 20}`` or ``dataset: {name: capitals, file: mine.csv}``.
        What is no table implements `pytest_quantgate.cases.sources.registry.Source`.
    """


def pytest_quantgate_register_architectures(registry: ArchitectureRegistry) -> None:
    """Say where the parts of a class of models are, before one of them is diagnosed.

    Args:
        registry: Layouts by class. Decoders that transformers builds as it builds Llama, Qwen, Gemma or Phi need none:
            their parts are found by structure.

    Example:
        GPT-2 has names of its own. In a ``conftest.py`` at the root of your tests, or in a plugin::

            from pytest_quantgate.diagnosis.architecture import Layout

            def pytest_quantgate_register_architectures(registry):
                registry.register(
                    "GPT2LMHeadModel",
                    Layout(
                        layers="transformer.h",
                        attention="attn",
                        feed_forward="mlp",
                        linear={
                            "qkv_proj": "attn.c_attn",
                            "o_proj": "attn.c_proj",
                            "up_proj": "mlp.c_fc",
                            "down_proj": "mlp.c_proj",
                        },
                        final_norm="transformer.ln_f",
                    ),
                )
    """
