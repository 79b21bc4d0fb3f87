"""Stories in which one quantity grows and shrinks: two to eight steps, each a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.generators.arithmetic_draw import Draw, Problem, Template, worked

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTHS: Final = (2, 3, 4, 5, 6, 7, 8)
_MOST: Final = 120


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a story takes place. Slots: ``{who}``, ``{friend}`` and, in start, gains and losses, ``{n}``.

    Attributes:
        start: The first sentence.
        gains: How the quantity grows by a number.
        losses: How it shrinks by a number.
        doubled: How it becomes twice as much.
        halved: How half of it goes.
        question: What is asked at the end.
    """

    start: str
    gains: Sequence[str]
    losses: Sequence[str]
    doubled: str
    halved: str
    question: str


SETTINGS: Final[Mapping[str, Setting]] = {
    "marbles": Setting(
        "{who} begins the school year with {n} marbles.",
        (
            "{friend} gives {who} {n} marbles.",
            "In the break {who} wins {n} marbles.",
            "{who} finds {n} marbles under the stairs.",
        ),
        (
            "{who} loses {n} marbles in the grass.",
            "{who} hands {n} marbles to {friend}.",
            "{n} marbles roll into a drain.",
        ),
        "A lucky bet with {friend} doubles what {who} has.",
        "{who} leaves half of the marbles to a cousin.",
        "How many marbles does {who} have now?",
    ),
    "bakery": Setting(
        "When the bakery of {who} opens, {n} rolls lie on the shelf.",
        (
            "The oven yields another {n} rolls.",
            "{friend} brings {n} rolls from the other branch.",
            "An assistant adds {n} rolls with seeds.",
        ),
        (
            "A hotel collects {n} rolls.",
            "The first customers buy {n} rolls.",
            "{n} rolls burn and are taken off the shelf.",
        ),
        "Then a second tray puts as many rolls on the shelf as there already are.",
        "By noon half of the rolls on the shelf are sold.",
        "How many rolls are on the shelf of {who} now?",
    ),
    "bus": Setting(
        "A bus driven by {who} sets off with {n} passengers.",
        (
            "At the next stop {n} people get on.",
            "{n} pupils board at the school.",
            "Near the hospital {n} visitors climb aboard.",
        ),
        (
            "{n} people get off at the town hall.",
            "By the river {n} passengers leave the bus.",
            "{n} tired hikers step out at the station.",
        ),
        "At the stadium as many people board as are already inside.",
        "At the shopping street half of the passengers get off.",
        "How many passengers are on the bus of {who} now?",
    ),
    "library": Setting(
        "The small library of {who} owns {n} books about animals.",
        (
            "{friend} donates {n} of them more.",
            "The council pays for {n} new ones.",
            "From a closed school {n} arrive in a crate.",
        ),
        ("{n} are lent to {friend}.", "A leak in the roof ruins {n}.", "{n} are so old that they are recycled."),
        "A publisher then doubles the collection.",
        "Half of the collection moves to the town hall.",
        "How many books about animals does {who} have there now?",
    ),
    "eggs": Setting(
        "On the farm of {who} a basket holds {n} eggs in the morning.",
        (
            "The hens lay {n} more, which go into it.",
            "{friend} puts in {n} from the upper barn.",
            "The neighbour's ducks supply {n} for it.",
        ),
        (
            "{who} cracks {n} of them for an omelette.",
            "{n} break on the way to the kitchen.",
            "{friend} takes {n} of them to market.",
        ),
        "With the afternoon's yield the basket holds twice as many.",
        "Half of the eggs in it go to the village inn.",
        "How many eggs does the basket hold now?",
    ),
    "tank": Setting(
        "A rain tank behind the house of {who} contains {n} litres.",
        (
            "A shower fills in {n} litres.",
            "{friend} pours in {n} litres from the well.",
            "Overnight {n} litres drip from the gutter into it.",
        ),
        (
            "{who} draws {n} litres for the roses.",
            "A crack lets {n} litres escape.",
            "Washing the steps uses up {n} litres.",
        ),
        "A thunderstorm doubles the amount.",
        "Cleaning day takes half of the water.",
        "How many litres does the tank contain now?",
    ),
    "purse": Setting(
        "{who} leaves for the fair with {n} dollars in a purse.",
        (
            "A singing contest earns {who} {n} dollars.",
            "{friend} pays back a debt of {n} dollars.",
            "{who} sells a scarf for {n} dollars.",
        ),
        (
            "The carousel costs {who} {n} dollars.",
            "Lunch with {friend} takes {n} dollars.",
            "{who} drops {n} dollars into a collection box.",
        ),
        "At the wheel of fortune the money in the purse doubles.",
        "{who} spends half of the money on a kite.",
        "How many dollars are in the purse now?",
    ),
    "garage": Setting(
        "In the morning {n} cars stand in the garage that {who} guards.",
        (
            "A tour group parks {n} cars there.",
            "{n} cars come in from the office next door.",
            "Before the concert {n} cars drive in.",
        ),
        (
            "{n} cars leave after breakfast.",
            "A towing service removes {n} cars.",
            "{friend} and the other drivers fetch {n} cars.",
        ),
        "When the match begins, the number of cars doubles.",
        "After the fireworks half of the cars drive off.",
        "How many cars does {who} guard now?",
    ),
    "chain": Setting(
        "A necklace that {who} is making has {n} beads on its string.",
        (
            "{friend} threads on {n} beads of glass.",
            "A row of {n} wooden beads is added.",
            "{who} ties in {n} silver beads.",
        ),
        (
            "The knot slips and {n} beads fall off.",
            "{who} removes {n} beads that look dull.",
            "A kitten bites off {n} beads.",
        ),
        "To make it longer, {who} doubles the beads on the string.",
        "{who} cuts away half of the beads for a bracelet.",
        "How many beads are on the string now?",
    ),
}


def story_templates() -> tuple[Template, ...]:
    """One template per setting."""
    return tuple(worked(f"story-{name}", "story", partial(_tell, setting)) for name, setting in SETTINGS.items())


def _tell(setting: Setting, draw: Draw) -> Problem:
    who, friend = draw.name(), draw.name()
    value = draw.number(14, 40, 2)
    sentences = [setting.start.format(who=who, n=value)]
    steps: list[str] = []
    gains, losses = draw.some(setting.gains, len(setting.gains)), draw.some(setting.losses, len(setting.losses))
    can_double = can_halve = True
    length = draw.pick(_LENGTHS)
    while len(steps) < length:
        choice = draw.number(0, 5)
        if choice == 0 and can_double and 2 * value <= _MOST:
            can_double = False
            sentence, sign, amount, after = setting.doubled, "*", 2, 2 * value
        elif choice == 1 and can_halve and value % 2 == 0:
            can_halve = False
            sentence, sign, amount, after = setting.halved, "/", 2, value // 2
        elif choice in (2, 3) or value < 8 or not losses:  # noqa: PLR2004
            gains = gains or draw.some(setting.gains, len(setting.gains))
            amount = draw.number(3, 25)
            sentence, sign, after = gains.pop(), "+", value + amount
        else:
            amount = draw.number(2, value - 3)
            sentence, sign, after = losses.pop(), "-", value - amount
        sentences.append(sentence.format(who=who, friend=friend, n=amount))
        steps.append(f"{value} {sign} {amount} = {after}")
        value = after
    sentences.append(setting.question.format(who=who))
    return Problem(" ".join(sentences), Fraction(value), length, tuple(steps))
