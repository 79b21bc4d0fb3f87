"""Templates of competitions about whole numbers: remainders, divisors, factorials and bases, with exact answers."""

from __future__ import annotations

from math import gcd, lcm
from typing import Final

from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, direct, problem, worked


def _power_remainder(draw: Draw) -> Problem:
    base, exponent, modulus = draw.number(2, 12), draw.number(20, 150), draw.number(7, 29)
    ask = draw.pick(
        (
            "What is the remainder when {b}^{e} is divided by {m}?",
            "Find the least non-negative integer that {b}^{e} leaves modulo {m}.",
            "{b}^{e} is divided by {m}. Which remainder is left?",
        )
    )
    return problem(ask.format(b=base, e=exponent, m=modulus), pow(base, exponent, modulus), 4)


def _last_digits(draw: Draw) -> Problem:
    base, exponent = draw.number(3, 29, 2), draw.number(11, 99)
    other = draw.number(2, 9)
    ask = draw.pick(
        ("What is the last digit of {b}^{e} + {o}?", "Which digit stands at the end of {b}^{e} + {o}, written out?")
    )
    return problem(ask.format(b=base, e=exponent, o=other), (pow(base, exponent, 10) + other) % 10, 3)


def _chinese(draw: Draw) -> Problem:
    moduli = draw.pick(((3, 5, 7), (4, 5, 9), (5, 7, 8), (3, 7, 11), (4, 7, 9)))
    what = draw.pick(("soldiers", "eggs", "coins", "pages", "tiles"))
    total = draw.number(20, moduli[0] * moduli[1] * moduli[2] - 1)
    left = [total % modulus for modulus in moduli]
    text = (
        f"Counted in groups of {moduli[0]}, some {what} leave {left[0]} over; in groups of {moduli[1]} "
        f"they leave {left[1]}, and in groups of {moduli[2]} they leave {left[2]}. "
        f"What is the smallest positive number of {what}?"
    )
    return problem(text, total, 5)


def _inverse(draw: Draw) -> Problem:
    modulus = draw.pick((11, 13, 17, 19, 23, 29, 31))
    number, right = draw.number(3, modulus - 2), draw.number(2, modulus - 1)
    ask = draw.pick(
        (
            "Find the smallest positive x for which {n}x leaves the remainder {r} on division by {m}.",
            "What is the least x > 0 such that {n}x - {r} is a multiple of {m}?",
        )
    )
    return problem(ask.format(n=number, r=right, m=modulus), right * pow(number, -1, modulus) % modulus, 4)


def _divisors(draw: Draw) -> Problem:
    number = draw.number(120, 3600, 12)
    ask = draw.pick(
        ("How many positive divisors does {n} have?", "By how many positive integers can {n} be divided evenly?")
    )
    return problem(ask.format(n=number), sum(number % part == 0 for part in range(1, number + 1)), 3)


def _divisor_sum(draw: Draw) -> Problem:
    number = draw.number(60, 700, 4)
    ask = draw.pick(
        (
            "What is the sum of all positive divisors of {n}, itself included?",
            "Add up every positive integer that divides {n}.",
        )
    )
    return problem(ask.format(n=number), sum(part for part in range(1, number + 1) if number % part == 0), 4)


def _common(draw: Draw) -> Problem:
    shared = draw.number(6, 24)
    first, second = draw.numbers(2, 5, 30)
    one, two = shared * first, shared * second
    ask = draw.pick(
        (
            "What is the greatest common divisor of {a} and {b}, plus the number of its own positive divisors?",
            "Let d be the largest integer that divides both {a} and {b}. Find d plus how many positive divisors d has.",
        )
    )
    divisor = gcd(one, two)
    count = sum(divisor % part == 0 for part in range(1, divisor + 1))
    return problem(ask.format(a=one, b=two), divisor + count, 4)


def _lights(draw: Draw) -> Problem:
    what = draw.pick(("lighthouses flash", "bells ring", "fountains rise", "buses leave"))
    shared = draw.number(2, 4)
    three = [part * shared for part in draw.numbers(3, 2, 10)]
    text = (
        f"Three {what} at the same moment, and then every {three[0]}, {three[1]} and {three[2]} minutes. "
        "After how many minutes does that next happen for all three at once?"
    )
    return problem(text, lcm(*three), 3)


def _zeros(draw: Draw) -> Problem:
    top, low = draw.number(40, 300), draw.number(5, 35)
    zeros = _fives(top) - _fives(low)
    ask = draw.pick(
        (
            "With how many zeros does {t}! / {l}! end?",
            "The factorial of {t} is divided by the factorial of {l}. How many zeros stand at the end of the quotient?",
        )
    )
    # the fives alone decide: far more twos are left over
    return problem(ask.format(t=top, l=low), zeros, 4)


def _fives(number: int) -> int:
    return sum(number // 5**power for power in range(1, 6))


def _bases(draw: Draw) -> Problem:
    base, number, times = draw.pick((3, 5, 6, 7, 9)), draw.number(100, 400), draw.number(2, 5)
    written, rest = "", number
    while rest:
        rest, digit = divmod(rest, base)
        written = f"{digit}{written}"
    ask = draw.pick(
        (
            "The number {w} is written in base {b}. What is {t} times that number in base ten?",
            "Read {w} as a numeral in base {b} and multiply it by {t}. What is the product in the decimal system?",
        )
    )
    return problem(ask.format(w=written, b=base, t=times), number * times, 4)


def _coins(draw: Draw) -> Problem:
    first, second = draw.pick(((3, 7), (4, 9), (5, 7), (5, 8), (6, 11), (7, 9), (4, 11), (5, 12)))
    what = draw.pick(("coins", "stamps", "weights", "tokens"))
    ask, value = draw.pick(
        (
            (
                "With {w} of {a} and {b} units only, what is the largest whole amount that cannot be made?",
                first * second - first - second,
            ),
            (
                "How many positive whole amounts cannot be made from any number of {w} worth {a} and {b}?",
                (first - 1) * (second - 1) // 2,
            ),
        )
    )
    return problem(ask.format(w=what, a=first, b=second), value, 4)


def _totient(draw: Draw) -> Problem:
    number = draw.number(60, 420, 6)
    ask = draw.pick(
        (
            "How many integers from 1 to {n} have no common factor with {n} other than 1?",
            "How many fractions k/{n} with 0 < k < {n} are in lowest terms?",
        )
    )
    return problem(ask.format(n=number), sum(gcd(part, number) == 1 for part in range(1, number + 1)), 4)


def _fibonacci(draw: Draw) -> Problem:
    first, second, index = draw.number(1, 4), draw.number(2, 9), draw.number(9, 16)
    modulus = draw.number(7, 13)
    ask = draw.pick(
        (
            (
                "A sequence starts {a}, {b}, and every later term is the sum of the "
                "two before. What does term {i} leave when divided by {m}?"
            ),
            (
                "The first terms are {a} and {b}; from then on each term adds "
                "the two before it. Find term number {i} modulo {m}."
            ),
        )
    )
    one, two = first, second
    for _ in range(index - 1):
        one, two = two, one + two
    return problem(ask.format(a=first, b=second, i=index, m=modulus), one % modulus, 6)


def _clock_sum(draw: Draw) -> Problem:
    factor, top, modulus = draw.number(2, 6), draw.number(30, 99), draw.number(6, 17)
    add = draw.number(1, 5)
    ask = draw.pick(
        (
            "Let S be the sum of {f}k + {a} over k = 1, 2, ..., {t}. What remainder does S leave on division by {m}?",
            "The numbers {f}k + {a} are added up for every k from 1 to {t}. Reduce the total modulo {m}.",
        )
    )
    total = sum(factor * k + add for k in range(1, top + 1))
    return problem(ask.format(f=factor, a=add, t=top, m=modulus), total % modulus, 4)


TEMPLATES: Final = (
    direct("power-remainder", "remainders", _power_remainder),
    direct("last-digit", "remainders", _last_digits),
    worked("chinese", "remainders", _chinese),
    direct("inverse", "remainders", _inverse),
    worked("fibonacci", "remainders", _fibonacci),
    worked("clock-sum", "remainders", _clock_sum),
    worked("divisors", "number_theory", _divisors),
    worked("divisor-sum", "number_theory", _divisor_sum),
    worked("common", "number_theory", _common),
    direct("lights", "number_theory", _lights),
    worked("zeros", "number_theory", _zeros),
    direct("totient", "number_theory", _totient),
    worked("bases", "number_theory", _bases),
    direct("no-change", "number_theory", _coins),
)
