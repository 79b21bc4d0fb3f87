"""The process behind shares.py: loads one variant on one device, and answers what it is sent."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NoReturn

from pytest_quantgate.errors import QuantgateError, SpecError
from pytest_quantgate.generation.offline_environment import prepare_environment
from pytest_quantgate.generation.run import generate
from pytest_quantgate.generation.shares import Advanced, Failed, Job, Kept, Noted, Told
from pytest_quantgate.variants.registry import entry_of, register
from pytest_quantgate.variants.variant import check_unchanged, load_variant

if TYPE_CHECKING:
    from pytest_quantgate.generation.completion import Completion


def main() -> None:
    """Serve until the parent closes its end; the one argument is the file descriptor of ours."""
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone, or wants no more
        try:
            _serve(connection)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except QuantgateError as error:
            connection.send(Failed(str(error), expected=True))
        except Exception as error:  # noqa: BLE001  (libraries raise anything; the parent tells)
            connection.send(Failed(f"{type(error).__name__}: {error}\n{traceback.format_exc()}", expected=False))


def _serve(connection: Connection) -> None:
    job: Job = connection.recv()
    _know_backends(job)
    if job.variant.offline:
        _serve_offline(job, connection)
    if job.variant.device == "cpu":
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // job.processes))
    listener = _Listener(connection)
    loaded = load_variant(job.variant, listener.note)
    listener.tell(loaded.audit)
    while True:
        listener.tell("ready")
        generate(loaded, connection.recv(), listener.keep, listener, processes=job.processes)


def _serve_offline(job: Job, connection: Connection) -> NoReturn:
    """The same through vLLM, whose weights lie in no modules that could be looked at: their files are audited."""
    prepare_environment(job.variant.device, job.variant.needed_bytes, job.processes, os.environ)
    from pytest_quantgate.generation.offline import Offline  # imports vLLM

    warnings.simplefilter("ignore", FutureWarning)  # of torch to vLLM
    listener = _Listener(connection)
    check_unchanged(job.variant)
    offline = Offline(job.variant, listener.note)
    try:
        check_unchanged(job.variant)  # vLLM reads the files itself, and takes its time
        if offline.audit is not None:
            listener.tell(offline.audit)
        while True:
            listener.tell("ready")
            offline.generate(connection.recv(), listener.keep, listener)
    finally:
        offline.close()


def _know_backends(job: Job) -> None:
    """A plugin's conftest is not loaded here."""
    for name, entry in job.entries.items():
        try:
            entry_of(name)
        except SpecError:
            register(name, entry)


class _Listener:
    """Tells the parent what the engine tells."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tell(self, what: Told) -> None:
        """Send it."""
        self._connection.send(what)

    def keep(self, completions: Mapping[str, Completion]) -> None:
        """Answers that are finished."""
        self.tell(Kept(dict(completions)))

    def start(self, label: str, total: int, cached: int, doing: str = "") -> None:
        """The parent knows."""

    def advance(self, cases: int, tokens: int) -> None:
        """How far it has come."""
        self.tell(Advanced(cases, tokens))

    def note(self, message: str) -> None:
        """What the user should read."""
        self.tell(Noted(message))

    def finish(self) -> None:
        """The parent knows."""


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # a library's threads must not keep the device
