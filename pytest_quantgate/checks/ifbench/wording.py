"""Instructions on single words: ``words:...``."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from string import ascii_lowercase

from pytest_quantgate.checks.counts import lines
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, holds_word, once_broken, once_enough
from pytest_quantgate.checks.ifbench.pieces import initial, keys, plain, words
from pytest_quantgate.checks.ifbench.syllables import count_syllables
from pytest_quantgate.checks.rules import whole
from pytest_quantgate.plural import counted

_VOWELS = frozenset("aeiou")
_CONSONANTS = frozenset(ascii_lowercase) - _VOWELS
_MAX_VOWELS = 3
_PALINDROMES = 10
_PALINDROME_LETTERS = 5


def alphabet(answer: str) -> Finding:
    """Each word begins with the letter after the one that the word before it begins with; A comes after Z.

    The first word may begin with any letter from A to Z. Accents do not count; a number is out of order.
    """
    letters = [(initial(word), word) for word in words(answer)]
    if not letters:
        return violated("the answer has no words")
    if letters[0][0] not in ascii_lowercase:
        return violated(f"the first word is {quoted(letters[0][1])}")
    for (before, _), (after, word) in pairwise(letters):
        if after != ascii_lowercase[(ascii_lowercase.index(before) + 1) % 26]:
            return violated(f"{quoted(word)} comes after a word with {before.upper()}")
    return followed(f"{counted(len(letters), 'word')} in the order of the alphabet")


def vowel(answer: str) -> Finding:
    """The answer is one paragraph (one line that is not blank) with at most three of the vowels a, e, i, o, u.

    Accents do not count: ``é`` is an ``e``.
    """
    paragraphs = lines(answer)
    if len(paragraphs) != 1:
        return violated(f"{counted(len(paragraphs), 'paragraph')}, one asked for")
    used = sorted(_VOWELS.intersection(plain(answer)))
    reason = f"vowels: {', '.join(used) or 'none'}"
    return followed(reason) if len(used) <= _MAX_VOWELS else violated(reason)


def consonants(answer: str) -> Finding:
    """Each word has two consonants side by side; ``y`` is a consonant, and a number is a word that has none."""
    written = words(answer)
    for word in written:
        letters = plain(word)
        if not any(first in _CONSONANTS and second in _CONSONANTS for first, second in pairwise(letters)):
            return violated(f"{quoted(word)} has no two consonants side by side")
    return followed("each word has consonants side by side") if written else violated("the answer has no words")


def palindrome(answer: str) -> Finding:
    """The answer has at least ten words of five letters or more that read the same backwards.

    Only words of letters; one that occurs again counts again.
    """
    found = [
        word for word in keys(answer) if len(word) >= _PALINDROME_LETTERS and word.isalpha() and word == word[::-1]
    ]
    reason = counted(len(found), "palindrome")
    return followed(reason) if len(found) >= _PALINDROMES else violated(f"{reason}, at least 10 asked for")


def prime_lengths(answer: str) -> Finding:
    """Each word has a prime number of letters and digits; other characters in it (``don't``) do not count."""
    written = words(answer)
    for word in written:
        length = sum(map(str.isalnum, word))
        if not _is_prime(length):
            return violated(f"{quoted(word)} has {counted(length, 'letter')}")
    return followed("each word's length is prime") if written else violated("the answer has no words")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


def repeats(answer: str, *, small_n: float) -> Finding:
    """No word occurs more than ``small_n`` times, in any capitals."""
    for word, times in Counter(keys(answer)).most_common(1):
        if times > small_n:
            return violated(f"{quoted(word)} occurs {times} times, at most {small_n:g} asked for")
    return followed("no word occurs too often")


def no_consecutive(answer: str) -> Finding:
    """No two words side by side begin with the same letter; accents do not count, numbers have no letter."""
    for first, second in pairwise(words(answer)):
        letter = initial(first)
        if letter.isalpha() and letter == initial(second):
            return violated(f"{quoted(first, 30)} stands before {quoted(second, 30)}")
    return followed("neighbouring words begin with different letters")


def paragraph_last_first(answer: str) -> Finding:
    """Each paragraph (a line that has words) ends with the word that it begins with, in any capitals."""
    paragraphs = [written for written in map(keys, lines(answer)) if written]
    for written in paragraphs:
        if written[0] != written[-1]:
            return violated(f"a paragraph begins with {quoted(written[0], 30)} and ends with {quoted(written[-1], 30)}")
    return followed("each paragraph ends as it begins") if paragraphs else violated("the answer has no words")


def words_position(answer: str, *, keyword: str) -> Finding:
    """The second word and the last but one are the keyword, in any capitals."""
    written = keys(answer)
    if len(written) < 2:  # noqa: PLR2004  (what "second" needs)
        return violated(f"the answer has {counted(len(written), 'word')}")
    reason = f"second word {quoted(written[1], 40)}, last but one {quoted(written[-2], 40)}"
    return followed(reason) if [written[1]] == [written[-2]] == keys(keyword) else violated(reason)


def odd_even_syllables(answer: str) -> Finding:
    """Words with an odd and with an even number of syllables take turns.

    Syllables are counted by rule (groups of vowels, silent endings, some known words), not by a dictionary: in an
    answer of many words one may be counted wrong.
    """
    written = keys(answer)
    if not written:
        return violated("the answer has no words")
    for (first, before), (second, after) in pairwise((word, count_syllables(word)) for word in written):
        if before % 2 == after % 2:
            return violated(
                f"{quoted(first, 30)} ({before}) stands before {quoted(second, 30)} ({counted(after, 'syllable')})"
            )
    return followed("odd and even numbers of syllables take turns")


ENTRIES = (
    Entry("words:alphabet", alphabet, decided=once_broken(alphabet)),
    Entry("words:vowel", vowel, decided=once_broken(vowel)),
    Entry("words:consonants", consonants, decided=once_broken(consonants)),
    Entry("words:palindrome", palindrome, decided=once_enough(palindrome)),
    Entry("words:prime_lengths", prime_lengths, decided=once_broken(prime_lengths)),
    Entry("words:repeats", repeats, whole(1, "small_n"), once_broken(repeats)),
    Entry("words:no_consecutive", no_consecutive, decided=once_broken(no_consecutive)),
    Entry("words:paragraph_last_first", paragraph_last_first),
    Entry("words:words_position", words_position, holds_word("keyword")),
    Entry("words:odd_even_syllables", odd_even_syllables, decided=once_broken(odd_even_syllables)),
)
