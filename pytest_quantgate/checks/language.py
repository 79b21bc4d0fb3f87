"""The language of an answer, told the same way every time: language."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks import script
from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated
from pytest_quantgate.checks.remembered import remembered
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

SHORT = 20
"""An answer of fewer letters is short; a Chinese character, a kana or a Hangul syllable counts as two letters."""

PROBABLE = 0.4
"""How probable a language must be for an answer to be in it, ..."""

SURE = 0.9
"""... and for a short answer."""

UNLIKELY = 0.05
"""An answer that is not short is not in a language less probable than this, whatever it is in."""

READ = 100_000
"""Characters that are read at the start and at the end; the middle of a longer answer is skipped."""

# The languages that are told apart in each script. The detector knows more, small ones, and takes short texts for
# them; they are asked about only when a case does.
_COMMON: Mapping[str, str] = {
    "Latin": "af az ca cs cy da de en es et eu fi fr ga gl hr hu id is it la lt lv mt nl no pl pt ro sk sl so sq sv sw "
    "tl tr uz vi",
    "Cyrillic": "be bg kk ky mk mn ru sr tg uk",
    "Arabic": "ar fa ku ps ug ur",
    "Devanagari": "hi mr ne sa",
    "Bengali": "as bn",
    "East Asian": "ja ko zh",
    "Armenian": "hy",
    "Ethiopic": "am",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Hebrew": "he",
    "Kannada": "kn",
    "Khmer": "km",
    "Lao": "lo",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Oriya": "or",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}
_RARE: Mapping[str, str] = {
    "Latin": "an bs br eo fo fy gd ha ht ig jv ku lb lg ln mg ms nn oc om qu rw se sn sr st tk vo wa xh yo zu",
    "Cyrillic": "ba ku tt uz",
}

# Written alike: one language to this check.
_ALIKE: Mapping[tuple[str, str], str] = {
    ("Latin", "bs"): "hr",
    ("Latin", "sr"): "hr",
    ("Latin", "ms"): "id",
    ("Latin", "nn"): "no",
}

_KANA_SHARE = 0.05
"""Chinese characters with at least so many kana among them are Japanese, ..."""

_HANGUL_SHARE = 0.3
"""... and with at least so much Hangul Korean."""

_HAN_ALONE = 0.8
"""How probably Chinese characters alone are Chinese: a short Japanese text may have no kana."""

_EAST_ASIAN = ("Han", "Hiragana", "Katakana", "Hangul")


def language(answer: str, *, code: str) -> Finding:
    """The answer is in this language, given by its ISO 639-1 code.

    The script decides first: an answer most of whose letters are of a script that the language is not written in is a
    violation, and one in a script that no other language shares (Greek, Thai, Hebrew, ...) follows. Chinese
    characters are Japanese with kana among them, Korean with Hangul, else Chinese. Otherwise a fixed model picks one
    of the languages of that script, from the whole answer: a foreign word or a short passage in another language
    does not matter.
    Written alike and not told apart: Bosnian, Croatian and Serbian in Latin letters; Indonesian and Malay; the two
    Norwegian languages.

    Not scored: an answer without letters (a blank one is a violation); one whose language is not at least 0.4
    probable, or 0.9 in a short one (under 20 letters), unless the asked language has less than 0.05 in one that is not
    short. Chinese characters alone are no violation in a short answer when Japanese or Korean is asked for.
    """
    return judge_language(answer, code)


def judge_language(text: str, code: str) -> Finding:
    """Judge a text by the rules of the check ``language``; the code must be a known one."""
    if not text.strip():
        return violated("the answer is empty")
    read = text if len(text) <= 2 * READ else f"{text[:READ]}\n{text[-READ:]}"
    scripts = script.letters_by_script(read)
    letters = _weighed(scripts)
    if not letters:
        return unscored("the answer has no letters to tell a language by")
    written_in = max(sorted(letters), key=letters.__getitem__)
    if code not in _codes(written_in):
        return violated(f"mostly {written_in} letters, in which {quoted(code)} is not written")
    asked = _ALIKE.get((written_in, code), code)
    probable = _east_asian(scripts, code) if written_in == "East Asian" else _probabilities(read, written_in, code)
    return _verdict(asked, probable, is_short=letters.total() < SHORT)


def _verdict(asked: str, probable: Mapping[str, float], *, is_short: bool) -> Finding:
    found = max(sorted(probable), key=probable.__getitem__)
    if probable[found] >= (SURE if is_short else PROBABLE):
        if found == asked:
            return followed(f"the answer is in {quoted(asked)}")
        return violated(f"the answer is in {quoted(found)}, not {quoted(asked)}")
    if not is_short and probable[asked] < UNLIKELY:
        return violated(f"the answer is hardly in {quoted(asked)}")
    return unscored(f"too {'short' if is_short else 'unclear'} to tell: perhaps {quoted(found)}")


def code_problems(name: str, code: str) -> Iterator[str]:
    """The code is one that can be told."""
    known = {known for written_in in _COMMON for known in _codes(written_in)}
    if code not in known:
        yield f"argument {name!r} must be the ISO 639-1 code of a known language, not {quoted(code)}; " + nearest(
            code, known
        )


def _codes(written_in: str) -> list[str]:
    return f"{_COMMON.get(written_in, '')} {_RARE.get(written_in, '')}".split()


def _weighed(scripts: Counter[str]) -> Counter[str]:
    """The letters of each script; those of Chinese, Japanese and Korean together, each as two."""
    counts = Counter({name: count for name, count in scripts.items() if name not in _EAST_ASIAN})
    if east_asian := sum(scripts[name] for name in _EAST_ASIAN):
        counts["East Asian"] = 2 * east_asian
    return counts


def _probabilities(text: str, written_in: str, code: str) -> Mapping[str, float]:
    """How probable each language is that is told apart in a script, the asked one among them."""
    candidates = {*_COMMON.get(written_in, "").split(), code, *(c for place, c in _ALIKE if place == written_in)}
    if len(candidates) == 1:
        return {code: 1.0}

    def work_out() -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for label, probability in _detector().rank(_without_long_runs(text)):
            if label in candidates:
                sums[_ALIKE.get((written_in, label), label)] += probability
        total = sum(sums.values())
        return {label: probability / total for label, probability in sums.items()}

    def are_shares(found: Any) -> bool:
        asked = _ALIKE.get((written_in, code), code)
        return isinstance(found, dict) and asked in found and all(isinstance(each, float) for each in found.values())

    found: Mapping[str, float] = remembered("language", [text, written_in, code], work_out, are_shares)
    return found


def _east_asian(scripts: Counter[str], code: str) -> Mapping[str, float]:
    han, kana, hangul = scripts["Han"], scripts["Hiragana"] + scripts["Katakana"], scripts["Hangul"]
    if hangul >= _HANGUL_SHARE * (han + kana + hangul):
        return {"ko": 1.0, code: float(code == "ko")}
    if kana >= _KANA_SHARE * (han + kana):
        return {"ja": 1.0, code: float(code == "ja")}
    return {"zh": 1.0} if code == "zh" else {"zh": _HAN_ALONE, code: 1 - _HAN_ALONE}


def _without_long_runs(text: str) -> str:
    """Cut runs of combining marks, which the detector would sort in quadratic time."""
    if text.isascii():
        return text
    marks = "".join(sorted(c for c in set(text) if unicodedata.category(c)[0] == "M"))
    return re.sub(f"([{marks}]{{8}})[{marks}]++", r"\1", text) if marks else text


@lru_cache(maxsize=1)
def _detector() -> LanguageIdentifier:
    """The detector; its model takes over a second to read."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _language_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    yield from code_problems("code", arguments["code"])


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("language", language, shorthand="code", validate=_language_problems)
    registry.register("script", script.script, shorthand="name", validate=script.script_problems)
