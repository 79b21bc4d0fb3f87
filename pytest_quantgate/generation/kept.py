"""Answers that are kept for one run: of a server whose weights nobody knows, the next run may not reuse any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_quantgate.generation.completion import Completion


class RunCache:
    """What `CompletionCache` does, in memory."""

    def __init__(self) -> None:
        self._completions: dict[tuple[str, str], Completion] = {}

    def get(self, identity: str, requests: Iterable[str]) -> dict[str, Completion]:
        """The answers of one variant that this run has.

        Args:
            identity: Digest of the variant's identity.
            requests: Request digests to look up.
        """
        keys = ((identity, request) for request in requests)
        return {key[1]: self._completions[key] for key in keys if key in self._completions}

    def put(self, identity: str, completions: Mapping[str, Completion]) -> None:
        """Keep answers of one variant.

        Args:
            identity: Digest of the variant's identity.
            completions: Completions by request digest.
        """
        for request, completion in completions.items():
            self._completions[identity, request] = completion

    def forget(self, identity: str) -> None:
        """Forget all answers of one variant."""
        for key in [key for key in self._completions if key[0] == identity]:
            del self._completions[key]

    def get_audit(self, _identity: str) -> dict[str, Any] | None:
        """None: only a model that was loaded here has an audit."""
        return None

    def put_audit(self, _identity: str, _audit: Mapping[str, Any]) -> None:
        """Nothing is kept."""
