"""Several questions about one long text: what ten cost, against one.

    python benchmarks/shared_prefix.py           # 7,500 tokens of text: some minutes
    python benchmarks/shared_prefix.py --quick   # 2,000 tokens

The text is read once, its keys and values serve all questions. Both sides take turns. Ten must cost at most twice one;
fails, without options, when they cost more.
"""

from __future__ import annotations

import argparse

from speed import by_turns, embedded, judge, table, taken_on, texts

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate
from pytest_quantgate.variants.variant import LoadedModel

QUESTIONS = 10
TIMES = 3
MOST = 2.0


def requests(loaded: LoadedModel, tokens: int, new_tokens: int) -> list[Request]:
    """Ten questions about one text of public prompts, each hidden fact at another depth."""
    sentences: list[str] = []
    length = 0
    for text in texts(2000):
        sentence = " ".join(text.split())
        more = len(loaded.tokenizer(sentence)["input_ids"])
        if length + more <= tokens:  # some are thousands of tokens long
            sentences.append(sentence)
            length += more
    for number in range(QUESTIONS):
        sentences.insert((number + 1) * len(sentences) // (QUESTIONS + 1), f"The code of door {number} is {number}37.")
    text = " ".join(sentences)
    asked = (f"{text}\n\nWhat is the code of door {number}? Answer with the code." for number in range(QUESTIONS))
    return [Request((Message("user", each),), new_tokens) for each in asked]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=7500, help="of the text")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--dtype", nargs="*", default=["float32"])
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="2,000 tokens of text")
    options = parser.parse_args()
    rows, targets = [], {}
    for dtype in options.dtype:
        loaded = embedded("fp16", dtype, options.device)
        asked = requests(loaded, 2000 if options.quick else options.tokens, options.new_tokens)
        lengths: list[int] = []

        def answer(some: list[Request], loaded: LoadedModel = loaded, lengths: list[int] = lengths) -> None:
            generate(
                loaded,
                some,
                lambda fresh: lengths.extend(each.prompt_tokens for each in fresh.values()),
                SilentProgress(),
            )

        sides = {"one": lambda: answer(asked[:1]), "all": lambda: answer(asked)}  # noqa: B023  (run at once)
        taken = by_turns(sides, TIMES)
        one, ten = taken["one"], taken["all"]
        rows.append((dtype, f"{max(lengths):,}", f"{one:.1f}", f"{ten:.1f}", f"{ten / one:.2f}"))
        targets[f"{dtype}: at most 2 times ({ten / one:.2f})"] = ten / one <= MOST
    print(f"{taken_on(options.device)}, medians of {TIMES}\n")
    table(("compute dtype", "tokens of a prompt", "1 question, s", f"{QUESTIONS} questions, s", "times"), rows)
    judge(targets)


if __name__ == "__main__":
    main()
