"""A real server for tests: `transformers serve` on loopback."""

from __future__ import annotations

import os
import re
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
    """The URL of a server that serves a model; further options are those of `transformers serve`."""
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--device", "cpu", *options]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"],
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
                if started := re.search(r"Uvicorn running on (http://127\.0\.0\.1:\d+)", line):
                    break
            else:
                pytest.fail("".join(said))
            # a full pipe would stop the server: it logs every request
            drain = threading.Thread(target=deque, args=(process.stdout, 0), daemon=True)
            drain.start()
            try:
                yield f"{started[1]}/v1"
            finally:
                process.kill()
                drain.join()  # what it reads is closed next
        finally:
            process.kill()
