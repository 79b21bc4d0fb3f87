"""The backends of other plugins, and where each variant of the run will run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.plugin import hooks
from pytest_quantgate.variants import registry

if TYPE_CHECKING:
    import pytest

    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.variants.device import Placement


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


def placements(options: Options) -> dict[str, Placement]:
    """Where and in which arithmetic each variant that is run will run, settled without loading anything.

    Raises:
        QuantgateError: A device or a dtype that is unknown or not there.
    """
    from pytest_quantgate.variants.device import place, split_devices
    from pytest_quantgate.variants.spec import parse_spec

    found = {}
    device = split_devices(options.device)[0]
    reference = () if options.anchored else (options.reference,)
    for text in (*reference, *options.candidates, *options.controls):
        spec = parse_spec(text)
        description = registry.describe(spec)
        found[text] = place(description, device, options.compute_dtype)
    return found
