"""Workers of inner runs, forked from one process that has imported what all of them import, and what they show.

pytest-xdist starts a worker as a new interpreter, which imports for more than a second before it collects. Here it is a
fork of a process that has done so and has seen no test: a process of its own all the same, with the same pipes to the
same pytest-xdist. Where workers must come as users get them, the fixture ``started_workers`` brings them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from typing import Final

import pytest
from execnet.gateway_base import ExecModel, Popen2IO

PLUGINS: Final = ("pytest_quantgate.plugin", "xdist.plugin")
"""What sessions load where they load no more than they need; hypothesis takes longest."""

_IMPORTS: Final = "tests.integration.worker_imports"


def only(*plugins: str) -> dict[str, str]:
    """The environment in which sessions load these plugins and no other that is installed."""
    return {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": ",".join(plugins)}


def make_ready() -> None:
    """Start the process that workers are forked from."""
    forkserver.set_forkserver_preload([_IMPORTS])
    forkserver.ensure_running()


class ForkedWorker(Popen2IO):
    """Stands for ``execnet.gateway_io.Popen2IOMaster``, which starts an interpreter.

    Args:
        args: The interpreter's command line; its last word is what to execute.
        execmodel: Execnet's.
    """

    def __init__(self, args: list[str], execmodel: ExecModel) -> None:
        its_input, to_it = os.pipe()
        from_it, its_output = os.pipe()
        pipes = [Connection(its_input, writable=False), Connection(its_output, readable=False), Connection(os.dup(2))]
        environment = {name: value for name, value in os.environ.items() if "\0" not in value}  # as a process gets it
        work = (pipes, environment, args[-1])
        self._process = get_context("forkserver").Process(target=_work, args=work)
        self._process.start()
        for pipe in pipes:
            pipe.close()
        super().__init__(os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb"), execmodel)

    def wait(self) -> int | None:
        """Wait until it has ended."""
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        """End it."""
        self._process.kill()


def _work(pipes: list[Connection], environment: dict[str, str], code: str) -> None:
    """Be what ``python -c CODE`` would be, with these pipes for its standard files."""
    assert _IMPORTS in sys.modules, "what workers import could not be imported beforehand"
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c"]
    exec(code, {"__name__": "__main__"})  # noqa: S102  (the line that execnet hands to an interpreter)


class Order:
    """Learns in which order the workers of an inner run collected their tests."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)


def as_without(result: pytest.RunResult, ids: Sequence[str]) -> pytest.RunResult:
    """What -v shows as ``[gw0] [ 50%] PASSED ID`` in any order, as pytest shows it: ``ID PASSED [ 50%]`` in order."""
    found: list[tuple[int, str]] = []
    lines: list[str] = []
    place = 0
    for line in result.outlines:
        match = re.fullmatch(r"\[gw\d+\] (\[ *\d+%\]) (\w+) (.*?) *", line)
        if match is not None:
            place = place or len(lines)
            found.append((ids.index(match[3]), f"{match[3]} {match[2]} {match[1]}"))
        elif line.rstrip() not in ids:
            lines.append(line)
    lines[place:place] = [line for _, line in sorted(found)]
    return pytest.RunResult(result.ret, lines, result.errlines, result.duration)


def counts(result: pytest.RunResult) -> dict[str, int]:
    """The numbers of the last line, whose order is that in which workers' results arrive; without warnings."""
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}
