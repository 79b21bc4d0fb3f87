"""The reference's answers as a yardstick: how near every other variant stays to what the reference expects along them.

What the reference expects is measured when some variant needs it and kept with its answers, as is what is then found of
each variant. So a run in which nothing is new loads no model, and a new candidate does not load the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.generation.expected import Expected, Fidelity

if TYPE_CHECKING:
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.completion import Completion, Request
    from pytest_quantgate.generation.fidelity import Known, Meter
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.variant import LoadedModel

_VERSION: Final = 2
"""Of how both are measured."""

_AT_ONCE: Final = 64
"""Answers along which it is looked up at a time what the reference expects: it takes half a kilobyte a token."""

T = TypeVar("T")


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
        needed -= self._known_to_expect(needed)
        missing = [known for digest, known in self._known.items() if digest in needed]
        if not missing:
            return
        from pytest_quantgate.generation.fidelity import Expecting

        def meters(digests: Sequence[str]) -> dict[str, Expecting]:
            return {digest: Expecting() for digest in digests}

        for known, found in _along(load(), missing, "what the reference expects", meters, progress):
            self._cache.put_measures(self._reference, {self._key("expected", known): found.to_json()})

    def measure(self, identity: str, load: Callable[[], LoadedModel], progress: Progress) -> None:
        """Measure how near a variant is, where that is not known.

        Args:
            identity: Digest of its identity.
            load: Gives the variant; called where something is to be measured.
            progress: Told how far it has come.
        """
        found = self._found[identity] = dict(self.of(identity))
        expected = self._known_to_expect(self._known.keys() - found.keys())
        missing = [known for digest, known in self._known.items() if digest in expected]
        if not missing:
            return
        from pytest_quantgate.generation.fidelity import Comparing

        def meters(digests: Sequence[str]) -> dict[str, Comparing]:
            return {digest: Comparing(each) for digest, each in self._expected(digests).items()}

        for known, each in _along(load(), missing, "fidelity", meters, progress):
            key = self._key("fidelity", known, self._reference)
            self._cache.put_measures(identity, {key: asdict(each)})
            found[known.request.digest] = each

    def _known_to_expect(self, digests: Collection[str]) -> set[str]:
        """Those of some answers along which it is known what the reference expects; few of them are held at a time."""
        ordered = iter(digests)
        found: set[str] = set()
        while part := list(islice(ordered, _AT_ONCE)):
            found.update(self._expected(part))
        return found

    def _expected(self, digests: Iterable[str]) -> dict[str, Expected]:
        """What the reference is known to expect along some of its answers."""
        keys = {self._key("expected", self._known[digest]): digest for digest in digests}
        found = {}
        for key, value in self._cache.get_measures(self._reference, keys).items():
            known = self._known[keys[key]]
            try:
                expected = Expected.from_json(value)
            except ValueError:
                continue
            if expected.tokens == len(known.token_ids):
                found[keys[key]] = expected
        return found

    @staticmethod
    def _key(what: str, known: Known, *more: str) -> str:
        return digest_of([what, _VERSION, known.request.digest, known.token_ids, *more])


def _along(
    loaded: LoadedModel,
    known: Sequence[Known],
    what: str,
    meters: Callable[[Sequence[str]], Mapping[str, Meter[T]]],
    progress: Progress,
) -> Iterator[tuple[Known, T]]:
    """See ``fidelity.along``; with progress, and what could not be measured told in one line."""
    from pytest_quantgate.generation.fidelity import along

    by_digest = {each.request.digest: each for each in known}
    label = f"{loaded.variant.label}, {what}"
    lost: Counter[str] = Counter()
    progress.start(label, len(known), 0, "to read")
    try:
        for digest, found in along(loaded, known, meters, progress):
            if isinstance(found, str):
                lost[found] += 1
            else:
                yield by_digest[digest], found
    finally:
        progress.finish()
    if lost:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in lost.items())
        progress.note(f"{label}: not measured along {lost.total()} of {len(known)} answers: {reasons}")


def _fidelity(value: Mapping[str, Any]) -> Fidelity | None:
    """What was stored; None when it has another shape."""
    try:
        found = Fidelity(int(value["tokens"]), int(value["agreeing"]), float(value["divergence"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if 0 <= found.agreeing <= found.tokens and found.divergence >= 0 else None
