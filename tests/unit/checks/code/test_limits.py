"""Each limit, met for real: the answer has violated it, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pytest_quantgate.checks.code import folder, sandbox
from tests.unit.checks.code.conftest import Run

ADD = "def add(a, b):\n    return a + b\n"
SUM = "assert add(1, 2) == 3"


def is_stopped(run_code: Run, answer: str, reason: str, **more: float) -> None:
    """The answer has violated a limit, which is told, and the next one is judged as ever."""
    found = run_code(answer, **more)
    assert found.followed is False
    assert reason in found.reason
    assert run_code(ADD, SUM).followed is True


def test_right_code_passes(run_code: Run) -> None:
    found = run_code(ADD, SUM)
    assert (found.followed, found.reason) == (True, "all tests passed")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param("while True:\n    pass", "took more than 0.5 s of processor time", id="endless loop"),
        pytest.param(
            "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
            "took more than 0.5 s of processor time",
            id="a loop that catches everything",
        ),
        pytest.param(
            "import signal\nfor number in set(signal.Signals) - {9, 19}:\n    signal.signal(number, signal.SIG_IGN)\n"
            "while True:\n    pass",
            "took more than 0.5 s of processor time",
            id="a loop that ignores signals",
        ),
        pytest.param(
            "while True:\n    print('x' * 100_000)", "took more than 0.5 s of processor", id="flood of output"
        ),
        pytest.param("import time\ntime.sleep(60)", "waited for more than 0.5 s without working", id="sleep"),
        pytest.param(
            "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "waited for more than 0.5 s", id="stops itself"
        ),
        pytest.param(
            "import contextlib, os, time\nwhile True:\n    for pipe in range(3, 32):\n"
            "        with contextlib.suppress(OSError):\n            os.write(pipe, b'x')\n    time.sleep(0.1)",
            "waited for more than 0.5 s",
            id="writes to the pipe all the time",
        ),
    ],
)
def test_who_takes_too_long_is_stopped(run_code: Run, answer: str, reason: str) -> None:
    is_stopped(run_code, answer, reason, seconds=0.5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param("kept = []\nwhile True:\n    kept.append('x' * 10**6)", "more than 256 MB of memory", id="memory"),
        pytest.param("x = 'x' * 10**11", "needed more than 256 MB of memory", id="memory at once"),
        pytest.param("def f():\n    return f()\nf()", "RecursionError: ", id="deep recursion"),
        pytest.param(
            "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __repr__(self):\n        return repr(self)\n"
            "repr(A())",
            "",
            id="recursion without a limit",
        ),
    ],
)
def test_running_away_is_stopped(run_code: Run, answer: str, reason: str) -> None:
    is_stopped(run_code, answer, reason)


@pytest.mark.parametrize(
    "answer",
    [
        "import os\nfor _ in range(20):\n    try:\n        os.fork()\n    except BaseException:\n        pass",
        "import subprocess, sys\nfor _ in range(20):\n    subprocess.Popen([sys.executable, '-c', 'pass'])",
        "import os\nos.system('true')",
        "import os\nos.posix_spawn('/bin/true', ['true'], {})",
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()",
    ],
    ids=["fork", "Popen", "system", "spawn", "multiprocessing"],
)
def test_no_child_process_begins(run_code: Run, answer: str) -> None:
    found = run_code(answer)
    assert (found.followed, found.reason) == (False, "started a child process")
    assert run_code(ADD, SUM).followed is True


def test_no_thread_begins(run_code: Run) -> None:
    found = run_code("import threading\nfor _ in range(20):\n    threading.Thread(target=print).start()")
    assert found.followed is False
    assert "thread" in found.reason


@pytest.mark.parametrize("landlock", [True, False])
def test_a_write_outside_its_folder_is_refused(run_code: Run, tmp_path: Path, *, landlock: bool) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    for answer in (
        f"open({str(kept)!r}, 'w').write('x')",
        f"open({str(tmp_path / 'new')!r}, 'a')",
        f"try:\n    open({str(kept)!r}, 'r+')\nexcept BaseException:\n    pass",
        f"import os\nos.remove({str(kept)!r})",
        f"import os\nos.rename({str(kept)!r}, 'mine')",
        f"import os\nos.truncate({str(kept)!r}, 0)",
        f"import os\nos.mkdir({str(tmp_path / 'made')!r})",
        f"import os\nos.chmod({str(kept)!r}, 0)",
        "open('../beside', 'w')",
        f"import pathlib\npathlib.Path({str(kept)!r}).write_text('x')",
        f"import shutil\nshutil.rmtree({str(tmp_path)!r})",
    ):
        found = run_code(answer, landlock=landlock)
        assert found.followed is False, answer
        assert "wrote outside its folder: " in found.reason, answer
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "tmp"}
    assert kept.read_text() == "as it was"
    assert kept.stat().st_mode & 0o400


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("import socket\nsocket.socket()", "opened a socket"),
        ("import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')", ""),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')", "used the network"),
        ("import socket\nsocket.getaddrinfo('localhost', 80)", "used the network"),
        ("import socket\ntry:\n    socket.socket()\nexcept BaseException:\n    pass", "opened a socket"),
    ],
)
def test_no_socket_is_opened(run_code: Run, answer: str, reason: str) -> None:
    found = run_code(answer)
    assert found.followed is False
    assert reason in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os\nos._exit(0)",
        "def add(a, b):\n    import os\n    os._exit(0)",
        "def add(a, b):\n    raise SystemExit(0)",
        "import os\nos.closerange(0, 64)\nos._exit(0)",
        "import os, atexit\natexit.register(print)\nraise KeyboardInterrupt",
    ],
)
def test_leaving_before_the_tests_end_is_no_success(run_code: Run, answer: str) -> None:
    assert run_code(answer, SUM).followed is False


def test_a_claim_of_success_is_not_believed(run_code: Run) -> None:
    claim = (
        "import os\nfor pipe in range(3, 32):\n    try:\n        os.write(pipe, b'passed\\npassed 0\\n')\n"
        "    except OSError:\n        pass\nos._exit(0)"
    )
    found = run_code(claim)
    assert (found.followed, found.reason) == (False, "meddled with the grader's own pipe")


@pytest.mark.parametrize(
    "answer",
    [
        "import builtins\nbuiltins.print = 0\nbuiltins.abs = lambda x: 2\ndef add(a, b):\n    return abs(a)",
        "def add(a, b):\n    import builtins\n    builtins.sorted = None\n    return 3",
        "import builtins\ndel builtins.compile",
    ],
)
def test_builtins_are_left_alone(run_code: Run, answer: str) -> None:
    found = run_code(answer, SUM)
    assert found.followed is False
    assert "means to Python" in found.reason


def test_asserting_cannot_be_disarmed(run_code: Run) -> None:
    disarm = "class AssertionError(BaseException):\n    pass\n__debug = False\ndef add(a, b):\n    return 0"
    assert run_code(disarm, SUM).followed is False


def test_other_processes_are_out_of_reach(run_code: Run) -> None:
    for answer in ("import os\nos.kill(os.getppid(), 0)", "import os\nos.kill(0, 9)", "import os\nos.killpg(1, 15)"):
        assert "signal to" in run_code(answer).reason


def test_files_and_secrets_are_not_read(run_code: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    secret = tmp_path / "secret"
    secret.write_text("hush")
    assert run_code("import os\nseen = dict(os.environ)", "assert 'hush' not in seen.values()").followed is True
    found = run_code(f"text = open({str(secret)!r}).read()")
    if "all tests passed" in found.reason:
        pytest.skip("no Landlock here: files can be read")
    assert found.followed is False
    assert "PermissionError" in found.reason
    assert run_code("import os\nos.listdir('/')").followed is False
    assert run_code(f"open('/proc/{os.getpid()}/environ').read()").followed is False


def test_its_own_folder_can_be_used(run_code: Run) -> None:
    answer = (
        "import os, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    path = os.path.join(folder, 'a')\n"
        "    with open(path, 'w') as file:\n        file.write('hello')\n"
        "    os.rename(path, 'b')\n"
        "text = open('b').read()\n"
    )
    found = run_code(answer, "assert text == 'hello'")
    assert found.followed is True or "no Landlock" in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        "open('big', 'wb').write(b'x' * 10**7)",
        "for n in range(30):\n    open(str(n), 'w').write('x' * 10**6)",
        "import os\nfor _ in range(1_100):\n    os.mkdir('d')\n    os.chdir('d')",
        "import os\nfor n in range(1_100):\n    os.mkdir(str(n), 0)",
    ],
    ids=["one file", "many files", "deeper and deeper", "folders nobody may enter"],
)
def test_its_folder_does_not_fill_the_disk(run_code: Run, answer: str) -> None:
    found = run_code(answer)
    assert found.followed is False or "no Landlock" in found.reason


REMOVED_AND_KEPT = """
import mmap, os
kept = []
while len(kept) < {times}:
    file = os.open('f\\r', os.O_CREAT | os.O_RDWR)
    os.write(file, b'x' * (4 << 20))
    os.unlink('f\\r')
    spare = os.dup(file)
    {keep}
    os.close(spare)
while True:
    pass
"""


@pytest.mark.parametrize(
    ("keep", "times"),
    [
        pytest.param("kept.append(file)", 6, id="open"),
        pytest.param(
            "os.close(spare); kept.append(mmap.mmap(file, 4096, mmap.MAP_PRIVATE, 1)); os.close(file)", 60, id="mapped"
        ),
    ],
)
def test_files_without_a_name_count_as_well(run_code: Run, keep: str, times: int) -> None:
    found = run_code(REMOVED_AND_KEPT.format(keep=keep, times=times))
    assert "wrote more than 16 MB" in found.reason or "no Landlock" in found.reason


def test_what_goes_away_under_the_look_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    scandir = os.scandir

    def look(path: str) -> object:
        if path != str(tmp_path):
            Path(path).rename(tmp_path / "b")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", look)
    with pytest.raises(FileNotFoundError):
        folder.is_too_full(str(tmp_path))


def test_who_renames_things_under_the_look_is_held_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_: str, pid: int) -> bool:
        if psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            raise FileNotFoundError
        return False

    monkeypatch.setattr(folder, "is_too_full", look)
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
        try:
            assert sandbox._is_too_full(process, "") is False  # noqa: SLF001
            assert psutil.Process(process.pid).status() != psutil.STATUS_STOPPED
        finally:
            process.kill()


def test_who_closes_the_pipe_does_not_go_on_unwatched(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
        try:
            seen = sandbox._watched(process, reading, str(tmp_path), sandbox.Job("", ""))  # noqa: SLF001
            assert (seen.status, psutil.Process(process.pid).status()) == (None, psutil.STATUS_STOPPED)
        finally:
            process.kill()
            os.close(reading)


def test_how_a_process_ends_is_waited_for() -> None:
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
            process.kill()
            sandbox._hold(process)  # noqa: SLF001
            assert process.poll() == -signal.SIGKILL


def test_what_comes_before_the_answer_takes_none_of_its_time(run_code: Run) -> None:
    found = run_code(ADD, SUM, setup="import time\ntime.sleep(1.5)", seconds=1)
    assert (found.followed, found.reason) == (True, "all tests passed")


def test_a_case_that_sets_itself_up_for_ever_is_not_the_answers_fault(run_code: Run) -> None:
    found = run_code(ADD, SUM, setup="while True:\n    pass", seconds=0.5)
    assert (found.followed, found.reason) == (
        None,
        "the code was not run: took more than 0.5 s of processor time",
    )


def test_a_write_for_the_answer_that_a_signal_interrupts_goes_on(run_code: Run) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        found = run_code("# " + "\u00e9" * 40_000)  # more than a pipe holds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert found.followed is True


def test_no_answer_has_itself_killed_as_if_from_outside(run_code: Run) -> None:
    shorter = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True:\n    pass"
    assert run_code(shorter).followed is False


def test_without_landlock_an_answer_that_writes_is_not_scored(run_code: Run) -> None:
    found = run_code("open('note', 'w').write('x')", landlock=False)
    assert found.followed is None
    assert "no Landlock" in found.reason
    assert run_code(ADD, SUM, landlock=False).followed is True
