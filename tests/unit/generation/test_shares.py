"""One variant on several devices: processes that share the requests, here two on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import ModelError, SpecError, UsageError
from pytest_quantgate.generation import budget, run, share, shares
from pytest_quantgate.generation.budget import key_value_budget
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.shares import Advanced, Failed, Job, Kept, Shares, deal
from pytest_quantgate.variants import device, memory
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.device import Placement, split_devices
from pytest_quantgate.variants.registry import Entry, OptionKind, entry_of, register, unregister
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, on_device, prepare_variant
from tests.tiny_model import WORDS, build_tiny_model

BACKEND = """
import os
import subprocess
import signal
from pathlib import Path

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.plain import BACKEND as PLAIN
from pytest_quantgate.variants.spec import parse_spec

PLACE = Path({place!r})


class Dies:
    stored_bytes = PLAIN.stored_bytes

    def describe(self, spec):
        return PLAIN.describe(parse_spec("fp32"))

    def load(self, spec, folder, placement):
        try:
            (PLACE / "first").mkdir()
        except FileExistsError:
            signal.alarm(600)  # nobody waits for ever where that never comes
            (PLACE / "fifo").read_text()  # until the first one has answered something
            {end}
        return PLAIN.load(parse_spec("fp32"), folder, placement)

    def finish(self, model, placement):
        PLAIN.finish(model, placement)


BACKEND = Dies()
"""


def request(text: str, tokens: int = 4) -> Request:
    return Request((Message("user", text),), tokens)


def test_requests_are_dealt_by_their_length() -> None:
    asked = [request("a" * length) for length in (1, 5, 3, 2, 4)]
    shares = [[len(each.messages[0].content) for each in share] for share in deal(asked, 2)]
    assert shares == [[5, 3, 1], [4, 2]]
    assert deal(asked[:1], 4) == [asked[:1]]


def test_two_processes_answer_as_one_does(tmp_path: Path) -> None:
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    asked = [request(" ".join(WORDS[number : number + 3 + number % 5])) for number in range(12)]

    def then(answered: Mapping[str, object]) -> list[Request]:  # a second turn, for the same processes
        return [request("kol tul")] if answered else []

    found = []
    for elsewhere in (0, 1):
        variant = prepare_variant("nf4", source, device="cpu")
        with CompletionCache(tmp_path / f"{elsewhere}.sqlite3") as cache:
            others = [on_device(variant, "cpu")] * elsewhere
            found.append(answer(variant, asked, cache, SilentProgress(), then, elsewhere=others))
            assert len(cache.get(variant.identity.digest, found[-1].completions)) == 13
    texts = [{digest: each.token_ids for digest, each in one.completions.items()} for one in found]
    assert texts[0] == texts[1]
    assert found[0].audit == found[1].audit
    assert found[1].generated == 13


class Started:
    """What processes are started for; none is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: list[tuple[str, int]] = []
        monkeypatch.setattr(shares, "_Process", self._start)

    def _start(self, variant: Variant, processes: int) -> Any:
        self.jobs.append((variant.device, processes))
        if len(self.jobs) == 2:
            raise ModelError("that is enough")
        connection, _ = Pipe()
        return SimpleNamespace(connection=connection, close=lambda: None)


@pytest.mark.parametrize(
    ("places", "jobs"),
    [(("cpu", "cpu"), [("cpu", 2), ("cpu", 2)]), (("cuda:0", "cuda:1"), [("cuda:0", 1), ("cuda:1", 1)])],
)
def test_a_process_is_told_how_many_share_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, str], jobs: list[tuple[str, int]]
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    started = Started(monkeypatch)
    sharing = Shares([on_device(variant, place) for place in places], lambda _: None)
    with pytest.raises(ModelError, match="that is enough"):
        sharing.generate([request("kol"), request("tul")], lambda _: None, SilentProgress())
    assert started.jobs == jobs


def test_processes_that_do_not_fit_in_one_memory_together_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    started = Started(monkeypatch)
    sharing = Shares([variant, on_device(variant, "cpu")], lambda _: None)
    monkeypatch.setattr(memory, "available_bytes", lambda _: variant.needed_bytes * 2 - 1)
    with pytest.raises(ModelError, match="on cpu for each of 2 processes"):
        sharing.generate([request("kol"), request("tul")], lambda _: None, SilentProgress())
    assert started.jobs == []


def test_processes_that_share_a_memory_have_a_part_of_it_for_keys_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda _: 1000)
    assert [key_value_budget("cpu", processes) for processes in (1, 2, 4)] == [400, 200, 100]
    told = [key_value_budget("cpu", processes, to_load=300) for processes in (1, 2, 4)]
    assert told == [280, 80, 0]  # what loading will leave, which may be nothing


@pytest.mark.parametrize("processes", [1, 3])
def test_a_process_answers_within_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")

    def asked(place: str, processes: int) -> int:
        raise ModelError(f"{place}, one of {processes}")

    monkeypatch.setattr(run, "key_value_budget", asked)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # this process is not the one that is started
    here, there = Pipe()
    here.send(Job(variant, {"fp32": entry_of("fp32")}, processes))
    here.send([request("kol")])
    with pytest.raises(ModelError, match=f"cpu, one of {processes}"):
        share._serve(there)  # noqa: SLF001  (what the module runs)


def test_weights_that_change_before_a_process_loads_them_are_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "tiny")
    variant = prepare_variant("fp16", resolve_model(str(folder)), device="cpu")
    build_tiny_model(folder, seed=1)
    with CompletionCache(tmp_path / "cache.sqlite3") as cache:
        with pytest.raises(ModelError, match="changed since the run began: weights"):
            answer(variant, [request("kol"), request("tul")], cache, SilentProgress(), elsewhere=[variant])
        assert cache.info().completions == 0


@pytest.mark.parametrize("when", ["before", "while"])
def test_vllm_answers_nothing_from_weights_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    folder = build_tiny_model(tmp_path / "tiny")
    variant = prepare_variant("fp16", resolve_model(str(folder)), device="cpu")
    variant = replace(variant, placement=replace(variant.placement, kernels="vllm"))
    done = []

    class Offline:
        def __init__(self, *_: object) -> None:
            done.append("loaded")
            build_tiny_model(folder, seed=1)

        def generate(self, *_: object) -> None:
            done.append("answered")

        def close(self) -> None:
            done.append("closed")

    monkeypatch.setitem(sys.modules, "pytest_quantgate.generation.offline", SimpleNamespace(Offline=Offline))
    monkeypatch.setattr(share, "prepare_environment", lambda *_: None)
    ours, theirs = Pipe()
    ours.send(Job(variant, {"fp16": entry_of("fp16")}, 1))
    ours.send([request("kol")])
    if when == "before":
        build_tiny_model(folder, seed=1)
    with theirs, ours, pytest.raises(ModelError, match="changed since the run began: weights"):
        share._serve(theirs)  # noqa: SLF001  (what a process does)
    assert done == ([] if when == "before" else ["loaded", "closed"])


@pytest.mark.parametrize("audit", [Audit(15, 14, 4.5, 400, 1000), None])
def test_what_vllms_checkpoint_holds_is_told_once_it_is_loaded(
    audit: Audit | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp16", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    variant = replace(variant, placement=replace(variant.placement, kernels="vllm"))
    found = audit

    class Offline:
        audit = found

        def __init__(self, *_: object) -> None:
            """Nothing is loaded."""

        def generate(self, *_: object) -> None:
            raise EOFError

        def close(self) -> None:
            """Nothing was started."""

    monkeypatch.setitem(sys.modules, "pytest_quantgate.generation.offline", SimpleNamespace(Offline=Offline))
    monkeypatch.setattr(share, "prepare_environment", lambda *_: None)
    ours, theirs = Pipe()
    ours.send(Job(variant, {"fp16": entry_of("fp16")}, 1))
    ours.send([request("kol")])
    with theirs, ours:
        with pytest.raises(EOFError):
            share._serve(theirs)  # noqa: SLF001  (what a process does)
        told = []
        while ours.poll():
            told.append(ours.recv())
    assert told == (["ready"] if audit is None else [audit, "ready"])


@pytest.mark.parametrize(
    ("end", "told", "repeated"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "variant 'dies': the process on cpu ended with signal SIGKILL", 1),
        # a share of more than a megabyte is in no pipe
        ("raise ModelError('the weights are torn')", "^the weights are torn$", 40_000),
    ],
    ids=["killed", "failed"],
)
def test_a_process_that_does_not_load_is_told_and_what_others_answer_meanwhile_is_kept(
    end: str, told: str, repeated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    module = f"a_backend_that_dies_{repeated}"  # one that was imported before would be another
    (tmp_path / f"{module}.py").write_text(BACKEND.format(place=str(tmp_path), end=end))
    monkeypatch.syspath_prepend(tmp_path)
    os.mkfifo(tmp_path / "fifo")

    class Opener(SilentProgress):
        def __init__(self, tell: Callable[[], object]) -> None:
            self._tell = tell

        def advance(self, cases: int, tokens: int) -> None:
            super().advance(cases, tokens)
            if cases:
                self._tell()

    register("dies", Entry(f"{module}:BACKEND"))
    try:
        variant = prepare_variant("dies", source, device="cpu")
        asked = [request(" ".join(WORDS[number : number + 3] * repeated)) for number in range(6)]
        progress = Opener(lambda: (tmp_path / "fifo").write_text("go on"))
        with CompletionCache(tmp_path / "cache.sqlite3") as cache:
            with pytest.raises(ModelError, match=told):
                answer(variant, asked, cache, progress, elsewhere=[on_device(variant, "cpu")])
            assert len(cache.get(variant.identity.digest, [each.digest for each in asked])) == 3
    finally:
        unregister("dies")


def test_a_mix_with_a_backend_of_a_plugin_is_answered_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    (tmp_path / "a_backend_of_a_plugin.py").write_text(
        "from pytest_quantgate.variants.rtn import BACKEND\n"
        "from pytest_quantgate.variants.spec import parse_spec\n\n\n"
        "class Own:\n"
        "    stored_bytes, finish = BACKEND.stored_bytes, BACKEND.finish\n"
        "    describe = lambda self, spec: BACKEND.describe(parse_spec('rtn:4bit'))\n"
        "    load = lambda self, spec, *where: BACKEND.load(parse_spec('rtn:4bit'), *where)\n\n\n"
        "OWN = Own()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    register("own", Entry("a_backend_of_a_plugin:OWN", MappingProxyType({"plain": OptionKind.FLAG})))
    found = []
    try:
        for spec in ("mix:down_proj=own:plain;*=fp16", "mix:down_proj=rtn:4bit;*=fp16"):
            variant = prepare_variant(spec, source, device="cpu")
            with CompletionCache(tmp_path / "cache.sqlite3") as cache:
                asked = [request("kol"), request("tul")]
                answers = answer(variant, asked, cache, SilentProgress(), elsewhere=[on_device(variant, "cpu")])
            found.append({digest: each.token_ids for digest, each in answers.completions.items()})
    finally:
        unregister("own")
    assert found[0] == found[1]


def test_a_variant_that_no_process_can_be_sent_is_told_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    variant = replace(variant, description=replace(variant.description, identity=MappingProxyType({"a": "b"})))
    monkeypatch.setattr(subprocess, "Popen", None)
    sharing = Shares([variant, on_device(variant, "cpu")], lambda _: None)
    with pytest.raises(SpecError, match=r"variant 'fp32': its backend describes it with .*\n  run it on one device"):
        sharing.generate([request("kol"), request("tul")], lambda _: None, SilentProgress())


class Told:
    """A process that has told everything before anybody reads it: an answer, and on one device something before it.

    Attributes:
        before: That.
    """

    before: Sequence[Any] = ()

    def __init__(self, variant: Variant, _processes: int) -> None:
        self.device = variant.device
        self.ready = self._torn = False
        self.connection, self._theirs = Pipe()
        self._theirs.send("ready")

    def send(self, share: Sequence[Request]) -> None:
        for told in self.before if self.device == "cuda:0" else ():
            self._theirs.send(told)
        self._theirs.send(Kept({share[0].digest: Completion(self.device, (1,), "stop", 1)}))

    receive = shares._Process.receive  # noqa: SLF001  (of the class that this stands in for)
    finished = shares._Process.finished  # noqa: SLF001


class Interrupted(SilentProgress):
    def advance(self, cases: int, tokens: int) -> None:
        del cases, tokens
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("told", "error"), [(Failed("the device is lost", expected=True), ModelError), (Advanced(0, 1), KeyboardInterrupt)]
)
def test_what_was_told_when_a_process_fails_or_the_run_is_interrupted_is_kept(
    told: Failed | Advanced, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    monkeypatch.setattr(shares, "_Process", Told)
    monkeypatch.setattr(Told, "before", [told])
    sharing = Shares([on_device(variant, place) for place in ("cuda:0", "cuda:1")], lambda _: None)
    kept: dict[str, Completion] = {}
    with pytest.raises(error):
        sharing.generate([request("kol"), request("tul")], kept.update, Interrupted())
    assert sorted(each.text for each in kept.values()) == ["cuda:0", "cuda:1"]


def test_of_a_message_that_an_interrupt_tore_the_rest_is_not_taken_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = prepare_variant("fp32", resolve_model(str(build_tiny_model(tmp_path / "tiny"))), device="cpu")
    monkeypatch.setattr(shares, "_Process", Told)
    sharing = Shares([on_device(variant, place) for place in ("cuda:0", "cuda:1")], lambda _: None)
    read: list[int] = []

    def torn(connection: Connection) -> Any:
        read.append(len(os.read(connection.fileno(), 4)))  # of its length and what follows
        raise KeyboardInterrupt

    monkeypatch.setattr(Connection, "recv", torn)
    with pytest.raises(KeyboardInterrupt):
        sharing.generate([request("kol")], lambda _: None, SilentProgress())
    assert read == [4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda:0,cuda:0", "cuda:0 is named 2 times"),
        ("cuda:0,cpu", "these devices are not of one kind: cuda:0"),
        ("cuda:0,cuda:1", "these devices are not of one kind: cuda:0 *"),
        ("cpu,gpu", "'gpu' is not a device"),
    ],
)
def test_devices_that_cannot_share_are_refused(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def hardware(placement: Placement) -> str:
        return {"cuda:0": "cuda: one", "cuda:1": "cuda: another"}.get(placement.device, "cpu")

    monkeypatch.setattr(device, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(device, "hardware_of", hardware)
    with pytest.raises(UsageError, match=message):
        split_devices(text)


def test_devices_are_split_at_commas() -> None:
    assert split_devices("cpu, cpu") == ("cpu", "cpu")
    assert split_devices("cpu") == ("cpu",)
