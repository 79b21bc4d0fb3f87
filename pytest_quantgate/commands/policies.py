"""What the gates of some slices tolerate, and whether they could reach a verdict at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.cases.model import PolicySettings
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.judge import check_alpha
from pytest_quantgate.gate.policy import resolve_policy, validate
from pytest_quantgate.gate.power import power_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.model import Slice
    from pytest_quantgate.gate.policy import GatePolicy


def policies_of(slices: Sequence[Slice], given: PolicySettings, alpha: float) -> dict[str, GatePolicy]:
    """The limits of each slice, by its name: the command line's before the slice file's.

    Args:
        slices: The slices.
        given: What the options say.
        alpha: What ``--alpha`` says.

    Raises:
        UsageError: An option cannot be right.
    """
    validate(given, option)
    check_alpha(alpha, "--alpha")
    return {each.name: resolve_policy(given, each.policy, PolicySettings(), slice_name=each.name) for each in slices}


def option(key: str) -> str:
    """The option that sets a key of the policy."""
    return "--" + key.replace("_", "-")


def refuse_undecidable(
    slices: Sequence[Slice], policies: Mapping[str, GatePolicy], *, candidates: int, alpha: float
) -> None:
    """Refuse gates that could reach no verdict, whatever the answers are.

    Raises:
        UsageError: With every such slice, and the number of cases that it needs.
    """
    rows = power_rows([(each, policies[each.name]) for each in slices], candidates=candidates, alpha=alpha)
    told = [row.refusal for row in rows if row.refusal is not None]
    if told:
        raise UsageError("\n".join(told), hint="`quantgate power` says what is needed; --allow-underpowered goes on")
