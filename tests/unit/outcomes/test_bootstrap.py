from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import bootstrap

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.checks.remembered import keep_in
from pytest_quantgate.outcomes.bootstrap import RESAMPLES, SEED, group_totals, ratio_interval
from pytest_quantgate.outcomes.intervals import wilson

CHANCE = random.Random(5)
SKEWED = [CHANCE.choice([0.0, 0.0, 0.0, 0.25, 0.5, 1.0]) for _ in range(60)]
LENGTHS = [CHANCE.randint(1, 160) for _ in range(60)]
ASK = """
import sys
from pathlib import Path
from pytest_quantgate.checks.remembered import keep_in
from pytest_quantgate.outcomes.bootstrap import ratio_interval
with keep_in(Path(sys.argv[1])):
    print(ratio_interval([0, 0, 1, float(sys.argv[2])], [1] * 4, range(4)), "numpy" in sys.modules, sep=";")
"""


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("denominators", [[1] * 60, LENGTHS], ids=["mean", "ratio"])
@pytest.mark.parametrize("groups", [range(60), [each // 4 for each in range(60)]], ids=["cases", "clusters"])
def test_it_is_the_bca_interval_of_scipy(denominators: list[float], groups: list[int], confidence: float) -> None:
    tops, bottoms = np.array(group_totals(SKEWED, denominators, groups)).T

    def ratio(drawn: npt.NDArray[np.int64], axis: int) -> Any:
        return tops[drawn].sum(axis) / bottoms[drawn].sum(axis)

    expected = bootstrap(
        (np.arange(len(tops)),),
        ratio,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    interval = ratio_interval(SKEWED, denominators, groups, confidence)

    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert interval.method == "BCa bootstrap"


def test_a_share_of_many_cases_has_about_its_wilson_interval() -> None:
    interval, expected = ratio_interval([1.0] * 120 + [0.0] * 280, [1] * 400, range(400)), wilson(120, 400)

    assert interval is not None
    assert expected is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_the_order_of_the_cases_does_not_matter() -> None:
    mixed = random.Random(1).sample(range(60), 60)

    assert ratio_interval(
        [SKEWED[each] for each in mixed], [LENGTHS[each] for each in mixed], [each // 3 for each in mixed]
    ) == ratio_interval(SKEWED, LENGTHS, [each // 3 for each in range(60)])


def test_cases_that_share_a_cluster_and_are_alike_say_less() -> None:
    alone = ratio_interval(SKEWED * 4, [1] * 240, range(240))
    alike = ratio_interval(SKEWED * 4, [1] * 240, [each % 60 for each in range(240)])

    assert alone is not None
    assert alike is not None
    assert (alike.high - alike.low) == pytest.approx(2 * (alone.high - alone.low), rel=0.1)


def test_many_groups_are_resampled_in_batches() -> None:
    chance = random.Random(2)
    values = [chance.random() for _ in range(3000)]
    interval = ratio_interval(values, [1] * 3000, range(3000))
    error = NormalDist().inv_cdf(0.975) * float(np.std(values)) / 3000**0.5

    assert interval is not None
    assert (interval.high - interval.low) / 2 == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize(
    ("numerators", "denominators", "groups"),
    [
        ([], [], []),
        ([1.0], [1.0], ["a"]),
        ([1.0, 0.0], [1.0, 1.0], ["a", "a"]),
        ([1.0] * 9, [1.0] * 9, range(9)),
        ([1.0, 2.0, 4.0], [3.0, 6.0, 12.0], range(3)),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], range(3)),
        ([0.0, 0.0], [0.0, 0.0], range(2)),
        ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0], range(3)),
    ],
    ids=[
        "no case",
        "one case",
        "one group",
        "all alike",
        "one ratio",
        "all 0",
        "no denominator",
        "resamples without a denominator",
    ],
)
def test_what_cannot_be_estimated_is_none_and_warns_of_nothing(
    numerators: list[float], denominators: list[float], groups: list[str]
) -> None:
    assert ratio_interval(numerators, denominators, groups) is None


def test_the_unit_of_the_numbers_does_not_matter() -> None:
    interval, tiny = (
        ratio_interval([1, 3, 7], [1] * 3, range(3)),
        ratio_interval([1e-200, 3e-200, 7e-200], [1] * 3, range(3)),
    )

    assert interval is not None
    assert tiny is not None
    assert (tiny.low * 1e200, tiny.high * 1e200) == pytest.approx((interval.low, interval.high))


def test_a_group_is_summed_whatever_its_name() -> None:
    totals = group_totals([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], ["a", ("b", 1), "a"])

    assert totals == [(2.0, 1.0), (5.0, 2.0)]


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratio_interval([1.0], [1.0, 1.0], ["a", "b"])


def test_numpy_is_imported_only_for_what_no_run_asked_before(tmp_path: Path) -> None:
    def ask(value: str) -> list[str]:
        command = [sys.executable, "-c", ASK, str(tmp_path / "findings.sqlite3"), value]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split(";")

    interval = str(ratio_interval([0, 0, 1, 0.5], [1] * 4, range(4)))
    assert [ask("0.5"), ask("0.5")] == [[interval, "True"], [interval, "False"]]
    assert ask("0.25")[1] == "True"


def test_that_there_is_no_interval_is_kept_too(tmp_path: Path) -> None:
    # one group in three has a denominator, so that resamples without any are common
    values = [1.0, 0.0, 0.0]
    for _ in range(2):
        with keep_in(tmp_path / "findings.sqlite3"):
            assert ratio_interval(values, values, range(3)) is None
    database = sqlite3.connect(tmp_path / "findings.sqlite3")
    assert database.execute("SELECT value FROM found").fetchall() == [("[]",)]
    database.close()


@pytest.mark.parametrize("told", ["[0.9, 0.1]", "[NaN, 1.0]", "[0.5]", '["0", "1"]', '{"low": 0.0}', "7"])
def test_ends_that_no_interval_has_are_not_believed(tmp_path: Path, told: str) -> None:
    values = [0.0, 0.0, 1.0, 0.5]
    expected = ratio_interval(values, [1] * 4, range(4))
    with keep_in(tmp_path / "findings.sqlite3"):
        ratio_interval(values, [1] * 4, range(4))
    database = sqlite3.connect(tmp_path / "findings.sqlite3", isolation_level=None)
    ((key,),) = database.execute("SELECT key FROM found").fetchall()
    database.execute("UPDATE found SET value = ?, seal = ?", (told, digest_of([key, told])))
    database.close()
    with keep_in(tmp_path / "findings.sqlite3"):
        assert ratio_interval(values, [1] * 4, range(4)) == expected
