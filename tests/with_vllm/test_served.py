"""A real vLLM server on loopback, asked as any other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.kept import RunCache
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.served import prepare_served
from tests.served import TINY_INSTRUCT
from tests.with_vllm.test_offline import SUMS, ask, prepared

STARTED = "Application startup complete"
BEGUN = ask("What is 3 + 4?", answer_prefix="The answer")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port that is held while the server runs, so that nobody else is given it: vLLM does not tell which it took."""
    with socket.socket() as held:
        held.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # vLLM's socket has it too, and so may share the port
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="module")
def server(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("vllm") / "log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(TINY_INSTRUCT)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*command, *options, "--generation-config", "vllm"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment, "HF_HUB_OFFLINE": "1"},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                out.write(line)
                if STARTED in line:
                    break
            else:
                out.flush()
                pytest.fail(log.read_text())
            yield f"http://127.0.0.1:{port}/v1#{TINY_INSTRUCT}"
        finally:
            process.terminate()
            process.communicate()


def test_a_server_tells_its_name_and_version_and_answers_as_the_model_does(server: str, tmp_path: Path) -> None:
    served = prepare_served(server)
    assert served.identity.fields["told:server"] == "vLLM"
    assert served.identity.fields["told:version"]
    asked = [*SUMS, BEGUN]
    found = answer(served, asked, RunCache(), SilentProgress()).completions
    with CompletionCache(tmp_path / "answers.sqlite3") as cache:
        expected = answer(prepared("fp32", "auto"), asked, cache, SilentProgress()).completions
    for request in asked:
        one, other = found[request.digest], expected[request.digest]
        assert (one.text, one.finish_reason, one.counted, one.problem) == (
            other.text,
            other.finish_reason,
            len(other.token_ids) + (other.finish_reason == "stop"),
            None,
        )
        assert replace(one, margins=()).prompt_tokens == other.prompt_tokens
