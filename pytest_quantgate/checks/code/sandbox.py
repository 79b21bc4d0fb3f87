"""Starting the process that runs an answer, watching it, and reading its verdict."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_quantgate.checks.code import folder as folders
from pytest_quantgate.checks.code import seccomp
from pytest_quantgate.checks.finding import Finding, followed, unscored, violated

LOOK_EVERY = 0.02
"""Seconds between two looks at what the process has used."""

MAX_TOLD = 4_000
"""Bytes that a process may write to its verdict pipe; its own lines are shorter."""

STARTING_SECONDS = 30
"""Beside the answer's time, for what comes before it: Python starts, from a busy disk, and sets the case up."""

BUSY_FACTOR, BUSY_SECONDS = 20, 60
"""A process that could compute for so little of so long a time is not judged: the machine was too busy."""

_ROOT = str(Path(__file__).parents[3])
# behind the standard library: what is installed beside this package must not stand in for a part of it
_START = "import sys; sys.path.append(sys.argv[1]); from pytest_quantgate.checks.code.inside import main; main()"


@dataclass(frozen=True, slots=True)
class Job:
    """What to run, and what it may use.

    Attributes:
        setup: The case's Python, run before the answer.
        prefix: The prompt's Python, run before the answer where it can be by itself.
        answer: The answer's Python.
        tests: Assertions, run behind it in the same module.
        entry_point: A name that the answer must define, or empty.
        seconds: Processor time; and as long a time without working.
        memory_mb: Address space.
        landlock: Whether to use it where there is one.
        ended: The answer's code is whole; otherwise lines at its end that do not compile are dropped.
    """

    answer: str
    tests: str
    setup: str = ""
    prefix: str = ""
    entry_point: str = ""
    seconds: float = 5.0
    memory_mb: int = 256
    landlock: bool = True
    ended: bool = True


@dataclass(slots=True)
class _Watched:
    """What became of a process: what it told, its exit status, and why it was stopped if it was."""

    told: bytes = b""
    status: int | None = None
    stopped: str | None = None
    starved: bool = False


def run(job: Job) -> Finding:
    """Run a job; when this returns, nothing of it is left running and nothing on disk.

    Returns:
        Followed when the tests ended well; violated when they did not or a limit was reached; unscored when the
        sandbox or the case's own code failed, and when something outside ended the process.
    """
    if not seccomp.supported():
        return unscored("code cannot be confined on this system (Linux on x86_64 or aarch64 can), so it was not run")
    word = secrets.token_hex(16).encode()
    try:
        with folders.own_folder() as folder:
            seen = _run_in(folder, job, word)
            if folders.is_too_full(folder):  # it may have been quicker than the looks at it
                seen.stopped = _too_full()
    except OSError as error:
        return unscored(f"the sandbox could not be set up: {error}")
    return _verdict(seen, word, job)


def _run_in(folder: str, job: Job, word: bytes) -> _Watched:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as verdict:
        try:
            process = _started(folder, writing)
        finally:
            os.close(writing)
        try:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError), process.stdin:  # it failed to start; what it told says why
                    process.stdin.write(_encoded(job, folder) + word)
            return _watched(process, verdict.fileno(), folder, job)
        finally:
            process.kill()
            process.wait()


def _started(folder: str, writing: int) -> subprocess.Popen[bytes]:
    # sets in one order in every run, no site-packages, and nothing of the user's environment
    environment = {
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": folder,
        "TMPDIR": folder,
    }
    options = ["-S", "-s", "-P", "-W", "ignore", "-X", "utf8"]
    return subprocess.Popen(  # noqa: S603  (this interpreter and a module of this package)
        [sys.executable, *options, "-c", _START, _ROOT, str(writing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        pass_fds=(writing,),
        start_new_session=True,  # Ctrl-C is for the run, and a signal to the group reaches nobody else
    )


def _encoded(job: Job, folder: str) -> bytes:
    fields = {
        "answer": job.answer,
        "tests": job.tests,
        "setup": job.setup,
        "prefix": job.prefix,
        "entry_point": job.entry_point,
        "seconds": job.seconds,
        "memory_bytes": job.memory_mb << 20,
        "landlock": job.landlock,
        "ended": job.ended,
        "folder": folder,
        "parent": os.getpid(),
    }
    text = json.dumps(fields).encode("ascii")
    return b"%d\n%s" % (len(text), text)


class _Allowance:
    """How long a process may go on: at first until its answer begins, and then for as long as an answer may.

    Args:
        pid: The process.
        seconds: Processor time of the answer; and as long a time without working.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid = pid
        self._seconds = seconds
        self._started = time.monotonic()
        self._before: tuple[float, float] | None = None  # when the answer began

    def begin(self) -> None:
        """The answer begins, which it does once, however much it writes to the pipe afterwards."""
        self._before = self._before or _used(self._pid, time.monotonic() - self._started)

    def look(self, seen: _Watched) -> None:
        """Note why the process must be stopped, if it must."""
        allowed = self._seconds + (0 if self._before else STARTING_SECONDS)
        worked_before, waited_before = self._before or (0.0, 0.0)
        elapsed = time.monotonic() - self._started
        worked, waited = _used(self._pid, elapsed)
        if worked - worked_before > allowed:
            seen.stopped = _too_long(allowed)
        elif waited - waited_before > allowed:
            seen.stopped = f"waited for more than {allowed:g} s without working"
        elif elapsed > BUSY_FACTOR * self._seconds + BUSY_SECONDS:
            seen.starved = True


def _watched(process: subprocess.Popen[bytes], pipe: int, folder: str, job: Job) -> _Watched:
    """Read the verdict until there is one, the process has ended or it must be stopped."""
    seen = _Watched()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    allowance = _Allowance(process.pid, job.seconds)
    while True:
        if poll.poll(LOOK_EVERY * 1_000):
            piece = os.read(pipe, MAX_TOLD)
            seen.told += piece
            if not piece:
                _hold(process)  # if it only closed the pipe, it does not go on unwatched
                seen.status = process.poll()
                return seen
            if seen.told.count(b"\n") > 1 or seen.told.startswith(b"unwalled") or len(seen.told) >= MAX_TOLD:
                return seen
            if b"\n" in seen.told:
                allowance.begin()
        allowance.look(seen)
        if not seen.stopped and not seen.starved and _is_too_full(process, folder):
            seen.stopped = _too_full()
        if seen.stopped or seen.starved:
            return seen


def _is_too_full(process: subprocess.Popen[bytes], folder: str) -> bool:
    """Look at the folder; a process that renames or removes things under the look is held meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return folders.is_too_full(folder, process.pid)
    _hold(process)
    try:
        return folders.is_too_full(folder, process.pid)
    except FileNotFoundError:  # it cannot be held, which no honest code manages
        return True
    finally:
        process.send_signal(signal.SIGCONT)


def _hold(process: subprocess.Popen[bytes]) -> None:
    """Stop a process; when this returns it has stopped or ended, however busy the machine is."""
    process.send_signal(signal.SIGSTOP)
    if process.returncode is None:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _used(pid: int, elapsed: float) -> tuple[float, float]:
    """Seconds for which a process worked, and for which it did not even want to: a busy machine counts as neither."""
    try:
        worked, queued = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[:2]
    except (OSError, ValueError):  # a kernel that does not tell: RLIMIT_CPU counts the work, and this is lenient
        return 0.0, elapsed / 4
    return int(worked) / 1e9, elapsed - (int(worked) + int(queued)) / 1e9


def _verdict(seen: _Watched, word: bytes, job: Job) -> Finding:
    ready, _, told = seen.told.partition(b"\n")
    ended = _too_long(job.seconds) if seen.status == -signal.SIGXCPU else _ending(seen.status)
    if ready not in (b"ready 0", b"ready 1"):
        why = ready.partition(b" ")[2].decode("ascii", "replace") or seen.stopped or ended
        return unscored(f"the code was not run: {why}")
    if told and not seen.stopped:
        return _told(told, word, guarded=ready == b"ready 1")
    if seen.starved:
        return unscored("the machine was too busy to run the code")
    if seen.status == -signal.SIGKILL:
        return unscored("something outside ended the process (out of memory?)")
    return violated(seen.stopped or ended)


def _told(told: bytes, word: bytes, *, guarded: bool) -> Finding:
    if told == b"passed %s\n" % word:
        return followed("all tests passed")
    kind, _, said = told.partition(b"\n")[0].partition(b" ")
    reason = said.decode("ascii", "replace")
    if kind == b"files" and reason and not guarded:
        return unscored(reason)
    if kind == b"violated" and reason:
        return violated(reason)
    return violated("meddled with the grader's own pipe")


def _too_full() -> str:
    return f"wrote more than {folders.MAX_BYTES >> 20} MB or {folders.MAX_ENTRIES:,} files into its folder"


def _too_long(seconds: float) -> str:
    return f"took more than {seconds:g} s of processor time"


def _ending(status: int | None) -> str:
    """How a process ended that told nothing."""
    if status is None:
        return "closed the grader's own pipe"
    if status == -signal.SIGSYS:
        return "made a system call that the sandbox forbids (a thread, a child process, a socket or the like)"
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})" if -status in set(signal.Signals) else f"crashed ({-status})"
    return "left Python before the tests had ended"
