"""Templates of high school: equations, percent chains, sequences, areas and probability, with exact answers."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Final

from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, direct, problem, shots, worked

_LETTERS: Final = ("x", "y", "z", "n", "t", "k")
_COLOURS: Final = ("red", "blue", "green", "yellow", "white", "black", "orange", "purple")


def _one_step(draw: Draw) -> Problem:
    letter, add, root = draw.pick(_LETTERS), draw.number(1, 9), draw.number(1, 12)
    return problem(f"{letter} + {add} = {root + add}, {letter} = ?", root, 1)


def _squares(draw: Draw) -> Problem:
    root = draw.number(2, 15)
    return problem(f"{root} squared", root * root, 1)


def _percent(draw: Draw) -> Problem:
    percent, whole = draw.pick((10, 20, 25, 50)), draw.number(20, 200, 20)
    return problem(f"{percent}% of {whole}", percent * whole // 100, 1)


def _line(draw: Draw) -> Problem:
    letter, factor, add, root = draw.pick(_LETTERS), draw.number(2, 9), draw.number(2, 30), draw.number(2, 15)
    ask = draw.pick(("Solve {e} for {l}.", "For which {l} does {e} hold?", "Find {l} if {e}."))
    return problem(ask.format(e=f"{factor}{letter} + {add} = {factor * root + add}", l=letter), root, 2)


def _both_sides(draw: Draw) -> Problem:
    letter, less, root = draw.pick(_LETTERS), draw.number(2, 5), draw.number(-9, 12)
    factor, add = less + draw.number(1, 6), draw.number(1, 20)
    right = factor * root + add - less * root
    behind = f"+ {right}" if right >= 0 else f"- {-right}"
    text = f"{factor}{letter} + {add} = {less}{letter} {behind}"
    ask = draw.pick(
        ("Solve the equation {e}; what is {l}?", "Which value of {l} makes {e} true?", "Given {e}, find {l}.")
    )
    return problem(ask.format(e=text, l=letter), root, 3)


def _brackets(draw: Draw) -> Problem:
    letter, root = draw.pick(_LETTERS), draw.number(3, 14)
    outer, inner, less, factor = draw.number(2, 6), draw.number(1, 8), draw.number(1, 9), draw.number(7, 9)
    right = outer * (root + inner) - less - factor * root
    behind = f"+ {right}" if right >= 0 else f"- {-right}"
    text = f"{outer}({letter} + {inner}) - {less} = {factor}{letter} {behind}"
    ask = draw.pick(("Solve {e}. Which number is {l}?", "What must {l} be so that {e}?", "Determine {l} from {e}."))
    return problem(ask.format(e=text, l=letter), root, 4)


def _system(draw: Draw) -> Problem:
    thing, other = draw.some(("pen", "ruler", "folder", "eraser", "compass", "marker", "sharpener", "notepad"), 2)
    first, second, many, few = draw.number(2, 9), draw.number(2, 9), draw.number(2, 6), draw.number(1, 5)
    more = many + draw.number(1, 3)
    if many * (few + 1) == few * more:
        more += 1
    asked = draw.pick((True, False))
    text = (
        f"{many} {thing}s and {few} {other}s cost {many * first + few * second} euros together; {more} {thing}s and "
        f"{few + 1} {other}s cost {more * first + (few + 1) * second} euros. "
        f"How many euros does one {thing if asked else other} cost?"
    )
    return problem(text, first if asked else second, 4)


def _proportion(draw: Draw) -> Problem:
    worker, thing = draw.pick(
        (
            ("masons", "metres of wall"),
            ("printers", "posters"),
            ("bakers", "loaves"),
            ("pumps", "tanks"),
            ("weavers", "rugs"),
        )
    )
    rate = Fraction(draw.number(1, 6), draw.number(1, 3))
    many, hours = draw.number(2, 6) * rate.denominator, draw.number(2, 7)
    more, longer = draw.number(2, 6) * rate.denominator, draw.number(3, 9)
    text = (
        f"{many} {worker} make {int(rate * many * hours)} {thing} in {hours} hours. "
        f"At the same pace, how many {thing} do {more} {worker} make in {longer} hours?"
    )
    return problem(text, rate * more * longer, 3)


def _percent_chain(draw: Draw) -> Problem:
    thing = draw.pick(("bicycle", "phone", "sofa", "coat", "printer", "carpet", "guitar"))
    up, down = draw.pick((10, 20, 25, 50)), draw.pick((10, 20, 30, 40))
    price, coupon = draw.number(200, 800, 200), draw.number(3, 25)
    shop = draw.name()
    final = Fraction(price) * (100 + up) / 100 * (100 - down) / 100 - coupon
    text = (
        f"The shop of {shop} sells a {thing} for {price} dollars. It raises the price by {up}%, then takes {down}% off "
        f"the new price, and a customer has a voucher for {coupon} dollars. How many dollars does the customer pay?"
    )
    return problem(text, final, 3)


def _percent_back(draw: Draw) -> Problem:
    what, unit = draw.pick(
        (("A club", "members"), ("A village", "people"), ("A flock", "sheep"), ("A school", "pupils"))
    )
    start, percent, more = draw.number(200, 900, 100), draw.pick((10, 15, 20, 25, 30, 40)), draw.number(10, 60, 10)
    text = (
        f"{what} has grown by {percent}% in a year and by {more} {unit} after that; it now counts "
        f"{start * (100 + percent) // 100 + more} {unit}. How many {unit} were there before it grew?"
    )
    return problem(text, start, 3)


def _interest(draw: Draw) -> Problem:
    years, percent = draw.number(2, 3), draw.pick((10, 20, 50))
    start = draw.number(1000, 6000, 1000)
    what = draw.pick(("A deposit", "A fund", "An account", "A loan"))
    verb = draw.pick(("grows", "increases", "goes up"))
    text = (
        f"{what} of {start} euros {verb} by {percent}% every year, and nothing is paid out. "
        f"How many euros is it worth after {years} years?"
    )
    return problem(text, Fraction(start) * Fraction(100 + percent, 100) ** years, years)


def _arithmetic_term(draw: Draw) -> Problem:
    start, step, index = draw.number(2, 30), draw.number(3, 12), draw.number(12, 40)
    row = ", ".join(str(start + step * place) for place in range(4))
    ask = draw.pick(
        (
            "The sequence {r}, ... goes on evenly. What is its term number {i}?",
            "What stands at place {i} of the even row {r}, ...?",
        )
    )
    return problem(ask.format(r=row, i=index), start + step * (index - 1), 3)


def _arithmetic_sum(draw: Draw) -> Problem:
    place = draw.pick(("theatre", "lecture hall", "grandstand", "circus"))
    start, step, rows = draw.number(8, 20), draw.number(2, 5), draw.number(10, 20)
    text = (
        f"The first row of a {place} has {start} seats, and every further row has {step} seats more than the "
        f"one before. How many seats are there in {rows} rows altogether?"
    )
    return problem(text, rows * (2 * start + (rows - 1) * step) // 2, 4)


def _geometric(draw: Draw) -> Problem:
    what = draw.pick(("bacteria in a dish", "views of a video", "weeds in a pond", "shares of a rumour"))
    start, factor, hours = draw.number(2, 9), draw.number(2, 4), draw.number(4, 6)
    text = (
        f"The number of {what} is {start} at first and is multiplied by {factor} every hour. "
        f"What is it after {hours} hours?"
    )
    return problem(text, start * factor**hours, hours)


def _recursion(draw: Draw) -> Problem:
    start, factor, add, count = draw.number(1, 6), draw.number(2, 3), draw.number(1, 7), draw.number(3, 5)
    ask = draw.pick(
        (
            (
                "A sequence begins with {s}. Each next term is {f} times the "
                "term before, plus {a}. What comes after {c} such steps?"
            ),
            "Start with {s}. Multiply by {f} and add {a}, and do this {c} times in all. Which number do you reach?",
        )
    )
    value = start
    for _ in range(count):
        value = factor * value + add
    return problem(ask.format(s=start, f=factor, a=add, c=count), value, 2 * count)


def _triangle(draw: Draw) -> Problem:
    base, height = draw.number(4, 30, 2), draw.number(3, 25)
    what = draw.pick(("triangular sail", "triangular garden", "triangle", "triangular flag"))
    unit, short = draw.pick((("metres", "m^2"), ("centimetres", "cm^2")))
    text = f"A {what} has a base of {base} {unit} and a height of {height} {unit}. What is its area in square {unit}?"
    return problem(text, base * height // 2, 2, unit=short)


def _trapezoid(draw: Draw) -> Problem:
    long, height = draw.number(10, 30), draw.number(4, 16, 2)
    short = long - draw.number(2, 8)
    what = draw.pick(("trapezoid", "plot of land in the form of a trapezoid", "trapezoidal table top"))
    unit, sign = draw.pick((("metres", "m^2"), ("centimetres", "cm^2")))
    text = (
        f"The parallel sides of a {what} measure {long} and {short} {unit}, and they are {height} {unit} apart. "
        f"Find the area in square {unit}."
    )
    return problem(text, (long + short) * height // 2, 3, unit=sign)


def _frame(draw: Draw) -> Problem:
    what, round_it = draw.pick((("pool", "path"), ("picture", "frame"), ("lawn", "flower bed"), ("carpet", "border")))
    wide, long, edge = draw.number(6, 20), draw.number(8, 30), draw.number(2, 5)
    text = (
        f"Around a rectangular {what} of {wide} by {long} units runs a {round_it} that is {edge} units wide "
        f"everywhere, with square corners. How many square units does the {round_it} cover?"
    )
    return problem(text, (wide + 2 * edge) * (long + 2 * edge) - wide * long, 4)


def _right_triangle(draw: Draw) -> Problem:
    legs = draw.pick(((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29)))
    scale, first = draw.number(1, 6), draw.number(0, 1)
    one, two = legs[first] * scale, legs[1 - first] * scale
    ask = draw.pick(
        (
            (
                "A ladder leans against a wall: its foot stands {a} dm from the "
                "wall and its top is {b} dm high. How many dm long is it?"
            ),
            (
                "A boat sails {a} km north and then {b} km east. How many "
                "km is it from where it started, in a straight line?"
            ),
            "The legs of a right triangle measure {a} and {b} units. How long is its longest side in units?",
        )
    )
    return problem(ask.format(a=one, b=two), legs[2] * scale, 3)


def _dice(draw: Draw) -> Problem:
    sides, total = draw.pick((4, 6, 8)), draw.number(3, 12)
    total = min(total, 2 * sides)
    ways = sum(1 <= total - first <= sides for first in range(1, sides + 1))
    ask = draw.pick(
        (
            "Two fair dice with {s} sides each (numbered from 1) are rolled. How likely is a sum of {t}?",
            "With two fair {s}-sided dice, faces counted from 1 up, what is the probability that the sum is {t}?",
        )
    )
    return problem(ask.format(s=sides, t=total), Fraction(ways, sides**2), 3)


def _urn(draw: Draw) -> Problem:
    colour, other = draw.some(_COLOURS, 2)
    what, thing = draw.pick((("An urn", "balls"), ("A bag", "marbles"), ("A drawer", "socks"), ("A box", "chips")))
    first, second = draw.number(3, 8), draw.number(2, 7)
    text = (
        f"{what} holds {first} {colour} and {second} {other} {thing}. Two {thing} are taken out at random, one after "
        f"the other, without putting the first back. What is the probability that both are {colour}?"
    )
    return problem(text, Fraction(comb(first, 2), comb(first + second, 2)), 4)


def _coins(draw: Draw) -> Problem:
    count = draw.number(3, 7)
    heads = draw.number(1, count - 1)
    ask = draw.pick(
        (
            "A fair coin is tossed {c} times. What is the probability of exactly {h} heads?",
            "Out of {c} tosses of a fair coin, how likely is it that precisely {h} show heads?",
        )
    )
    return problem(ask.format(c=count, h=heads), Fraction(comb(count, heads), 2**count), 4)


def _mean(draw: Draw) -> Problem:
    what = draw.pick(("test scores", "daily temperatures", "parcel weights", "race times", "jump lengths"))
    known = draw.numbers(4, 10, 40)
    last = draw.number(10, 40)
    last += -(sum(known) + last) % 5
    text = (
        f"Four of five {what} are {known[0]}, {known[1]}, {known[2]} and {known[3]}. "
        f"The mean of all five is {(sum(known) + last) // 5}. What is the fifth?"
    )
    return problem(text, last, 3)


def _fractions(draw: Draw) -> Problem:
    (first, third), (second, fourth) = draw.numbers(2, 1, 7), draw.numbers(2, 2, 9)
    value = Fraction(first, second) + Fraction(third, fourth) * Fraction(2, 3)
    return problem(f"What is {first}/{second} + {third}/{fourth} * 2/3?", value, 3)


def _quadratic(draw: Draw) -> Problem:
    small, gap = draw.number(2, 12), draw.number(1, 9)
    large = small + gap
    which, root = draw.pick((("larger", large), ("smaller", small)))
    text = f"x^2 - {small + large}x + {small * large} = 0"
    ask = draw.pick(("What is the {w} solution of {e}?", "The equation {e} has two roots; give the {w} one."))
    return problem(ask.format(w=which, e=text), root, 3)


def _function(draw: Draw) -> Problem:
    two, one, none, at = draw.number(2, 4), draw.number(2, 6), draw.number(1, 9), draw.number(2, 6)
    inner, add = draw.number(2, 4), draw.number(1, 5)
    text = f"Let f(x) = {two}x^2 - {one}x + {none} and g(x) = {inner}x + {add}. What is f(g({at}))?"
    point = inner * at + add
    return problem(text, two * point**2 - one * point + none, 6)


TEMPLATES: Final = (
    shots("unknown", "equation", _one_step),
    shots("square", "power", _squares),
    shots("percent", "percent", _percent),
    direct("line", "equation", _line),
    direct("both-sides", "equation", _both_sides),
    direct("brackets", "equation", _brackets),
    worked("system", "equation", _system),
    worked("proportion", "rate", _proportion),
    worked("percent-chain", "percent", _percent_chain),
    worked("percent-back", "percent", _percent_back),
    worked("interest", "percent", _interest),
    direct("arithmetic-term", "sequence", _arithmetic_term),
    worked("arithmetic-sum", "sequence", _arithmetic_sum),
    direct("geometric", "sequence", _geometric),
    worked("recursion", "sequence", _recursion),
    direct("triangle", "area", _triangle),
    direct("trapezoid", "area", _trapezoid),
    worked("frame", "area", _frame),
    direct("right-triangle", "area", _right_triangle),
    direct("dice", "probability", _dice),
    direct("urn", "probability", _urn),
    direct("coins", "probability", _coins),
    direct("mean", "mean", _mean),
    direct("fractions", "fraction", _fractions),
    direct("quadratic", "equation", _quadratic),
    direct("function", "function", _function),
)
