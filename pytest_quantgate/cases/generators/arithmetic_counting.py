"""Templates of competitions about how many and how likely: counting, long sums and probability, with exact answers."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import comb, factorial, lcm
from typing import Final

from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, direct, problem, worked

_WORDS: Final = (
    "BANANA", "MISSISSIPPI", "PEPPER", "LEVEL", "COFFEE", "BUBBLE", "ASSESS", "TOMORROW", "BALLOON", "COCOA", "ENGINE",
    "LETTER", "SUMMER", "PARALLEL", "REFEREE", "KAYAK",
)  # fmt: skip


def _multiples(draw: Draw) -> Problem:
    first, second = draw.numbers(2, 3, 11)
    top = draw.number(150, 900, 10)
    both = lcm(first, second)
    either = top // first + top // second - top // both
    ask, value = draw.pick(
        (
            ("How many integers from 1 to {t} are divisible by {a} or by {b}?", either),
            ("Among the numbers 1 to {t}, how many are multiples of neither {a} nor {b}?", top - either),
            ("How many integers from 1 to {t} are divisible by exactly one of {a} and {b}?", either - top // both),
        )
    )
    return problem(ask.format(t=top, a=first, b=second), value, 4)


def _anagrams(draw: Draw) -> Problem:
    word = draw.pick(_WORDS)
    ask = draw.pick(
        (
            "In how many different orders can the letters of {w} be arranged?",
            "How many distinct strings use all letters of {w}?",
        )
    )
    orders = reduce(lambda ways, letter: ways // factorial(word.count(letter)), sorted(set(word)), factorial(len(word)))
    return problem(ask.format(w=word), orders, 3)


def _committee(draw: Draw) -> Problem:
    first, second = draw.some(("teachers", "pupils", "nurses", "pilots", "farmers", "dancers", "judges", "cooks"), 2)
    many, few = draw.number(5, 9), draw.number(4, 8)
    size = draw.number(3, 5)
    least = draw.number(1, 2)
    ways = sum(comb(many, count) * comb(few, size - count) for count in range(least, size + 1))
    text = (
        f"From {many} {first} and {few} {second} a committee of {size} is chosen. It must hold at least {least} of the "
        f"{first}. How many different committees are possible?"
    )
    return problem(text, ways, 5)


def _paths(draw: Draw) -> Problem:
    right, up = draw.number(4, 8), draw.number(3, 7)
    across, high = draw.number(1, right - 1), draw.number(1, up - 1)
    through = comb(across + high, high) * comb(right + up - across - high, up - high)
    ask, value = draw.pick(
        (
            (
                (
                    "A robot on a grid walks from (0, 0) to ({r}, {u}) by unit "
                    "steps right or up. How many ways pass through ({a}, {h})?"
                ),
                through,
            ),
            (
                (
                    "How many shortest routes along the streets of a square grid lead "
                    "from the corner (0, 0) to ({r}, {u}) and avoid ({a}, {h})?"
                ),
                comb(right + up, up) - through,
            ),
        )
    )
    return problem(ask.format(r=right, u=up, a=across, h=high), value, 4)


def _bars(draw: Draw) -> Problem:
    what, who = draw.pick((("apples", "children"), ("coins", "pirates"), ("stickers", "pupils"), ("bones", "dogs")))
    many, few, least = draw.number(9, 18), draw.number(3, 5), draw.number(0, 2)
    text = (
        f"{many} identical {what} are handed out to {few} {who}, each of whom gets {least} or more. "
        "In how many ways can this be done?"
    )
    return problem(text, comb(many - few * least + few - 1, few - 1), 3)


def _no_neighbours(draw: Draw) -> Problem:
    chairs, guests = draw.number(8, 14), draw.number(3, 4)
    what = draw.pick(("chairs in a row", "parking bays in a line", "lockers along a wall", "seats on a bench"))
    text = (
        f"Out of {chairs} {what}, {guests} are to be chosen so that no two of the chosen ones are next to each other. "
        "How many choices are there?"
    )
    return problem(text, comb(chairs - guests + 1, guests), 3)


def _digit_sum(draw: Draw) -> Problem:
    total, top = draw.number(5, 20), draw.pick((1000, 2000, 3000, 5000))
    ask = draw.pick(
        (
            "How many positive integers below {t} have a digit sum of {s}?",
            "Count the positive integers less than {t} whose digits add up to {s}.",
        )
    )
    value = sum(_digits(number) == total for number in range(1, top))
    return problem(ask.format(t=top, s=total), value, 4)


def _digits(number: int) -> int:
    return sum(int(digit) for digit in str(number))


def _telescope(draw: Draw) -> Problem:
    start, end = draw.number(1, 6), draw.number(15, 60)
    ask = draw.pick(
        (
            "What is 1/(k(k + 1)) summed over all integers k from {s} to {e}?",
            (
                "For each integer k with {s} <= k <= {e} take the reciprocal of "
                "k times (k + 1). What do these reciprocals add up to?"
            ),
        )
    )
    return problem(ask.format(s=start, e=end), Fraction(1, start) - Fraction(1, end + 1), 3)


def _power_sum(draw: Draw) -> Problem:
    low, top = draw.number(2, 9), draw.number(12, 40)
    name, power = draw.pick((("squares", 2), ("cubes", 3)))
    ask = draw.pick(
        (
            "What is the sum of the {n} of all integers from {l} to {t}?",
            "Add the {n} of the integers {l}, {m}, ..., {t}.",
        )
    )
    value = sum(number**power for number in range(low, top + 1))
    return problem(ask.format(n=name, l=low, m=low + 1, t=top), value, 4)


def _three_dice(draw: Draw) -> Problem:
    least = draw.number(11, 16)
    sides = draw.pick((6, 8))
    rolls = ((a, b, c) for a in range(1, sides + 1) for b in range(1, sides + 1) for c in range(1, sides + 1))
    ways = sum(sum(roll) >= least for roll in rolls)
    ask = draw.pick(
        (
            (
                "Three fair dice with {s} faces numbered from 1 are thrown. What "
                "is the probability that they show at least {l} in total?"
            ),
            "How likely is it that three fair {s}-sided dice, numbered from 1, sum to {l} or more?",
        )
    )
    return problem(ask.format(s=sides, l=least), Fraction(ways, sides**3), 4)


def _lottery(draw: Draw) -> Problem:
    top, picks = draw.number(8, 14), draw.number(3, 5)
    right = draw.number(1, picks - 1)
    ways = comb(picks, right) * comb(top - picks, picks - right)
    text = (
        f"From the numbers 1 to {top} a machine draws {picks} different ones. You have marked {picks} numbers. "
        f"What is the probability that exactly {right} of yours are drawn?"
    )
    return problem(text, Fraction(ways, comb(top, picks)), 4)


def _surjections(draw: Draw) -> Problem:
    what, where = draw.pick((("letters", "envelopes"), ("guests", "rooms"), ("parcels", "vans"), ("cats", "cushions")))
    many, few = draw.number(4, 8), draw.number(2, 4)
    ways = sum((-1) ** left * comb(few, left) * (few - left) ** many for left in range(few + 1))
    text = (
        f"In how many ways can {many} different {what} be spread over {few} different {where} so that none of the "
        f"{where} stays empty?"
    )
    return problem(text, ways, 5)


TEMPLATES: Final = (
    worked("multiples", "counting", _multiples),
    worked("anagrams", "counting", _anagrams),
    worked("committee", "counting", _committee),
    worked("paths", "counting", _paths),
    direct("bars", "counting", _bars),
    direct("no-neighbours", "counting", _no_neighbours),
    direct("digit-sum", "counting", _digit_sum),
    worked("surjections", "counting", _surjections),
    worked("telescope", "sums", _telescope),
    direct("power-sum", "sums", _power_sum),
    worked("three-dice", "probability", _three_dice),
    worked("lottery", "probability", _lottery),
)
