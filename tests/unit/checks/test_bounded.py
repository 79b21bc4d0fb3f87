from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_quantgate.checks.bounded import Worker

SECONDS = 3
"""For what is to run out of them: what is right is graded within them on a slow machine, too."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(seconds=SECONDS)
    yield worker
    worker.close()


@pytest.mark.parametrize("formula", ["9^{9^{9^9}}", "999999999!"])
def test_a_formula_that_never_ends_is_stopped_and_the_next_answer_graded(worker: Worker, formula: str) -> None:
    found = worker.grade("math_answer", (f"${formula}$", "42"))
    assert (found.followed, found.reason) == (None, "grading took more than 3 s of processor time")
    assert worker.grade("math_answer", ("42", "42")).followed is True


def test_a_schema_pattern_that_backtracks_without_end_is_stopped(worker: Worker) -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    found = worker.grade("json_schema", ('"' + "a" * 60 + '!"', schema))
    assert (found.followed, found.reason) == (None, "grading took more than 3 s of processor time")
    assert worker.grade("json_schema", ('"aaa"', schema)).followed is True


def test_both_jobs_share_a_worker(worker: Worker) -> None:
    assert worker.grade("json_schema", ("1", {"type": "integer"})).followed is True
    assert worker.grade("math_answer", ("0.5", "1/2")).followed is True


def test_a_closed_worker_starts_again(worker: Worker) -> None:
    worker.close()
    worker.close()
    assert worker.grade("json_schema", ("1", {"type": "text"})).followed is None
    worker.close()
    assert worker.grade("json_schema", ("1", {"type": "string"})).followed is False


def test_a_worker_that_cannot_start_scores_nothing(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    found = worker.grade("math_answer", ("1", "1"))
    assert found.followed is None
    assert "could not run" in found.reason


def test_a_worker_that_dies_scores_nothing_and_is_replaced(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", "/bin/false")
        found = worker.grade("json_schema", ("1", {"type": "integer"}))
    assert found.followed is None
    assert "without a result" in found.reason
    assert worker.grade("json_schema", ("1", {"type": "integer"})).followed is True
