"""The oracle: an accepted event is a promise, and this says which were broken. Pure: it is tested itself."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.chaos.ledger import ACKNOWLEDGED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.chaos.ledger import Ledger
    from tests.chaos.upstream import Arrival
    from tests.chaos.world import Balance

SHOWN = 5
"""How many offending events a fault names."""


class Evidence(NamedTuple):
    """What was found of one storefront when everything had come to rest.

    `logged`, `rejected` and `dead` are the numbers of the events in its topic, in `ecommerce.rejected` and in
    `ecommerce.dead-letters`; the last two may hold one several times.
    """

    arrivals: Sequence[Arrival]
    logged: Sequence[int]
    rejected: Sequence[int]
    dead: Sequence[int]
    overview: dict[str, Any]
    balance: Balance


def judge(ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return every kind of broken promise, each with the first few events that it befell; nothing when all were kept."""
    return [
        *_invented(ledger, evidence),
        *_lost(ledger, evidence),
        *_out_of_order(ledger, evidence),
        *_counted_wrongly(ledger, evidence),
        *_out_of_balance(ledger, evidence),
    ]


def _fault(what: str, numbers: Iterable[object]) -> Iterator[str]:
    found = list(numbers)
    if found:
        yield f"{what}: {len(found)}, first {found[:SHOWN]}"


def _invented(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    arrived = [arrival.number for arrival in evidence.arrivals]
    yield from _fault(
        "arrived, never sent", (number for number in arrived if number is None or ledger.state(number) is None)
    )
    yield from _fault(
        "arrived with other bytes than were sent",
        (
            arrival.number
            for arrival in evidence.arrivals
            if arrival.number is not None
            and ledger.state(arrival.number) is not None
            and not ledger.is_text(arrival.number, arrival.raw)
        ),
    )
    passed_on = {*arrived, *evidence.logged, *evidence.dead}
    yield from _fault(
        "refused, passed on all the same", (number for number in ledger.numbers(REFUSED) if number in passed_on)
    )


def _lost(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    logged = set(evidence.logged)
    ended = {arrival.number for arrival in evidence.arrivals} | set(evidence.dead)
    acknowledged = list(ledger.numbers(ACKNOWLEDGED))
    yield from _fault("acknowledged, not in the log", (number for number in acknowledged if number not in logged))
    yield from _fault(
        "acknowledged, neither delivered nor dead-lettered", (number for number in acknowledged if number not in ended)
    )
    yield from _fault(
        "in the log, neither delivered nor dead-lettered", (number for number in evidence.logged if number not in ended)
    )
    rejected = set(evidence.rejected)
    yield from _fault(
        "refused, not in ecommerce.rejected", (number for number in ledger.numbers(REFUSED) if number not in rejected)
    )


def _out_of_order(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    """Look at first arrivals only: repeats may follow (G3). What was dead-lettered has its place there; that a forwarder, killed
    before it could commit that, sent it once more is a repeat as well.
    """
    dead = set(evidence.dead)
    seen: set[int] = set()
    latest: dict[int, int] = {}
    late: list[str] = []
    for arrival in evidence.arrivals:
        number = arrival.number
        if number is None or number in seen or number in dead or ledger.state(number) != ACKNOWLEDGED:
            continue
        seen.add(number)
        key = ledger.key(number)
        if key is None:
            continue
        if number < latest.get(key, -1):
            late.append(f"{number} after {latest[key]}")
        latest[key] = max(number, latest.get(key, -1))
    yield from _fault("first arrived after what was accepted later with the same key", late)


def _counted_wrongly(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    arrived = {arrival.number for arrival in evidence.arrivals}
    orders = {order for number, order in ledger.orders.items() if number in arrived}
    expected = {
        kind: (
            sum(order.kind == kind for order in orders),
            Decimal(sum(order.cents for order in orders if order.kind == kind)) / 100,
        )
        for kind in ("purchase", "refund")
    }
    for kind, count, amount in (
        ("purchase", "total_orders", "total_revenue"),
        ("refund", "total_refunds", "refund_amount"),
    ):
        found = (evidence.overview[count], Decimal(evidence.overview[amount]))
        if found != expected[kind]:
            yield f"{count} and {amount} are {found}, of the {kind}s that arrived they should be {expected[kind]}"
    counted = [
        (arrival.event_type, arrival.transaction_id)
        for arrival in evidence.arrivals
        if arrival.transaction_id is not None and arrival.counts
    ]
    if len(counted) != len(set(counted)):
        yield "a transaction counts more than once"


def _out_of_balance(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    balance = evidence.balance
    for name in ("waiting", "unaccounted"):
        if getattr(balance, name) != 0:
            yield f"audit: {name} is {getattr(balance, name)}"
    if balance.accepted != balance.delivered + balance.dead_lettered:
        yield f"audit: accepted is not delivered + dead-lettered: {balance}"
    if balance.accepted < ledger.acknowledged:
        yield f"audit: accepted is less than the {ledger.acknowledged} that were acknowledged: {balance}"
    if balance.accepted != len(evidence.logged):
        yield f"audit: accepted is not the {len(evidence.logged)} records of the log: {balance}"
    if balance.delivered > len(evidence.arrivals):
        yield f"audit: more delivered than the {len(evidence.arrivals)} that arrived: {balance}"
    if balance.dead_lettered > len(evidence.dead):
        yield f"audit: more dead-lettered than the {len(evidence.dead)} in the topic: {balance}"
