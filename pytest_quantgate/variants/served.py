"""A variant that a server answers for: known by what the server tells of itself and what the user states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.address import CONCURRENCY, ServedAddress, parse_address
from pytest_quantgate.variants.identity import Identity
from pytest_quantgate.variants.schedule import USUAL, Schedule, name_of
from pytest_quantgate.variants.server_facts import Facts, MixedServersError, ask, differing, mixed
from pytest_quantgate.variants.spec import VariantSpec, parse_spec

ENGINE: Final = "served-1"
"""Version of what is sent; raised whenever answers may change for the same server and request."""

ENOUGH: Final = frozenset({"revision", "dtype", "quantization", "version"})
"""What a server must tell so that its answers outlive a run without a word of the user: the weights' commit, how they
are kept, and the server's version."""

_TOLD: Final = "told:"  # before the name of a fact among the fields of an identity
_OTHER_WAY: Final = Schedule(max_rows=3, reverse=True)


@dataclass(frozen=True, slots=True)
class ServedVariant:
    """A model behind an endpoint of OpenAI's protocol.

    Attributes:
        spec: Its address, as a spec.
        address: The same, taken apart.
        identity: What is known of it; where it is served is no part of it.
        kept: Whether that is enough for its answers to be kept for later runs.
        schedule: How many requests are made at a time, and in which order.
    """

    spec: VariantSpec
    address: ServedAddress
    identity: Identity
    kept: bool
    schedule: Schedule = USUAL

    @property
    def told(self) -> Mapping[str, str]:
        """What the server told of itself, by name."""
        fields = self.identity.fields
        return {name.removeprefix(_TOLD): value for name, value in fields.items() if name.startswith(_TOLD)}

    @property
    def label(self) -> str:
        """Its name for people: the address, and that it is run another way when it is."""
        return name_of(str(self.spec), self.schedule)

    @property
    def concurrency(self) -> int:
        """Most requests at a time."""
        usual = self.address.concurrency or CONCURRENCY
        return usual if self.schedule.max_rows is None else min(usual, self.schedule.max_rows)

    @property
    def summary(self) -> str:
        """One line for people: who serves it, and how it is asked."""
        server = self.told.get("server", "a server that does not say its name")
        version = self.told.get("version")
        how = "text completions" if self.address.kind == "completions" else "chat completions"
        return f"served by {server}{f' {version}' if version else ''}, {how}, {self.concurrency} at a time"

    @property
    def keeping(self) -> str:
        """Whether its answers are kept, and if not, why and what to do."""
        if self.kept:
            return "answers are kept for later runs"
        stated = replace(self.address, stated="TEXT")
        return (
            "answers are not kept for later runs, for the server does not tell enough of its weights: write "
            f"{stated}, and another TEXT whenever they change"
        )


def prepare_served(spec: str) -> ServedVariant:
    """Asks a server what it serves; nothing is generated.

    Args:
        spec: Its address.

    Raises:
        SpecError: The address is malformed, or the environment's keys are.
        ModelError: The server cannot be reached, refuses the key, or is several that are not alike.
    """
    parsed = parse_spec(spec)
    address = parse_address(str(parsed))
    facts = ask(address)
    kept = _enough(address, facts)
    fields = {
        "endpoint": address.kind,
        "engine": ENGINE,
        "model": address.model,
        **{f"{_TOLD}{name}": value for name, value in facts.told.items()},
    }
    if address.stated:
        fields["stated"] = address.stated
    if not kept:
        fields["kept"] = "for this run only"
    return ServedVariant(parsed, address, Identity(dict(sorted(fields.items()))), kept)


def _enough(address: ServedAddress, facts: Facts) -> bool:
    """Whether weights and version are known: what the user states says both, where the server does not."""
    return facts.whole and (bool(address.stated) or facts.told.keys() >= ENOUGH)


def check_server_unchanged(variant: ServedVariant) -> bool:
    """Refuses what a server answered that tells other facts of itself by now: nobody knows who gave which answer.

    One that cannot be asked any more is not refused, nor one that tells more than it did: some load a model late.

    Args:
        variant: What was asked.

    Returns:
        Whether it could be asked.

    Raises:
        MixedServersError: It tells something else by now, and then again what it told before.
        ModelError: What it told before has another value now, or is told no more; the message says what.
    """
    before, where = variant.told, f"variant {str(variant.spec)!r}"
    if not before:
        return True
    now = _told_now(variant)
    if now is None:
        return False
    changed = _changed(before, now.told)
    if not changed:
        if meanwhile := _other(before, now.first):
            raise mixed(differing(meanwhile, before, now.first), where)
        return True
    facts = differing(changed, before, now.told)
    again = _told_now(variant)
    if again is not None and not _changed(before, again.told):
        raise mixed(facts, where)
    raise ModelError(
        f"what the server tells of itself changed since the run began: {facts}",
        where=where,
        hint="run again: what it answered since it last told the same is not kept",
    )


def _told_now(variant: ServedVariant) -> Facts | None:
    """The facts; None where it cannot be asked."""
    try:
        return ask(variant.address)
    except MixedServersError:
        raise
    except ModelError:
        return None


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """The names of facts that have another value, or are told no more."""
    changed = _other(before, now)
    if "version" in now:  # then it tells all of these that it has: a commit may have become a branch, which is no fact
        changed |= ENOUGH & before.keys() - now.keys()
    return changed


def _other(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """The names of facts that have another value."""
    return {name for name, value in before.items() if now.get(name, value) != value}


def serve_another_way(variant: ServedVariant, *, kernels: bool) -> ServedVariant:
    """The same server under another schedule: few requests at a time, the shortest first.

    Args:
        variant: A variant that ``prepare_served`` gave.
        kernels: Whether attention is to be computed by other kernels too.

    Raises:
        SpecError: Other kernels are wanted; a server has its own.
    """
    if kernels:
        raise SpecError(
            "nobody can choose the kernels of a server",
            where=f"variant {str(variant.spec)!r}",
            hint="use --quant-noise-floor without --quant-noise-kernels",
        )
    return replace(variant, schedule=_OTHER_WAY, identity=variant.identity.with_schedule(str(_OTHER_WAY)))
