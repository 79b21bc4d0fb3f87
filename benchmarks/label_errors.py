"""How often labels mislead: the weighted agreement of a stratified sample, simulated through the shipped code.

    python benchmarks/label_errors.py

Each line is one slice of 1,000 answers in three strata (unchanged, reworded, degraded), drawn as `quantgate calibrate`
draws. The limit is exactly the true disagreement, where errors are most frequent.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from pytest_quantgate.commands.label_draw import in_turn
from pytest_quantgate.gate.limits import Share

SEED = 20_261_122
RUNS = 3_000
LEVEL = 0.05
SIZES = (800, 150, 50)
WRONG = {
    "the same everywhere": (0.06, 0.06, 0.06),
    "wrong where it changed": (0.03, 0.10, 0.40),
    "wrong where it is common": (0.07, 0.02, 0.02),
    "wrong where it is rare": (0.01, 0.01, 0.90),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of runs in which the 95% interval held the truth, and in which either test was wrong."""

    covered: float
    false_alarm: float
    false_pass: float


def simulate(wrong: tuple[float, ...], cases: int) -> Found:
    """Draw and judge many samples of so many cases."""
    chance = random.Random(SEED)  # noqa: S311  (a simulation, no secret)
    true = sum(size * share for size, share in zip(SIZES, wrong, strict=True)) / sum(SIZES)
    drawn = Counter(islice(in_turn({str(number): size for number, size in enumerate(SIZES)}), cases))
    covered = alarms = passes = 0
    for _ in range(RUNS):
        values, weights = [], []
        for number, (size, share) in enumerate(zip(SIZES, wrong, strict=True)):
            count = drawn[str(number)]
            answers = [float(chance.random() < share) for _ in range(size)]
            values += chance.sample(answers, count)
            weights += [size / count] * count
        found = Share(values, range(len(values)), true, weights)
        interval = found.interval()
        covered += interval is not None and interval.low <= true <= interval.high
        alarms += found.p_above() <= LEVEL
        passes += found.p_below() <= LEVEL
    return Found(covered / RUNS, alarms / RUNS, passes / RUNS)


def main() -> None:
    """Print a table."""
    print("| the check is | labelled cases | interval holds | false alarm | false pass |")
    print("| --- | --- | --- | --- | --- |")
    for name, wrong in WRONG.items():
        for cases in (60, 100, 200):
            found = simulate(wrong, cases)
            figures = f"{found.covered:.3f} | {found.false_alarm:.3f} | {found.false_pass:.3f}"
            print(f"| {name} | {cases} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
