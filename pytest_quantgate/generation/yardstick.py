"""The reference's answers as a yardstick: how near every other variant stays to what the reference expects along them.

What the reference expects is measured when some variant needs it and kept with its answers, as is what is then found of
each variant. So a run in which nothing is new loads no model, and a new candidate does not load the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.generation.expected import Expected, Fidelity

if TYPE_CHECKING:
    import torch

    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.completion import Completion, Request
    from pytest_quantgate.generation.fidelity import Known
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.variant import LoadedModel

_VERSION: Final = 1
"""Of how both are measured."""


class Yardstick:
    """What the reference expects along its answers, and how near other variants are to it.

    Args:
        reference: Digest of the reference's identity.
        others: Digests of the identities that are to be measured.
        cache: Where all of it is kept.
    """

    def __init__(self, reference: str, others: Sequence[str], cache: CompletionCache) -> None:
        self._reference = reference
        self._others = others
        self._cache = cache
        self._known: dict[str, Known] = {}
        self._found: dict[str, dict[str, Fidelity]] = {}

    def answers(self, requests: Sequence[Request], completions: Mapping[str, Completion]) -> None:
        """Take the reference's answers; those without a token have nothing to measure along.

        Args:
            requests: What was asked.
            completions: Its answers, by the request's digest.
        """
        from pytest_quantgate.generation.fidelity import Known

        for request in requests:
            completion = completions.get(request.digest)
            if completion is not None and completion.token_ids:
                self._known[request.digest] = Known(request, completion.token_ids)
        self._found.clear()  # of what is new, an earlier run may have kept it

    def of(self, identity: str) -> Mapping[str, Fidelity]:
        """How near a variant is, by the digest of the reference's request, as far as that was measured.

        Args:
            identity: Digest of its identity.
        """
        if identity not in self._found:
            keys = {self._key("fidelity", each, self._reference): digest for digest, each in self._known.items()}
            stored = self._cache.get_measures(identity, keys)
            read = {keys[key]: _fidelity(value) for key, value in stored.items()}
            self._found[identity] = {digest: each for digest, each in read.items() if each is not None}
        return self._found[identity]

    def measure_reference(self, load: Callable[[], LoadedModel], progress: Progress) -> None:
        """Measure what the reference expects, where another variant still needs it.

        Args:
            load: Gives the reference; called where something is to be measured.
            progress: Told how far it has come.
        """
        needed = {digest for identity in self._others for digest in self._known if digest not in self.of(identity)}
        needed -= self._expected(needed).keys()
        missing = [known for digest, known in self._known.items() if digest in needed]
        if not missing:
            return
        from pytest_quantgate.generation.fidelity import expected_of

        for known, logits in _along(load(), missing, "what the reference expects", progress):
            found = expected_of(logits)
            if found is not None:
                self._cache.put_measures(self._reference, {self._key("expected", known): found.to_json()})

    def measure(self, identity: str, load: Callable[[], LoadedModel], progress: Progress) -> None:
        """Measure how near a variant is, where that is not known.

        Args:
            identity: Digest of its identity.
            load: Gives the variant; called where something is to be measured.
            progress: Told how far it has come.
        """
        found = dict(self.of(identity))
        expected = self._expected(self._known.keys() - found.keys())
        missing = [each for digest, each in self._known.items() if digest in expected]
        if not missing:
            return
        from pytest_quantgate.generation.fidelity import fidelity_of

        for known, logits in _along(load(), missing, "fidelity", progress):
            each = fidelity_of(expected[known.request.digest], logits)
            if each is not None:
                key = self._key("fidelity", known, self._reference)
                self._cache.put_measures(identity, {key: asdict(each)})
                found[known.request.digest] = each
        self._found[identity] = found

    def _expected(self, digests: set[str]) -> dict[str, Expected]:
        """What the reference is known to expect along some of its answers."""
        keys = {self._key("expected", self._known[digest]): digest for digest in digests}
        found = {}
        for key, value in self._cache.get_measures(self._reference, keys).items():
            known = self._known[keys[key]]
            try:
                expected = Expected.from_json(value)
            except ValueError:
                continue
            if len(expected.token_ids) == len(known.token_ids):
                found[keys[key]] = expected
        return found

    @staticmethod
    def _key(what: str, known: Known, *more: str) -> str:
        return digest_of([what, _VERSION, known.request.digest, known.token_ids, *more])


def _along(
    loaded: LoadedModel, known: Sequence[Known], what: str, progress: Progress
) -> Iterator[tuple[Known, torch.Tensor]]:
    """See ``fidelity.along``; with progress."""
    from pytest_quantgate.generation.fidelity import along

    by_digest = {each.request.digest: each for each in known}
    progress.start(f"{loaded.variant.label}, {what}", len(known), 0, "to read")
    try:
        for digest, logits in along(loaded, known, progress):
            yield by_digest[digest], logits
    finally:
        progress.finish()


def _fidelity(value: Mapping[str, Any]) -> Fidelity | None:
    """What was stored; None when it has another shape."""
    try:
        found = Fidelity(int(value["tokens"]), int(value["agreeing"]), float(value["divergence"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if 0 <= found.agreeing <= found.tokens and found.divergence >= 0 else None
