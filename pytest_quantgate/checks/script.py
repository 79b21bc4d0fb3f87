"""The script of an answer: which alphabet its letters are from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated

if TYPE_CHECKING:
    import regex

# Scripts that are written together, as one name.
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "japanese": ("Han", "Hiragana", "Katakana"),
    "jpan": ("Han", "Hiragana", "Katakana"),
    "korean": ("Han", "Hangul"),
    "kore": ("Han", "Hangul"),
    "chinese": ("Han", "Bopomofo"),
}

# The scripts that are told apart when letters are counted: those of the languages that models are asked in.
_COUNTED: Final = (
    *("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Armenian", "Georgian", "Ethiopic"),
    *("Han", "Hiragana", "Katakana", "Hangul"),
    *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala"),
    *("Thai", "Lao", "Khmer", "Myanmar"),
)
_OTHER: Final = "other"
_NO_LETTERS: Final = bytes(code for code in range(128) if not chr(code).isalpha())
_NO_SCRIPT: Final = r"\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}"


def script(answer: str, *, name: str, least: float = 0.9) -> Finding:
    """At least this share of the answer's letters is in a Unicode script.

    Scripts go by Unicode's names or ISO 15924 codes (``Cyrillic``, ``Cyrl``); ``Japanese`` is Han and kana together,
    ``Korean`` Hangul and Han, ``Chinese`` Han. Digits, punctuation, symbols and combining marks are no letters, and
    letters that belong to no script count on neither side. Not scored: an answer without letters; a blank one is a
    violation.
    """
    if not answer.strip():
        return violated("the answer is empty")
    import regex

    letters = Counter(character for character in answer if character.isalpha())
    wanted = regex.compile(_pattern(name))
    neither = regex.compile(f"[{_NO_SCRIPT}]")
    inside = sum(count for letter, count in letters.items() if wanted.match(letter))
    total = sum(count for letter, count in letters.items() if wanted.match(letter) or not neither.match(letter))
    if not total:
        return unscored("the answer has no letters to tell a script by")
    share = f"{inside} of {total} letters {'is' if inside == 1 else 'are'} {quoted(name)}"
    return followed(share) if inside >= least * total else violated(f"{share}, at least {least:.0%} asked for")


def script_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The script is known, and the share lies above 0 and is at most 1."""
    name, least = arguments["name"], arguments.get("least", 0.9)
    if not _is_known(name):
        yield f"argument 'name' must be a Unicode script such as Cyrillic or Han, not {quoted(name)}"
    if not 0 < least <= 1:
        yield f"argument 'least' must be a share above 0 and at most 1, not {least}"


def letters_by_script(text: str) -> Counter[str]:
    """How many letters of a text are of each script, by Unicode's property of that name.

    Those of rare scripts are counted together as ``other``; letters that belong to no script are left out.
    """
    counts: Counter[str] = Counter()
    if text.isascii():  # many are, and need no look at each character
        letters = len(text.encode("ascii").translate(None, _NO_LETTERS))
        return Counter(Latin=letters) if letters else counts
    script_of = _script_of()
    for character, count in Counter(text).items():
        if character.isalpha() and (found := script_of.match(character)):
            counts[found.lastgroup or _OTHER] += count
    return counts


@cache
def _script_of() -> regex.Pattern[str]:
    """Matches a character of any script; the group that took part is the script's name, none for a rare one."""
    import regex

    named = "|".join(rf"(?P<{each}>\p{{Script={each}}})" for each in _COUNTED)
    return regex.compile(f"{named}|[^{_NO_SCRIPT}]")


def _pattern(name: str) -> str:
    names = _TOGETHER.get(name.casefold(), (name,))
    return "[" + "".join(rf"\p{{Script={each}}}" for each in names) + "]"


def _is_known(name: str) -> bool:
    import regex

    if not name.replace("_", "").replace(" ", "").isalpha():
        return False
    try:
        regex.compile(_pattern(name), cache_pattern=False)
    except (regex.error, OverflowError):  # the latter for "Infinity", which the library takes for a number
        return False
    return True
