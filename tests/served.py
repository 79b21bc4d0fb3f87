"""A real server for tests: `transformers serve` on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

TINY_INSTRUCT: Final = Path(__file__).parents[1] / "fixtures" / "tiny_instruct" / "model"


@contextmanager
def serving(model: Path, *options: str) -> Iterator[str]:
    """The URL of a server that serves a model on a free port; further options are those of `transformers serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--device", "cpu", *options]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "Uvicorn running" in line:
                    break
            else:
                pytest.fail("".join(said))
            # a full pipe would stop the server: it logs every request
            threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
