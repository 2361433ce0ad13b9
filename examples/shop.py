"""A day of traffic of the made-up shop: all 13 event types, about 1 % of the events bad on purpose.

The same seed and day give the same bytes, everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from examples.dice import Dice
from examples.figures import Line
from examples.mistakes import MISTAKES
from examples.money import number
from examples.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.mistakes import Mistake
    from examples.visit import Event, Step

SEED = "sluice"
EVENTS = 10_500
SAMPLE_DAY = 9913
SAMPLE_EVENTS = 40
MISTAKES_PER_VISIT = 0.07
TWELVE_HOURS = 43_200


def day_mark(day: int) -> str:
    """Return what every transaction id of a day begins with, and no other day's: `D0007-`."""
    return f"D{day:04}-"


def lines(day: int, *, seed: str = SEED, events: int = EVENTS) -> list[Line]:
    """Return the traffic of `day` (1, 2, 3 …) in the order it is sent: at least `events` lines, up to a visit more.

    Users, carts and transactions bear the day's number, so days can be sent one after the other and add up.
    """
    steps: list[tuple[int, Line]] = []
    visit = 0
    while len(steps) < events:
        visit += 1
        steps.extend(_visit(Dice(f"{seed}/{day}/{visit}"), day, visit))
    # A stable sort: what one visitor does stays in its order.
    steps.sort(key=lambda step: step[0])
    return [line for _, line in steps]


def sample() -> list[Line]:
    """Return the short day that examples/sample.ndjson holds: most types, an order sent twice, two refused events."""
    return lines(SAMPLE_DAY, events=SAMPLE_EVENTS)


def _visit(dice: Dice, day: int, number_of_visit: int) -> Iterator[tuple[int, Line]]:
    user = f"user-{day}-{dice.between(1, 900)}" if dice.chance(0.65) else None
    visit = Visit(
        dice,
        start=28_800 + dice.between(0, TWELVE_HOURS),
        user=user,
        cart=f"cart-{day}-{number_of_visit}",
        order=f"{day_mark(day)}{number_of_visit:06}",
    )
    last = 0
    for step in visit.steps():
        last = step.second
        yield step.second, _line(step)
    if dice.chance(MISTAKES_PER_VISIT):
        yield last, _bad(visit, dice.pick(MISTAKES), f"{day_mark(day)}bad-{number_of_visit:06}")


def _line(step: Step) -> Line:
    event = step.event
    return Line(orjson.dumps(event), event["event_type"], None, event.get("transaction_id"), step.cents)


def _bad(visit: Visit, mistake: Mistake, order: str) -> Line:
    good: Event = visit.event(mistake.event_type, transaction_id=order, revenue=number(1999), currency="EUR")
    return Line(orjson.dumps(mistake.made(good)), mistake.event_type, mistake.fault)
