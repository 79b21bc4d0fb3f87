"""Reads the ``gate`` of a slice file, and refuses limits that its cases could never be judged by."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.model import LARGEST_RATIO, PolicySettings, Rule
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.cases.purposes import asks_for_refusal, is_read, parses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems

GATE_KEYS: Final = tuple(field.name for field in fields_of(PolicySettings))
"""What the gate of a slice file may set."""

_NO_SHARES: Final = ("rule", "min_cases", "max_length_ratio")


def read_policy(node: Node, problems: Problems) -> PolicySettings:
    """Read what a slice file says about its gate.

    Args:
        node: What stands under the key ``gate``.
        problems: Where everything that is wrong with it is noted.
    """
    pairs = fields.mapping(node, "'gate'", problems, known=GATE_KEYS) or {}
    shares = {key: fields.fraction(item, f"{key!r}", problems) for key, item in pairs.items() if key not in _NO_SHARES}
    return PolicySettings(
        rule=_rule(pairs["rule"], problems) if "rule" in pairs else None,
        min_cases=fields.integer_of(pairs, "min_cases", problems, least=1),
        max_length_ratio=_ratio(pairs["max_length_ratio"], problems) if "max_length_ratio" in pairs else None,
        **shares,
    )


def refuse_what_cannot_be_judged(node: Node, cases: Sequence[Case], problems: Problems) -> None:
    """Note limits on something that none of the cases could show.

    Args:
        node: What stands under the key ``gate``.
        cases: The slice's cases; none where they could not be read, which is noted elsewhere.
        problems: Where contradictions are noted.
    """
    pairs = node.value
    if not isinstance(pairs, dict) or not cases:
        return
    sizes = Counter(case.cluster for case in cases if case.cluster is not None)
    impossible = {
        "max_cluster_pass_to_fail": None
        if any(size > 1 for size in sizes.values())
        else "no two cases share a cluster",
        "max_over_refusal_increase": "every case asks for a refusal" if all(map(asks_for_refusal, cases)) else None,
        "max_format_retry_increase": None if any(map(parses, cases)) else "no case has a check that parses the answer",
        "min_grader_agreement": None if any(map(is_read, cases)) else "no check judges the answer itself",
    }
    for key, why in impossible.items():
        if why is not None and key in pairs:
            problems.add(pairs[key].line, f"{key!r} cannot be judged: {why}")


def _rule(node: Node, problems: Problems) -> Rule | None:
    given = fields.text(node, "'rule'", problems)
    known: tuple[Rule, ...] = get_args(Rule)
    if given is not None and given not in known:
        fields.unknown(node, "rule", given, problems, known=known)
    return next((rule for rule in known if rule == given), None)


def _ratio(node: Node, problems: Problems) -> float | None:
    value = node.value
    wanted = f"'max_length_ratio' must be a number above 0, at most {LARGEST_RATIO:.0f}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        fields.wrong_type(node, wanted, problems)
    elif not 0 < value <= LARGEST_RATIO:  # so a NaN is refused too
        problems.add(node.line, f"{wanted}, not {quoted(value)}")
    else:
        return float(value)
    return None
