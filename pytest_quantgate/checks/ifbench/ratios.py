"""Instructions on shares and balance: ``ratio:...``."""

from __future__ import annotations

from collections import Counter

from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, percentage
from pytest_quantgate.checks.ifbench.pieces import keys, sentences
from pytest_quantgate.checks.ifbench.vocabulary import STOP_WORDS
from pytest_quantgate.plural import counted

_TOLERANCE = 2
_GRAM = 3


def stop_words(answer: str, *, percentage: float) -> Finding:
    """At most so many percent of the answer's words are stop words.

    The stop words are articles, pronouns, auxiliaries, conjunctions, common prepositions and adverbs of English,
    and their contractions, about 180. An answer without words cannot keep a share, and is violated.
    """
    written = keys(answer)
    if not written:
        return violated("the answer has no words")
    share = 100 * sum(word in STOP_WORDS for word in written) / len(written)
    reason = f"{share:.1f} % of the words are stop words"
    return followed(reason) if share <= percentage else violated(f"{reason}, at most {percentage:g} % asked for")


def sentence_type(answer: str) -> Finding:
    """The answer has twice as many statements as questions, and at least one question.

    A sentence that ends in a full stop or dots is a statement, one that ends in a question mark (or ``?!``) a
    question; other sentences are neither.
    """
    kinds = Counter(sentence.kind for sentence in sentences(answer))
    reason = f"{counted(kinds['.'], 'statement')}, {counted(kinds['?'], 'question')}"
    is_double = kinds["?"] > 0 and kinds["."] == 2 * kinds["?"]
    return followed(reason) if is_double else violated(reason)


def sentence_balance(answer: str) -> Finding:
    """The answer has as many statements as questions as exclamations, and at least one of each."""
    kinds = Counter(sentence.kind for sentence in sentences(answer))
    reason = ", ".join(
        counted(kinds[kind], unit) for kind, unit in ((".", "statement"), ("?", "question"), ("!", "exclamation"))
    )
    is_balanced = kinds["."] == kinds["?"] == kinds["!"] > 0
    return followed(reason) if is_balanced else violated(reason)


def sentence_words(answer: str) -> Finding:
    """The answer has three sentences of the same number of characters, and no word twice.

    Characters are counted with spaces and punctuation, without white space around the sentence.
    """
    found = sentences(answer)
    if len(found) != 3:  # noqa: PLR2004  (what the instruction asks for)
        return violated(f"{counted(len(found), 'sentence')}, three asked for")
    lengths = [len(sentence.text) for sentence in found]
    if len(set(lengths)) > 1:
        return violated(f"the sentences have {lengths[0]}, {lengths[1]} and {lengths[2]} characters")
    word, times = Counter(keys(answer)).most_common(1)[0]
    if times > 1:
        return violated(f"{quoted(word)} is used {times} times")
    return followed(f"three sentences of {lengths[0]} characters, and no word twice")


def overlap(answer: str, *, reference_text: str, percentage: float) -> Finding:
    """So many percent (two more or less) of the answer's different trigrams occur in the reference text.

    Trigrams are three characters in a row, as they are. An answer of fewer characters shares none.
    """
    grams = _grams(answer)
    share = 100 * len(grams & _grams(reference_text)) / len(grams) if grams else 0.0
    reason = f"{share:.1f} % of the trigrams are in the reference text"
    if abs(share - percentage) <= _TOLERANCE:
        return followed(reason)
    return violated(f"{reason}, {percentage:g} % asked for")


def _grams(text: str) -> set[str]:
    return {text[place : place + _GRAM] for place in range(len(text) - _GRAM + 1)}


ENTRIES = (
    Entry("ratio:stop_words", stop_words, percentage),
    Entry("ratio:sentence_type", sentence_type),
    Entry("ratio:sentence_balance", sentence_balance),
    Entry("ratio:sentence_words", sentence_words),
    Entry("ratio:overlap", overlap, percentage),
)
