"""What the templates of the ``arithmetic`` generator are written in: a problem, and what it draws from chance."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pytest_quantgate.cases.generators.filler import Pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

Style = Literal["shots", "direct", "worked"]
"""How a problem is asked: after two solved ones of its kind, for the result alone, or with its steps."""

_Item = TypeVar("_Item")

_NAMES: Final = """
    Amina Bruno Chloe Dario Elif Farid Greta Hiro Ingrid Joao Kofi Lucia Mateo Nadia Omar Priya Quentin Rosa Stefan
    Talia Umar Vera Wanda Xavier Yuki Zoe Anton Bella Carlos Deniz Emeka Fiona Gustav Hana Ivan Jamila Karim Lena
    Marek Noor Olivia Pedro Ruben Sanna Tomas Ursula Viktor Wen Yara Zain
"""
NAMES: Final = tuple(_NAMES.split())


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its exact answer.

    Attributes:
        text: The question, without how to answer.
        answer: Worked out by the template.
        steps: Operations from the question to the answer.
        worked: The steps as equations, for templates that solve an example; empty otherwise.
        unit: The answer's unit, where the question fixes one that an answer may carry.
    """

    text: str
    answer: Fraction
    steps: int
    worked: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of problem.

    Attributes:
        name: Begins the ids of its cases.
        skill: The tag of its cases.
        style: How it is asked.
        make: Draws one problem.
    """

    name: str
    skill: str
    style: Style
    make: Callable[[Draw], Problem]


class Draw:
    """Numbers, names and words, drawn so that every platform draws the same.

    Args:
        rng: Source of chance; only ``random()`` is drawn from.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names = Pack(rng, NAMES)

    def number(self, least: int, most: int, step: int = 1) -> int:
        """One of least, least + step, ..., up to most."""
        return least + step * int(self._rng.random() * ((most - least) // step + 1))

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of the items."""
        return items[self.number(0, len(items) - 1)]

    def some(self, items: Sequence[str], count: int) -> list[str]:
        """Several different items."""
        pack = Pack(self._rng, items)
        return [pack.deal() for _ in range(count)]

    def numbers(self, count: int, least: int, most: int) -> list[int]:
        """Several different numbers."""
        return [int(text) for text in self.some([str(number) for number in range(least, most + 1)], count)]

    def name(self) -> str:
        """A first name, another one each time."""
        return self._names.deal()


def shots(name: str, skill: str, make: Callable[[Draw], Problem]) -> Template:
    """A template that is asked after two solved problems of its kind."""
    return Template(name, skill, "shots", make)


def direct(name: str, skill: str, make: Callable[[Draw], Problem]) -> Template:
    """A template that is asked for the result alone."""
    return Template(name, skill, "direct", make)


def worked(name: str, skill: str, make: Callable[[Draw], Problem]) -> Template:
    """A template that is asked with its steps."""
    return Template(name, skill, "worked", make)


def problem(text: str, answer: int | Fraction, steps: int, *, unit: str = "") -> Problem:
    """A problem whose example needs no worked solution."""
    return Problem(text, Fraction(answer), steps, unit=unit)
