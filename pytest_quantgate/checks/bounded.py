"""Grading that could run away, in a process of its own that the operating system stops.

A 13-character answer such as ``9^{9^{9^9}}`` keeps sympy busy for ever inside one operation that no thread or
signal handler can interrupt, and a schema's pattern can backtrack without end. So math-verify and jsonschema
run in one worker process, bounded in processor time (not wall time: a busy machine changes no verdict) and in
memory. The worker is started at first use, reused, and replaced after it was stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from typing import Any, Literal

from pytest_quantgate.checks.finding import Finding, unscored
from pytest_quantgate.checks.remembered import remembered

Job = Literal["math_answer", "json_schema"]

SECONDS = 5
"""Processor time that one grading may take; importing its library is not counted."""

MEMORY_BYTES = 2 << 30
"""Address space that the worker may take."""


def grade_bounded(job: Job, *arguments: Any) -> Finding:
    """Run one grading in the worker, unless its finding is remembered: only those that judge the answer are.

    Args:
        job: What to run; the table is in worker.py.
        arguments: Plain JSON values.

    Returns:
        The job's finding; not scored when the worker ran into a limit or could not run.
    """

    def work_out() -> dict[str, Any]:
        found = _worker().grade(job, arguments)
        return {"followed": found.followed, "reason": found.reason}

    fields = remembered(job, arguments, work_out, _judges)
    return Finding(fields["followed"], fields["reason"])


def _judges(found: Any) -> bool:
    """Whether a finding is for or against the answer; what ran into a limit may get further on another machine."""
    return isinstance(found, dict) and isinstance(found.get("followed"), bool) and isinstance(found.get("reason"), str)


class Worker:
    """A child process that grades, one request at a time; safe to call from several threads.

    Args:
        seconds: Processor time that one grading may take.
    """

    def __init__(self, seconds: int = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def grade(self, job: Job, arguments: tuple[Any, ...]) -> Finding:
        """Send one request and wait for its finding."""
        with self._lock:
            try:
                process = self._started()
                reply = _exchange(process, json.dumps([job, arguments]))
            except OSError as error:
                self._stop()
                return unscored(f"the grading process could not run: {error}")
            except BaseException:
                # interrupted while waiting: a late reply must not be taken for the next request's
                self._stop()
                raise
            if not reply.endswith("\n"):
                return unscored(self._epitaph())
        fields = json.loads(reply)
        return Finding(fields["followed"], fields["reason"])

    def close(self) -> None:
        """End the process; the next request starts a new one."""
        with self._lock:
            self._stop()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            # the child imports what this process can import, and orders its sets alike in every run
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._process = subprocess.Popen(  # noqa: S603  (this interpreter and a module of this package)
                [sys.executable, "-P", "-m", "pytest_quantgate.checks.worker", str(self._seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="ascii",
                env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"},
                start_new_session=True,  # Ctrl-C is for the run, which then closes its worker
            )
        return self._process

    def _epitaph(self) -> str:
        """Reap a worker that gave no reply, and say why it ended."""
        status = self._process.wait() if self._process else 0
        self._stop()
        if status == -signal.SIGXCPU:
            return f"grading took more than {self._seconds} s of processor time"
        return f"the grading process ended without a result (status {status})"

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                # closing flushes, and nobody reads any more
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._process = None


def _exchange(process: subprocess.Popen[str], request: str) -> str:
    """The reply to a request, one line; less than that when the process ended instead."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(f"{request}\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


@cache
def _worker() -> Worker:
    """One worker serves the whole process: it holds no state that a caller could see."""
    worker = Worker()
    atexit.register(worker.close)
    return worker
