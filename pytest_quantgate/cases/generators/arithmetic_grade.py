"""Templates of grade school: one step after examples, then stories of two to eight steps."""

from __future__ import annotations

from typing import Final

from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, problem, shots, worked
from pytest_quantgate.cases.generators.arithmetic_stories import story_templates

THINGS: Final = (
    "pencils", "shells", "buttons", "plums", "cards", "coins", "beads", "stamps", "balloons", "cookies", "books",
    "keys", "ribbons", "spoons", "lemons", "nuts", "tickets", "candles", "socks", "leaves",
)  # fmt: skip
CONTAINERS: Final = ("boxes", "bags", "jars", "baskets", "trays", "drawers", "crates", "tins")


def _sum(draw: Draw) -> Problem:
    first, second = draw.number(1, 9), draw.number(1, 6)
    things, name = draw.pick(THINGS), draw.name()
    return problem(f"{name} has {first} {things} and gets {second} more. How many {things} is that?", first + second, 1)


def _sum_of_tens(draw: Draw) -> Problem:
    first, second = draw.number(10, 60, 10), draw.number(10, 40, 10)
    return problem(f"{first} + {second}", first + second, 1)


def _difference(draw: Draw) -> Problem:
    first = draw.number(5, 10)
    second = draw.number(1, 4)
    things, name = draw.pick(THINGS), draw.name()
    text = f"{name} had {first} {things} and lost {second}. How many {things} are left?"
    return problem(text, first - second, 1)


def _small_difference(draw: Draw) -> Problem:
    first = draw.number(4, 12)
    second = draw.number(1, 3)
    return problem(f"{first} - {second}", first - second, 1)


def _doubling(draw: Draw) -> Problem:
    number = draw.number(2, 12)
    return problem(f"Twice {number}", 2 * number, 1)


def _groups(draw: Draw) -> Problem:
    groups, each = draw.number(2, 5), draw.number(2, 5)
    box, things = draw.pick(CONTAINERS), draw.pick(THINGS)
    return problem(f"{groups} {box} hold {each} {things} each. How many {things} in all?", groups * each, 1)


def _times_ten(draw: Draw) -> Problem:
    number = draw.number(2, 19)
    return problem(f"{number} * 10", number * 10, 1)


def _sharing(draw: Draw) -> Problem:
    friends, each = draw.number(2, 4), draw.number(2, 6)
    things = draw.pick(THINGS)
    first, second = draw.name(), draw.name()
    people = f"{first}, {second}" if friends > 2 else f"{first} and {second}"  # noqa: PLR2004
    people += {2: "", 3: " and a friend", 4: " and two friends"}[friends]
    text = f"{people} share {friends * each} {things}, the same for each of the {friends}. How many does one get?"
    return problem(text, each, 1)


def _half(draw: Draw) -> Problem:
    half = draw.number(1, 10)
    return problem(f"What is half of {2 * half}?", half, 1)


def _next_number(draw: Draw) -> Problem:
    start, step = draw.number(1, 20), draw.pick((1, 1, 2, 5, 10))
    shown = ", ".join(str(start + step * index) for index in range(4))
    return problem(f"Which number comes next: {shown}?", start + 4 * step, 1)


def _larger(draw: Draw) -> Problem:
    first, second = draw.numbers(2, 3, 99)
    return problem(f"Which is larger, {first} or {second}? Both are below 100.", max(first, second), 1)


def _smallest(draw: Draw) -> Problem:
    three = draw.numbers(3, 2, 60)
    return problem(f"Smallest of {three[0]}, {three[1]} and {three[2]}, all below 100", min(three), 1)


def _three_terms(draw: Draw) -> Problem:
    first, second, third = draw.number(2, 9), draw.number(1, 9), draw.number(1, 5)
    return problem(f"{first} + {second} + {third}", first + second + third, 2)


def _and_back(draw: Draw) -> Problem:
    first, second, third = draw.number(5, 10), draw.number(1, 5), draw.number(1, 4)
    things, name = draw.pick(THINGS), draw.name()
    text = f"{name} has {first} {things}, finds {second} and gives {third} away. How many {things} remain?"
    return problem(text, first + second - third, 2)


def _change(draw: Draw) -> Problem:
    thing, other = draw.some(("loaves of bread", "notebooks", "plants", "mugs", "brushes", "pies", "bulbs"), 2)
    many, price, few, cost = draw.number(2, 5), draw.number(2, 6), draw.number(2, 4), draw.number(1, 5)
    note = draw.pick((50, 100))
    name = draw.name()
    text = (
        f"At the market {name} buys {many} {thing} for {price} euros each and {few} {other} for {cost} euros each, "
        f"and pays with a {note} euro note. How many euros does {name} get back?"
    )
    return problem(text, note - many * price - few * cost, 4)


def _wages(draw: Draw) -> Problem:
    job = draw.pick(("paints fences", "walks dogs", "washes cars", "delivers parcels", "teaches chess", "mows lawns"))
    first_day, second_day = draw.some(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"), 2)
    rate, first, second = draw.number(8, 19), draw.number(2, 6), draw.number(2, 5)
    spent, name = draw.number(5, 30), draw.name()
    text = (
        f"{name} {job} for {rate} dollars an hour: {first} hours on {first_day} and {second} hours on {second_day}. "
        f"Then {name} spends {spent} dollars. How many dollars of the wages remain?"
    )
    return problem(text, rate * (first + second) - spent, 3)


def _two_kinds(draw: Draw) -> Problem:
    box, other_box = draw.some(CONTAINERS, 2)
    things = draw.pick(THINGS)
    groups, each, others, other_each = draw.number(3, 9), draw.number(4, 12), draw.number(2, 8), draw.number(3, 11)
    broken = draw.number(2, 11)
    text = (
        f"A shop gets {groups} {box} with {each} {things} each, and {others} {other_box} with {other_each} each. "
        f"{broken} of the {things} are damaged and thrown out. How many good {things} does the shop have?"
    )
    return problem(text, groups * each + others * other_each - broken, 4)


def _ages(draw: Draw) -> Problem:
    old, young = draw.name(), draw.name()
    relative = draw.pick(("aunt", "uncle", "grandfather", "teacher", "grandmother", "coach"))
    age, times, years = draw.number(6, 14), draw.number(3, 5), draw.number(3, 12)
    text = (
        f"{young} is {age} years old, and {old}, {young}'s {relative}, is {times} times as old. "
        f"How old are the two of them together in {years} years?"
    )
    return problem(text, age * times + age + 2 * years, 4)


def _journey(draw: Draw) -> Problem:
    way = draw.pick(("train", "coach", "ferry", "lorry", "van", "motorbike"))
    speed, hours, slow, more = draw.number(40, 80, 10), draw.number(2, 5), draw.number(20, 35, 5), draw.number(1, 4)
    total = speed * hours + slow * more + draw.number(10, 90, 10)
    goal = draw.pick(("the coast", "the capital", "the border", "the mountains", "the harbour"))
    text = (
        f"A {way} has {total} kilometres to go to {goal}. It travels {hours} hours at {speed} kilometres per hour "
        f"and then {more} hours at {slow} kilometres per hour. How many kilometres are left?"
    )
    return problem(text, total - speed * hours - slow * more, 4)


def _perimeter(draw: Draw) -> Problem:
    place = draw.pick(("field", "playground", "vegetable patch", "courtyard", "paddock", "pond"))
    wide, more, gate = draw.number(8, 30), draw.number(3, 15), draw.number(2, 5)
    price = draw.number(2, 9)
    text = (
        f"A rectangular {place} is {wide} metres wide and {more} metres longer than it is wide. A fence goes all "
        f"around it except for a gate of {gate} metres. One metre of fence costs {price} dollars. "
        "What does the fence cost in dollars?"
    )
    return problem(text, (2 * (2 * wide + more) - gate) * price, 5)


def _seats(draw: Draw) -> Problem:
    place = draw.pick(("theatre", "cinema", "stadium", "concert hall", "circus tent"))
    rows, seats, balcony = draw.number(12, 25), draw.number(10, 20), draw.number(15, 60)
    part = draw.pick((2, 5))
    rows -= rows % part
    balcony -= balcony % part
    word = {2: "half", 5: "a fifth"}[part]
    guests = (rows * seats + balcony) // part
    late = draw.number(3, guests // 2)
    text = (
        f"A {place} has {rows} rows of {seats} seats and {balcony} seats on the balcony. On opening night {word} of "
        f"all seats are taken, and then {late} more people come in. How many seats are taken now?"
    )
    return problem(text, guests + late, 4)


def _recipe(draw: Draw) -> Problem:
    dish, thing = draw.pick(
        (("soup", "carrots"), ("cake", "eggs"), ("salad", "tomatoes"), ("pie", "apples"), ("curry", "onions"))
    )
    people, need, times = draw.number(2, 6), draw.number(2, 7), draw.number(3, 6)
    packs, have = draw.number(2, 6), draw.number(1, 9)
    total = need * times - have
    while total % packs or total <= 0:
        have += 1
        total = need * times - have
        if total <= 0:
            times, have = times + 2, 1
            total = need * times - have
    name = draw.name()
    text = (
        f"A {dish} for {people} people needs {need} {thing}. {name} cooks for {people * times} people and has {have} "
        f"{thing} at home. The shop sells {thing} in packs of {packs}. How many packs does {name} need to buy?"
    )
    return problem(text, total // packs, 4)


def _saving(draw: Draw) -> Problem:
    goal = draw.pick(("a bicycle", "a camera", "a guitar", "a tent", "a telescope", "a kayak"))
    week, weeks, gift = draw.number(6, 15), draw.number(4, 9), draw.number(10, 40)
    spent = draw.number(3, 9)
    missing = draw.number(5, 60)
    name = draw.name()
    price = week * weeks + gift - spent + missing
    text = (
        f"{name} wants to buy {goal} that costs {price} dollars and saves {week} dollars a week. After {weeks} weeks "
        f"{name} gets {gift} dollars as a present, but pays {spent} dollars for a broken window. "
        "How many dollars are still missing?"
    )
    return problem(text, missing, 4)


def _factory(draw: Draw) -> Problem:
    things = draw.pick(("lamps", "chairs", "radios", "toys", "clocks", "helmets", "boots"))
    machines, rate, hours = draw.number(3, 8), draw.number(5, 15), draw.number(4, 8)
    fewer, rest = draw.number(1, 2), draw.number(2, 5)
    text = (
        f"In a factory {machines} machines make {rate} {things} an hour each. They all run for {hours} hours; then "
        f"{fewer} of them stop, and the others run for {rest} more hours. How many {things} are made in all?"
    )
    return problem(text, rate * (machines * hours + (machines - fewer) * rest), 5)


TEMPLATES: Final = (
    shots("sum", "addition", _sum),
    shots("sum-tens", "addition", _sum_of_tens),
    shots("difference", "subtraction", _difference),
    shots("difference-small", "subtraction", _small_difference),
    shots("double", "multiplication", _doubling),
    shots("groups", "multiplication", _groups),
    shots("times-ten", "multiplication", _times_ten),
    shots("share", "division", _sharing),
    shots("half", "division", _half),
    shots("next-number", "sequence", _next_number),
    shots("larger", "comparison", _larger),
    shots("smallest", "comparison", _smallest),
    shots("three-terms", "addition", _three_terms),
    shots("and-back", "subtraction", _and_back),
    *story_templates(),
    worked("change", "money", _change),
    worked("wages", "money", _wages),
    worked("two-kinds", "multiplication", _two_kinds),
    worked("ages", "multiplication", _ages),
    worked("journey", "rate", _journey),
    worked("perimeter", "area", _perimeter),
    worked("seats", "fraction", _seats),
    worked("recipe", "division", _recipe),
    worked("saving", "money", _saving),
    worked("factory", "rate", _factory),
)
