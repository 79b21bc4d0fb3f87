"""What a check is given, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recall:
    """How probable one text was as the beginning of the answer, by teacher forcing.

    Attributes:
        text: The text as the check names it.
        token_ids: Its tokens behind the prompt.
        ranks: For each of them, how many tokens were at least as probable in its place, itself among them: 1 is
            the most probable one alone, and a token stands behind all those that tie with it.
        ties: For each of them, how many others were exactly as probable.
        log_probabilities: Natural logarithm of each one's probability, given all before it.
        problem: Why it could not be measured; then the lists are empty. None when it was.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()
    ties: tuple[int, ...] = ()
    log_probabilities: tuple[float, ...] = ()
    problem: str | None = None

    @property
    def rank(self) -> int:
        """The worst rank of its tokens; at 1, the greedy answer begins with the text. Only without a problem."""
        return max(self.ranks)

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability of the whole text."""
        return sum(self.log_probabilities)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with what is known of it besides its text.

    Attributes:
        text: What was answered.
        finish_reason: Why it ended: ``stop``; ``length`` for one that was cut; ``decided`` for one that was stopped
            when every check was decided; None when nobody knows.
        recall: What was measured of the texts that the case's ``recall`` checks name; empty where no model ran.
    """

    text: str
    finish_reason: str | None = None
    recall: tuple[Recall, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check on one answer; "could not be scored" is not "wrong".

    Attributes:
        check: Name of the check.
        followed: True when followed, False when violated, None when it could not be scored.
        reason: One line for people: what was found, or why it could not be scored.
    """

    check: str
    followed: bool | None
    reason: str

    @property
    def word(self) -> str:
        """What became of it, in one word."""
        return {True: "followed", False: "violated", None: "unscored"}[self.followed]
