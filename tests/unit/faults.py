"""Real processes, file systems and signals, for tests of what becomes of files when the machine does not play along.

File systems are mounted in a namespace of the child that uses them, so that nothing of them outlives it, whatever
happens; a folder's mode would not do, since root writes into any.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SAY = """
import sys

def say(text):
    print(text, flush=True)
    sys.stdin.readline()  # until the test goes on, or kills this process
"""


@contextmanager
def process(script: str, *arguments: object, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A process that runs beside the test, and is gone after it."""
    command = [*before, sys.executable, "-c", SAY + script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def line_of(child: subprocess.Popen[str]) -> str:
    """What the process says next."""
    assert child.stdout
    return child.stdout.readline().rstrip("\n")


def go_on(child: subprocess.Popen[str]) -> None:
    """Let a process go on that said something."""
    assert child.stdin
    child.stdin.write("\n")
    child.stdin.flush()


def namespace() -> tuple[str, ...]:
    """What a command is put behind to have mounts of its own."""
    for options in (("--mount",), ("--map-root-user", "--mount")):
        command = ("unshare", *options)
        if (
            shutil.which("unshare")
            and not subprocess.run(
                [*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
            ).returncode
        ):
            return command
    pytest.skip("nothing can be mounted here, by root or in a namespace of users")
