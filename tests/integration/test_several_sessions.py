"""Several sessions in one process, as editors and programs run them: the later ones begin as the first did."""

from __future__ import annotations

import json
import sys

import pytest

from tests.integration.conftest import Lab

PROGRAM = """
import gc
import json
import sys

import pytest

frozen = []


class Looking:
    def pytest_runtest_setup(self):
        frozen.append(gc.get_freeze_count())


for _ in range(2):
    assert pytest.main(json.loads(sys.argv[1]), plugins=[Looking()]) == pytest.ExitCode.OK
    frozen.append(gc.get_freeze_count())
print("frozen:", [count > 0 for count in frozen])
"""


@pytest.mark.alone(reason="sessions in a process of their own")
def test_what_a_session_kept_from_the_search_for_garbage_is_searched_when_it_is_over(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    options = ["-q", "--quant-model", str(lab.tiny.folder), "--quant-ref", "fp16", "--quant-cand", "nf4"]
    answered = lab.pytester.run(sys.executable, "-m", "pytest", *options)  # what loads no model keeps something
    assert answered.ret == pytest.ExitCode.OK
    result = lab.pytester.run(sys.executable, "-c", PROGRAM, json.dumps(options))
    result.stdout.fnmatch_lines(["frozen: [[]True, False, True, False]"])
