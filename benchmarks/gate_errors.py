"""How often gates of the rule `evidence` are wrong, how often they decide, and what looking early saves.

    .venv/bin/python benchmarks/gate_errors.py            about five minutes
    .venv/bin/python benchmarks/gate_errors.py --quick    less, and coarser

Slices are drawn from a known truth: every case of a slice degrades with the same probability, alone or together with
others of its cluster. p-values, Holm's step-down, looks and shares are the package's own. "False alarm" is the share of
runs in which at least one gate at exactly its limit is FAILed; "false pass" the share in which at least one is PASSed:
no rate above the limit is passed more often than the limit itself. The figures of docs/gates.md come from here.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.binomial import power_to_fail, power_to_pass
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.limits import Difference, Share
from pytest_quantgate.gate.model import GateInput, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.gate.sequential import SHARES, looks
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.outcomes.significance import holm, p_at_least

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Design = Sequence[tuple[int, float]]

SEED = 20_261_122
ALPHA = 0.05
LIMIT = 0.05
SIZES = (60, 120, 490)
FAMILIES = (1, 4, 16)
NAMES = [f"case{number}" for number in range(1000)]


@dataclass(frozen=True, slots=True)
class Runs:
    """How many runs each part draws."""

    plain: int
    slow: int


@cache
def p_of_count(count: int, cases: int) -> tuple[float, float]:
    """p-values of one limit when so many independent cases degraded: to FAIL, to PASS."""
    share = Share([1.0] * count + [0.0] * (cases - count), NAMES[:cases], LIMIT)
    return share.p_above(), share.p_below()


@cache
def p_of_pairs(rose: int, fell: int, cases: int) -> tuple[float, float]:
    """p-values of an excess: cases that degraded with the candidate alone, and in the floor alone."""
    first = [1.0] * rose + [0.0] * (cases - rose)
    second = [0.0] * rose + [1.0] * fell + [0.0] * (cases - rose - fell)
    excess = Difference(first, second, NAMES[:cases], LIMIT)
    return excess.p_above(), excess.p_below()


def decided(p_values: Sequence[float]) -> list[bool]:
    """Which gates of a family Holm rejects."""
    return [p <= ALPHA for p in holm(p_values)]


def planned(cases: int) -> list[tuple[int, float]]:
    """The looks at so many cases without clusters."""
    ordered = [Case(name, (), (), 1) for name in NAMES[:cases]]
    return [(look.cases, look.share) for look in looks(ordered, 30)]


def over_looks(row: Bools, design: Design) -> tuple[float, float]:
    """p-values of a gate after all its looks."""
    found = [(p_of_count(int(row[:cases].sum()), cases), share) for cases, share in design]
    return min(1.0, *(p[0] / share for p, share in found)), min(1.0, *(p[1] / share for p, share in found))


def wrong(
    draw: Callable[[], Iterable[tuple[float, float]]], runs: int, judged: int | None = None
) -> tuple[float, float]:
    """Share of runs with a false alarm, and with a false pass.

    Args:
        draw: The p-values of all gates of one run.
        runs: How many runs.
        judged: How many of the gates, from the first on, are at the limit; all when None.
    """
    alarms = passes = 0
    for _ in range(runs):
        fails, within = zip(*draw(), strict=True)
        alarms += any(decided(fails)[:judged])
        passes += any(decided(within)[:judged])
    return alarms / runs, passes / runs


def errors_at_the_limit(chance: np.random.Generator, runs: Runs) -> None:
    """Independent cases: fixed numbers of cases, and looks."""
    print(f"\nEvery gate at its limit, independent cases, {runs.plain} runs: false alarm, false pass")
    print("  n    gates   fixed            sequential       half of them at 4 times the limit, or at 0")
    for cases in SIZES:
        design = planned(cases)
        for gates in FAMILIES:
            fixed = wrong(_counted(chance, cases, np.full(gates, LIMIT)), runs.plain)

            def looked(gates: int = gates, cases: int = cases, design: Design = design) -> list[tuple[float, float]]:
                return [over_looks(row, design) for row in chance.random((gates, cases)) < LIMIT]

            found = wrong(looked, runs.plain // 2)
            line = f"  {cases:3}  {gates:3}     {fixed[0]:.4f}, {fixed[1]:.4f}   {found[0]:.4f}, {found[1]:.4f}"
            if gates > 1:
                at = gates // 2
                alarm, _ = wrong(_counted(chance, cases, np.repeat([LIMIT, 4 * LIMIT], at)), runs.plain, at)
                _, passed = wrong(_counted(chance, cases, np.repeat([LIMIT, 0.0], at)), runs.plain, at)
                line += f"   {alarm:.4f}, {passed:.4f}"
            print(line)


def _counted(chance: np.random.Generator, cases: int, rates: Floats) -> Callable[[], list[tuple[float, float]]]:
    return lambda: [p_of_count(count, cases) for count in chance.binomial(cases, rates).tolist()]


def errors_with_clusters(chance: np.random.Generator, runs: Runs) -> None:
    """Clusters whose cases are alike to some degree: their rates are drawn from a beta distribution."""
    print(f"\nClusters, {runs.slow} runs: false alarm, false pass; in brackets without the design effect")
    print("  n    size   correlation   1 gate                              4 gates")
    for cases, size in ((60, 3), (120, 3), (490, 3), (490, 10)):
        groups = [number // size for number in range(cases)]
        for correlation in (0.0, 0.3, 0.8):
            line = f"  {cases:3}  {size:3}    {correlation:.1f}        "
            for gates in (1, 4):
                drawn = [[_clustered(chance, groups, correlation) for _ in range(gates)] for _ in range(runs.slow)]
                aware, plain = iter(drawn), iter(drawn)
                found = wrong(lambda them=aware: [each[0] for each in next(them)], runs.slow)  # type: ignore[misc]
                naive = wrong(lambda them=plain: [each[1] for each in next(them)], runs.slow)  # type: ignore[misc]
                line += f"  {found[0]:.4f}, {found[1]:.4f}  ({naive[0]:.4f}, {naive[1]:.4f})"
            print(line)


def _clustered(
    chance: np.random.Generator, groups: Sequence[int], correlation: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """p-values of one gate at its limit, with the design effect and without."""
    rates = np.full(groups[-1] + 1, LIMIT)
    if correlation:
        spread = (1 - correlation) / correlation
        rates = chance.beta(LIMIT * spread, (1 - LIMIT) * spread, groups[-1] + 1)
    values = (chance.random(len(groups)) < rates[groups]).astype(float)
    share = Share(values.tolist(), groups, LIMIT)
    return (share.p_above(), share.p_below()), p_of_count(int(values.sum()), len(groups))


def errors_with_unequal_clusters(chance: np.random.Generator, runs: Runs) -> None:
    """Small clusters and few large ones that degrade as a whole, and more often; their mean rate is the limit."""
    print(f"\nClusters of unequal size, wholly alike, {runs.slow} runs, 1 gate: false alarm, false pass")
    for many, small, few, large, often in ((600, 1, 5, 100, 0.086), (100, 2, 4, 50, 0.08), (300, 1, 1, 100, 0.14)):
        sizes = [small] * many + [large] * few
        groups = np.repeat(np.arange(len(sizes)), sizes)
        seldom = (LIMIT * len(groups) - often * few * large) / (many * small)
        rates = np.repeat([seldom, often], [many, few])
        alarms = passes = 0
        for _ in range(runs.slow):
            values = (chance.random(len(sizes)) < rates)[groups].astype(float)
            share = Share(values.tolist(), groups.tolist(), LIMIT)
            alarms += share.p_above() <= ALPHA
            passes += share.p_below() <= ALPHA
        told = f"{many} of {small} at {seldom:.1%}, {few} of {large} at {often:.1%}"
        print(f"  {told:37}{alarms / runs.slow:.4f}, {passes / runs.slow:.4f}")


def errors_over_a_floor(chance: np.random.Generator, runs: Runs) -> None:
    """The excess over a noise floor at exactly its limit."""
    print(f"\nExcess over a noise floor at its limit, {runs.plain} runs: false alarm, false pass")
    print("  n    floor   shared   1 gate           4 gates          16 gates")
    for cases in SIZES:
        for floor, shared in ((0.0, 0.0), (0.01, 0.0), (0.01, 0.8), (0.03, 0.0), (0.03, 0.8), (0.10, 0.0), (0.10, 1.0)):
            both = shared * floor + (1 - shared) * floor * (floor + LIMIT)
            rates = [floor + LIMIT - both, floor - both, 1 - 2 * floor - LIMIT + 2 * both]
            line = f"  {cases:3}  {floor:5.0%}   {shared:.1f}   "
            for gates in FAMILIES:

                def draw(
                    gates: int = gates, rates: list[float] = rates, cases: int = cases
                ) -> list[tuple[float, float]]:
                    return [p_of_pairs(*row[:2].tolist(), cases) for row in chance.multinomial(cases, rates, gates)]

                found = wrong(draw, runs.plain)
                line += f"   {found[0]:.4f}, {found[1]:.4f}"
            print(line)


def errors_of_a_loss(chance: np.random.Generator, runs: Runs) -> None:
    """1 - R: degraded cases lose a part of their checks."""
    print(f"\nLoss (1 - R) at its limit, 3 checks a case, {runs.slow} runs: false alarm, false pass")
    for cases in SIZES:

        def gate(cases: int = cases) -> tuple[float, float]:
            lost = chance.integers(1, 4, cases) / 3
            values = np.where(chance.random(cases) < LIMIT * 1.5, lost, 0.0)  # of its checks, 2/3 on average
            share = Share(values.tolist(), NAMES[:cases], LIMIT)
            return share.p_above(), share.p_below()

        line = f"  n {cases:3}"
        for gates in (1, 4):
            found = wrong(lambda gates=gates, gate=gate: [gate() for _ in range(gates)], runs.slow)  # type: ignore[misc]
            line += f"   gates {gates}: {found[0]:.4f}, {found[1]:.4f}"
        print(line)


def power_curve() -> None:
    """Exact: how verdicts fall by the true rate."""
    print("\nPower (exact): FAIL / PASS, the rest INCONCLUSIVE; under the rule `point` FAIL, the rest PASS")
    columns = [(cases, gates) for cases in SIZES for gates in (1, 16)]
    print(
        "  true rate" + "".join(f"{f'n {cases}, {gates} gates':>17}" for cases, gates in columns) + "    point, n 120"
    )
    for rate in (0.0, 0.01, 0.025, 0.04, 0.05, 0.06, 0.075, 0.10, 0.15, 0.20):
        line = f"  {rate:9.1%}"
        for cases, gates in columns:
            fail = power_to_fail(rate, cases, LIMIT, ALPHA / gates)
            line += f"    {fail:.3f} / {power_to_pass(rate, cases, LIMIT, ALPHA / gates):.3f}"
        point = 1 - p_at_least(120 * LIMIT, 120, rate) if rate else 0.0
        print(f"{line}    {point:.3f}")


def savings(chance: np.random.Generator, runs: Runs) -> None:
    """What looks save, and what power they cost, beside other designs."""
    designs = {
        "shipped": SHARES,
        "in proportion": (1 / 6, 2 / 6, 3 / 6),
        "equal": (1 / 3, 1 / 3, 1 / 3),
    }
    print(f"\nSequential, 4 gates (level {ALPHA / 4}), {runs.slow} runs: share of the cases used, share decided")
    print(f"  n    true rate   {''.join(f'{name:17}' for name in (*designs, 'betting', 'fixed'))}")
    for cases in SIZES[1:]:
        ends = [end for end, _ in planned(cases)]
        for rate in (0.0, LIMIT / 2, LIMIT, 2 * LIMIT, 4 * LIMIT):
            drawn = chance.random((runs.slow, cases)) < rate
            found = [
                [_stopped(row, list(zip(ends, shares, strict=True)), ALPHA / 4) for row in drawn]
                for shares in designs.values()
            ]
            found.append(_betting(drawn, ALPHA / 4))
            always = power_to_fail(rate, cases, LIMIT, ALPHA / 4) + power_to_pass(rate, cases, LIMIT, ALPHA / 4)
            cells = [(np.mean([at for at, _ in each]) / cases, np.mean([hit for _, hit in each])) for each in found]
            told = "".join(f"{used:.2f}, {hit:.3f}      " for used, hit in [*cells, (1.0, always)])
            print(f"  {cases:3}  {rate:8.1%}    {told}")


def _stopped(row: Bools, design: Design, level: float) -> tuple[int, bool]:
    for cases, share in design:
        if min(p_of_count(int(row[:cases].sum()), cases)) <= level * share:
            return cases, True
    return len(row), False


def _betting(drawn: Bools, level: float) -> list[tuple[int, bool]]:
    """Looks after every case: test martingales, an even mixture of bets each way (Waudby-Smith & Ramdas 2024)."""
    degraded, asked = drawn.cumsum(axis=1), np.arange(1, drawn.shape[1] + 1)
    hit = np.zeros(drawn.shape, bool)
    for multiples in ((1.25, 1.5, 2, 3, 4, 6), (0.02, 0.1, 0.25, 0.5, 0.7)):
        wealth = np.zeros(drawn.shape)
        for multiple in multiples:
            other = multiple * LIMIT
            logs = degraded * np.log(other / LIMIT) + (asked - degraded) * np.log((1 - other) / (1 - LIMIT))
            wealth += np.exp(logs) / len(multiples)
        hit |= wealth >= 1 / level
    return [(int(row.argmax()) + 1 if row.any() else len(row), bool(row.any())) for row in hit]


def judged_alike(runs: int) -> None:
    """Whole gates through `judge` give the verdicts of the p-values above."""
    chance = random.Random(SEED)  # noqa: S311  (no secret)
    policy = GatePolicy(rule="evidence", max_pass_to_fail=LIMIT, min_robustness=0.5, min_cases=1)
    for _ in range(runs):
        cases, gates = chance.choice(SIZES[:2]), chance.choice((1, 4))
        counts = [min(cases - 1, round(chance.random() ** 3 * 0.3 * cases)) for _ in range(gates)]
        results = judge([_gate(count, cases, policy, str(place)) for place, count in enumerate(counts)], alpha=ALPHA)
        fails, passes = (decided(each) for each in zip(*(p_of_count(count, cases) for count in counts), strict=True))
        for result, fail, passed in zip(results, fails, passes, strict=True):
            expected = Verdict.FAIL if fail else Verdict.PASS if passed else Verdict.INCONCLUSIVE
            if result.verdict is not expected:
                msg = f"judge says {result.verdict} where the p-values say {expected}"
                raise SystemExit(msg)
    print(f"\njudge gives the same verdicts in {runs} runs")


def _gate(count: int, cases: int, policy: GatePolicy, name: str) -> GateInput:
    comparisons = [
        Comparison(
            Case(NAMES[place], (Message("user", "?"),), (CheckSpec("check"),), 16),
            _outcome(followed=True),
            _outcome(followed=place >= count),
        )
        for place in range(cases)
    ]
    return GateInput("slice", name, comparisons, policy, cases, cases)


def _outcome(*, followed: bool) -> Outcome:
    return Outcome(Completion("answer", (1,), "stop", 1), (CheckResult("check", followed, ""),), followed)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    quick = parser.parse_args().quick
    runs = Runs(1000, 200) if quick else Runs(10_000, 1000)
    chance = np.random.default_rng(SEED)
    started = time.perf_counter()
    print(f"seed {SEED}, alpha {ALPHA}, limit {LIMIT}")
    errors_at_the_limit(chance, runs)
    errors_with_clusters(chance, runs)
    errors_over_a_floor(chance, runs)
    errors_of_a_loss(chance, runs)
    power_curve()
    savings(chance, runs)
    errors_with_unequal_clusters(chance, runs)
    judged_alike(20 if quick else 100)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
