"""Instructions on sentences: ``sentence:...``, and the ``words:...`` that speak of sentences."""

from __future__ import annotations

from itertools import pairwise
from string import ascii_lowercase

from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, holds_word
from pytest_quantgate.checks.ifbench.pieces import in_a_row, initial, keys, sentences
from pytest_quantgate.checks.rules import both, whole
from pytest_quantgate.plural import counted


def increment(answer: str, *, small_n: float) -> Finding:
    """Each sentence has exactly ``small_n`` more words than the one before; one sentence alone follows."""
    found = sentences(answer)
    lengths = (len(keys(sentence.text)) for sentence in found)
    for place, (before, after) in enumerate(pairwise(lengths), start=2):
        if after != before + small_n:
            return violated(f"sentence {place} has {counted(after, 'word')}, the one before has {before}")
    return followed(f"{counted(len(found), 'sentence')}, each {small_n:g} words longer than the one before")


def alliteration_increment(answer: str) -> Finding:
    """Each sentence has a longer run of words with the same first letter than the sentence before.

    A sentence's longest run counts; without two such words side by side it has a run of one.
    """
    found = sentences(answer)
    runs = (_longest_run(sentence.text) for sentence in found)
    for place, (before, after) in enumerate(pairwise(runs), start=2):
        if after <= before:
            return violated(f"sentence {place} has {after} alliterative words in a row, the one before has {before}")
    return followed(f"the runs of alliterative words grow over {counted(len(found), 'sentence')}")


def keyword(answer: str, *, word: str, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """The ``N``-th sentence holds the word: whole, in any capitals."""
    found = sentences(answer)
    if len(found) < N:
        return violated(f"there are {counted(len(found), 'sentence')}, and no sentence {N:g}")
    if in_a_row(keys(found[int(N) - 1].text), keys(word)):
        return followed(f"sentence {N:g} has {quoted(word)}")
    return violated(f"sentence {N:g} lacks {quoted(word)}")


def keywords_specific_position(answer: str, *, keyword: str, n: float, m: float) -> Finding:
    """The ``m``-th word of the ``n``-th sentence is the keyword, in any capitals."""
    found = sentences(answer)
    if len(found) < n:
        return violated(f"there are {counted(len(found), 'sentence')}, and no sentence {n:g}")
    written = keys(found[int(n) - 1].text)
    if len(written) < m:
        return violated(f"sentence {n:g} has {counted(len(written), 'word')}, and no word {m:g}")
    there = written[int(m) - 1]
    reason = f"word {m:g} of sentence {n:g} is {quoted(there)}"
    return followed(reason) if [there] == keys(keyword) else violated(reason)


def last_first(answer: str) -> Finding:
    """The last word of each sentence is the first of the next, in any capitals; one sentence alone follows."""
    written = (keys(sentence.text) for sentence in sentences(answer))
    for before, after in pairwise(words for words in written if words):
        if before[-1] != after[0]:
            return violated(f"a sentence ends in {quoted(before[-1])}, the next begins with {quoted(after[0])}")
    return followed("every sentence begins with the last word of the one before")


def sentence_alphabet(answer: str) -> Finding:
    """The answer has 26 sentences, which begin with A, B, C and so on to Z."""
    found = sentences(answer)
    if len(found) != len(ascii_lowercase):
        return violated(f"{counted(len(found), 'sentence')}, 26 asked for")
    for sentence, wanted in zip(found, ascii_lowercase, strict=True):
        first = next(iter(keys(sentence.text)), "")
        if initial(first) != wanted:
            return violated(f"a sentence begins with {quoted(first)}, not with {quoted(wanted)}")
    return followed("26 sentences, from A to Z")


def _longest_run(sentence: str) -> int:
    longest = run = 0
    last = ""
    for word in keys(sentence):
        letter = initial(word)
        run = run + 1 if letter == last else 1
        last = letter
        longest = max(longest, run)
    return longest


ENTRIES = (
    Entry("sentence:increment", increment, whole(0, "small_n")),
    Entry("sentence:alliteration_increment", alliteration_increment),
    Entry("sentence:keyword", keyword, both(holds_word("word"), whole(1, "N"))),
    Entry(
        "words:keywords_specific_position", keywords_specific_position, both(holds_word("keyword"), whole(1, "n", "m"))
    ),
    Entry("words:last_first", last_first),
    Entry("custom:sentence_alphabet", sentence_alphabet),
)
