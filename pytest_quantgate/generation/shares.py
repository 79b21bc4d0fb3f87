"""One variant on several devices: a process for each, and each answers its share of the requests.

In float32 answers do not depend on who else is in a batch, so they are those of one process. In half precision another
batch may turn a near tie, and bitsandbytes int8 depends on its neighbours: ``--quant-noise-floor`` measures how much.
Whatever a process finishes is kept at once; when one fails, or on an interrupt, the others are ended, and what all of
them told by then is not made again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from time import monotonic, sleep
from typing import Literal

from pytest_quantgate.errors import ModelError, QuantgateError, SpecError
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import Progress
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.memory import check_memory
from pytest_quantgate.variants.mix import map_of
from pytest_quantgate.variants.registry import Entry, entry_of
from pytest_quantgate.variants.spec import MIX, VariantSpec
from pytest_quantgate.variants.variant import Variant

_ENDING_SECONDS = 20.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is started for.

    Attributes:
        variant: Who answers, on the device of this process.
        entries: By name, its backend and those of the parts of a mix, which a plugin may have added.
        processes: How many processes share its device: of a CPU, its processors and its memory.
    """

    variant: Variant
    entries: Mapping[str, Entry]
    processes: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Finished answers, by request digest."""

    completions: Mapping[str, Completion]


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many cases and tokens more."""

    cases: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that the user should read."""

    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a process gave up.

    Attributes:
        text: For people; with a traceback where the fault is ours or a library's.
        expected: It is one of our own errors.
    """

    text: str
    expected: bool


Told = Audit | Kept | Advanced | Noted | Literal["ready"]
"""What a process tells while it works; that it is ready once it is loaded, and again after each share."""


class Shares:
    """A variant that is loaded once on each of several devices.

    Args:
        variants: The same variant on each of them.
        audited: Told what the audit found.
    """

    def __init__(self, variants: Sequence[Variant], audited: Callable[[Audit], None]) -> None:
        self._variants = variants
        self._audited = audited
        self._running: list[_Process] = []

    def generate(
        self, requests: Sequence[Request], keep: Callable[[Mapping[str, Completion]], None], progress: Progress
    ) -> None:
        """Answer requests.

        Args:
            requests: What is asked.
            keep: Called with answers as soon as they are finished, by digest.
            progress: Told how far it has come.

        Raises:
            QuantgateError: A process could not load the variant, or ended.
            RuntimeError: A process failed at something else.
        """
        shares = deal(requests, len(self._variants))
        self._start(len(shares))
        busy = {process.connection: process for process in self._running[: len(shares)]}
        left = dict(zip(busy.values(), shares, strict=True))
        for process in [each for each in left if each.ready]:  # since an earlier turn
            process.send(left.pop(process))
        try:
            self._listen(busy, left, keep, progress)
        except BaseException:  # of one process, or an interrupt: what all have told by now is not made again
            for process in busy.values():
                for completions in process.finished():
                    keep(completions)
            raise

    def _listen(
        self,
        busy: dict[Connection, _Process],
        left: dict[_Process, list[Request]],
        keep: Callable[[Mapping[str, Completion]], None],
        progress: Progress,
    ) -> None:
        """Take what the busy processes tell until each has answered its share; those in ``left`` still get theirs."""
        while busy:
            for ready in wait(list(busy)):
                process = busy[ready]  # type: ignore[index]  # one of those that were handed in
                match process.receive():
                    case "ready" if process in left:  # sent before, a long share would block until all is loaded
                        process.send(left.pop(process))
                    case "ready":
                        del busy[process.connection]
                    case Kept(completions):
                        keep(completions)
                    case Advanced(cases, tokens):
                        progress.advance(cases, tokens)
                    case Noted(message):
                        progress.note(f"{process.device}: {message}")
                    case audit:
                        self._audited(audit)

    def _start(self, wanted: int) -> None:
        """Start processes until there are so many.

        Raises:
            ModelError: Those that share a memory do not fit in it together.
        """
        devices = [variant.device for variant in self._variants]
        fresh = slice(len(self._running), wanted)
        for variant in self._variants[fresh]:
            together = devices[fresh].count(variant.device)
            if together > 1:  # one alone looks itself; a GPU is never shared, and asking it here would take its memory
                check_memory(variant.needed_bytes, variant.device, str(variant.spec), together)
        for variant in self._variants[fresh]:
            self._running.append(_Process(variant, devices.count(variant.device)))

    def close(self) -> None:
        """End all processes; what they work on is lost."""
        for process in self._running:
            process.close()
        self._running.clear()


def deal(requests: Sequence[Request], hands: int) -> list[list[Request]]:
    """Requests in shares that take about as long: by the length of their prompts, as cards are dealt.

    Args:
        requests: At least one.
        hands: How many shares; fewer are made of fewer requests.
    """
    ordered = sorted(requests, key=lambda each: sum(len(message.content) for message in each.messages), reverse=True)
    return [ordered[first::hands] for first in range(min(hands, len(ordered)))]


def _entries(spec: VariantSpec) -> dict[str, Entry]:
    """By name, the backends that a variant needs."""
    parts = map_of(spec).specs if spec.name == MIX else ()
    return {each.name: entry_of(each.name) for each in (spec, *parts)}


def _packed(job: Job) -> memoryview:
    """What another process can read.

    Raises:
        SpecError: A plugin's backend describes the variant with what none can.
    """
    try:
        return ForkingPickler.dumps(job)
    except Exception as error:  # what cannot be packed says so in many ways
        raise SpecError(
            f"its backend describes it with what no other process can be sent: {error}",
            where=f"variant {str(job.variant.spec)!r}",
            hint="run it on one device, or repair the plugin that registered it",
        ) from error


class _Process:
    """A process for one device.

    Args:
        variant: Who answers, on that device.
        processes: As of a ``Job``.

    Raises:
        SpecError: As for ``_packed``; nothing was started.

    Attributes:
        device: Where it is.
        connection: What it tells comes here.
        ready: It waits for a share.
    """

    def __init__(self, variant: Variant, processes: int) -> None:
        self.ready = False
        self._torn = False  # a message was begun to be read, and not to its end
        self.device = variant.device
        self._spec = str(variant.spec)
        self._offline = variant.offline
        job = _packed(Job(variant, _entries(variant.spec), processes))
        self.connection, theirs = Pipe()
        with theirs:
            # the child imports what this process can import
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._child = subprocess.Popen(  # noqa: S603  (this interpreter and a module of this package)
                [sys.executable, "-P", "-m", "pytest_quantgate.generation.share", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the run, which then ends its processes
            )
        with suppress(OSError):  # as in send
            self.connection.send_bytes(job)

    def send(self, what: Sequence[Request]) -> None:
        """Hand over what is to be done; a process that has ended is told by what it said last."""
        self.ready = False
        with suppress(OSError):
            self.connection.send(what)

    def receive(self) -> Told:
        """What the process tells next.

        Raises:
            QuantgateError: The process could not load the variant, or has ended.
            RuntimeError: It failed at something else.
        """
        self._torn = True
        try:
            told: Told | Failed = self.connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        self._torn = False
        if isinstance(told, Failed):
            raise ModelError(told.text) if told.expected else RuntimeError(f"on {self.device}: {told.text}")
        self.ready = told == "ready"
        return told

    def finished(self) -> Iterator[Mapping[str, Completion]]:
        """The answers that it has told and nobody has read; none where an interrupt tore what was being read."""
        with suppress(EOFError, OSError):
            while not self._torn and self.connection.poll():
                told = self.connection.recv()
                if isinstance(told, Kept):
                    yield told.completions

    def close(self) -> None:
        """End it."""
        self.connection.close()
        if self._offline:  # it has processes of its own to end, and memory that they share
            self._wait_for_all(monotonic() + _ENDING_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)  # and what it has started itself
        self._child.wait()

    def _wait_for_all(self, deadline: float) -> None:
        """Until the process and all that it started have ended, the one that frees shared memory last."""
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            self._child.wait(deadline - monotonic())
            while monotonic() < deadline:
                os.killpg(self._child.pid, 0)
                sleep(_LOOK_SECONDS)

    def _ended(self) -> QuantgateError:
        status = self._child.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return ModelError(
            f"the process on {self.device} ended with {how} before it had answered its share",
            where=f"variant {self._spec!r}",
            hint="what was finished is kept, and the same command goes on from there; SIGKILL often means that memory "
            "ran out",
        )
