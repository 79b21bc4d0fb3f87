"""The walls alone, without the audit hook in front of them: what the kernel itself refuses."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.checks.code.seccomp import filter_program
from pytest_quantgate.checks.code.syscalls import CONDITIONAL, FATAL, FOLDERS, HARMLESS, MACHINES

ROOT = Path(__file__).parents[4]

PATIENCE = 600
"""Seconds that a process may take which takes a tenth of one: nobody waits for ever where it hangs."""

BEHIND_WALLS = """
import ctypes, fcntl, os, resource, signal, socket, sys, threading
from pytest_quantgate.checks.code import walls
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall  # looked up while it may be
os.chdir(sys.argv[1])
guarded = walls.put_up(sys.argv[1], parent=os.getppid(), seconds=5, memory_bytes=512 << 20, use_landlock={landlock})
print("guarded" if guarded else "unguarded", flush=True)
try:
    {attempt}
except BaseException as error:
    print("refused", type(error).__name__, flush=True)
else:
    print("done", flush=True)
"""


def behind_walls(folder: Path, attempt: str, *, landlock: bool = True, **options: Any) -> tuple[int, list[str]]:
    """Exit status and what was printed by an attempt behind the walls."""
    script = BEHIND_WALLS.format(attempt=attempt, landlock=landlock)
    python = options.pop("python", sys.executable)
    done = subprocess.run(
        [python, "-P", "-B", "-c", script, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        timeout=PATIENCE,
        **options,
    )
    return done.returncode, done.stdout.split("\n")[:-1] or [done.stderr]


@pytest.mark.parametrize("landlock", [True, False])
@pytest.mark.parametrize(
    "attempt",
    [
        "os.fork() or os._exit(0)",
        "libc.fork() or os._exit(0)",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "threading.Thread(target=print).start()",
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_UNIX)",
        "os.kill(os.getppid(), signal.SIGTERM)",
        "os.unshare(0)" if hasattr(os, "unshare") else "libc.unshare(0)",
        "libc.ptrace(0, 0, 0, 0)",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', '/dev/log')",
    ],
)
def test_what_no_honest_code_does_ends_the_process(tmp_path: Path, attempt: str, *, landlock: bool) -> None:
    status, said = behind_walls(tmp_path, attempt, landlock=landlock)
    assert status == -signal.SIGSYS, said
    assert len(said) == 1


@pytest.mark.parametrize("landlock", [True, False])
@pytest.mark.parametrize(
    "attempt",
    [
        "open('../kept', 'w')",
        "os.remove('../kept')",
        "os.rename('../kept', 'mine')",
        "os.link('../kept', 'mine')",
        "os.symlink('/', 'root')",
        "os.mkfifo('pipe')",
        "os.truncate('../kept', 0)",
        "os.open('../kept', os.O_RDONLY | os.O_TRUNC)",
        "os.chmod('../kept', 0o777)",
        "os.utime('../kept', (0, 0))",
        "os.chown('../kept', 1, 1)",
        "os.mkdir('../made')",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.setsid()",
        "os.setuid(1)",
        "os.sched_setaffinity(os.getppid(), [0])",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
        "os.memfd_create('memory')",
        "bytearray(1 << 40)",
    ],
)
def test_what_is_forbidden_is_refused(tmp_path: Path, attempt: str, *, landlock: bool) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    mode = kept.stat().st_mode
    folder = tmp_path / "own"
    folder.mkdir()
    status, said = behind_walls(folder, attempt, landlock=landlock)
    assert status == 0, said
    assert said[1].startswith("refused "), said
    assert kept.read_text() == "as it was"
    assert kept.stat().st_mode == mode
    assert list(folder.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "own"}


def test_of_sockets_only_local_pairs_are_asked_for(tmp_path: Path) -> None:
    tipc = 30
    assert behind_walls(tmp_path, f"socket.socketpair({tipc}, socket.SOCK_SEQPACKET)")[1][1:] == [
        "refused PermissionError"
    ]
    assert behind_walls(tmp_path, "socket.socketpair()")[1][1:] == ["done"]


def test_a_crash_is_not_handed_to_a_collector_of_crashes(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    _, said = behind_walls(tmp_path, "print(resource.getrlimit(resource.RLIMIT_CORE))")
    assert said[1] == str((1, 1) if hard != 0 else (0, 0))


def test_processor_time_ends_first_with_the_signal_that_says_so(tmp_path: Path) -> None:
    attempt = "[limits := open('/proc/self/limits').read(), print(*limits.split('Max cpu time')[1].split()[:2])]"
    _, said = behind_walls(tmp_path, attempt, landlock=False)
    soft, hard = map(int, said[1].split())
    assert soft < hard


def test_root_keeps_none_of_its_powers(tmp_path: Path) -> None:
    status, said = behind_walls(
        tmp_path, "print([line for line in open('/proc/self/status') if 'CapEff' in line])", landlock=False
    )
    assert status == 0, said
    assert "CapEff:\\t0000000000000000" in said[1]


def test_the_walls_hold_for_an_ordinary_user_too() -> None:
    python = next((path for path in (shutil.which("python3", path="/usr/bin:/bin"),) if path), None)
    if os.geteuid() != 0 or python is None:
        pytest.skip("only root can become somebody else")
    user: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": [], "python": python}
    version = subprocess.run(
        [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False, env={}, timeout=PATIENCE
    )
    if version.returncode:
        pytest.skip("the system's Python is too old")
    folder = Path("/tmp")  # noqa: S108  (somewhere that user can be; nothing is written)
    assert behind_walls(folder, "os.fork()", **user)[0] == -signal.SIGSYS
    status, said = behind_walls(folder, "open('/tmp/../etc/hostname', 'w')", **user)
    assert (status, said[1].split()[0]) == (0, "refused"), said
    script = (
        "from pytest_quantgate.checks.code.sandbox import Job, run\n"
        "for answer in ('x = 1', 'import os; os.fork()', 'while True: pass'):\n"
        "    print(run(Job(answer, 'assert True')).followed)"
    )
    options = {key: value for key, value in user.items() if key != "python"}
    done = subprocess.run(
        [python, "-P", "-B", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},
        timeout=PATIENCE,
        **options,
    )
    assert done.stdout.split() == ["True", "False", "False"]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("may_write", [True, False])
def test_every_path_through_the_filter_ends_in_a_verdict(machine: str, *, may_write: bool) -> None:
    program = filter_program(machine, 1234, may_write=may_write)
    assert len(program) < 4096  # what the kernel takes
    for index, (code, if_true, if_false, _) in enumerate(program):
        if code & 0x07 == 0x05:  # a jump
            assert index + 1 + max(if_true, if_false) < len(program)
    assert program[-1][0] == 0x06


def test_no_system_call_has_two_verdicts() -> None:
    tables = (HARMLESS, CONDITIONAL, FOLDERS, FATAL)
    for column in (0, 1):
        numbers = [entry[column] for table in tables for entry in table.values() if entry[column] is not None]
        assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("job", [b"", b"1", b"100\n{"])
def test_a_process_whose_starter_is_gone_ends(job: bytes) -> None:
    start = "from pytest_quantgate.checks.code.inside import main; main()"
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", start, str(ROOT), "1"],
        check=False,
        input=job,
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (1, b"")
