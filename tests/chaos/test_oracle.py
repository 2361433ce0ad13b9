"""An oracle that finds nothing is worth nothing: every kind of broken promise is shown to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.configuration import Shop
from tests.chaos.ledger import Ledger
from tests.chaos.oracle import Evidence, judge
from tests.chaos.shopping import Event, Order
from tests.chaos.upstream import Arrival
from tests.chaos.world import Balance


def _event(number: int, key: str | None = "ada", order: Order | None = None, *, good: bool = True) -> Event:
    return Event(number, b"event %d" % number, key, order, good)


ORDER = Order("purchase", "order-1", 4999)
SENT = [
    _event(0),
    _event(1, order=ORDER),
    _event(2, order=ORDER),
    _event(3, good=False),
    _event(4, "bob"),
    _event(5),  # never answered
]


def _ledger() -> Ledger:
    ledger = Ledger(Shop("acme"))
    ledger.enter(SENT)
    for event in SENT[:5]:
        ledger.answered(event, accepted=event.good)
    return ledger


def _arrival(number: int | None, *, counts: bool = True, raw: bytes | None = None) -> Arrival:
    order = ORDER if number in (1, 2) else None
    return Arrival(
        number,
        "view_cart" if order is None else order.kind,
        None if order is None else order.transaction_id,
        counts,
        b"event %d" % (number or 0) if raw is None else raw,
    )


def _evidence(**changes: Any) -> Evidence:
    """Return what is found where every promise was kept: 0 to 2 arrived, 2 is a duplicate, 4 is dead-lettered; but for `changes`."""
    return Evidence(
        [_arrival(0), _arrival(1), _arrival(0), _arrival(2, counts=False)],
        logged=[0, 1, 2, 4],
        rejected=[3],
        dead=[4],
        overview={
            "total_orders": 1,
            "total_revenue": Decimal("49.99"),
            "total_refunds": 0,
            "refund_amount": Decimal(0),
        },
        balance=Balance("acme", accepted=4, delivered=3, dead_lettered=1, waiting=0, unaccounted=0),
    )._replace(**changes)


def test_kept_promises_are_no_fault() -> None:
    assert judge(_ledger(), _evidence()) == []
    with_the_doubtful_one = [*_evidence().arrivals, _arrival(5)]
    balance = Balance("acme", accepted=5, delivered=4, dead_lettered=1, waiting=0, unaccounted=0)
    assert judge(_ledger(), _evidence(arrivals=with_the_doubtful_one, logged=[0, 1, 2, 4, 5], balance=balance)) == []
    late_but_dead_lettered_in_time = [GOOD[1], GOOD[0], GOOD[3]]
    assert judge(_ledger(), _evidence(arrivals=late_but_dead_lettered_in_time, dead=[0, 4])) == []


GOOD = _evidence().arrivals
NO_ORDERS = {**_evidence().overview, "total_orders": 0, "total_revenue": Decimal(0)}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"dead": []}, "acknowledged, neither delivered nor dead-lettered: 1, first [4]"),
        ({"logged": [0, 1, 2]}, "acknowledged, not in the log: 1, first [4]"),
        ({"logged": [0, 1, 2, 4, 5]}, "in the log, neither delivered nor dead-lettered: 1, first [5]"),
        ({"rejected": []}, "refused, not in ecommerce.rejected: 1, first [3]"),
        ({"dead": [4, 3]}, "refused, passed on all the same: 1, first [3]"),
        ({"arrivals": [*GOOD, _arrival(6)]}, "arrived, never sent: 1, first [6]"),
        ({"arrivals": [*GOOD, _arrival(None)]}, "arrived, never sent: 1, first [None]"),
        ({"arrivals": [*GOOD, _arrival(0, raw=b"event 0 ")]}, "arrived with other bytes than were sent: 1, first [0]"),
        ({"arrivals": [GOOD[1], GOOD[0], *GOOD[3:]]}, "with the same key: 1, first ['0 after 1']"),
        ({"arrivals": [*GOOD[:3], _arrival(2)]}, "a transaction counts more than once"),
        ({"overview": NO_ORDERS}, "total_orders and total_revenue are (0, Decimal('0'))"),
        ({"balance": Balance("acme", 4, 2, 1, 0, 1)}, "audit: unaccounted is 1"),
        ({"balance": Balance("acme", 4, 3, 1, 2, 0)}, "audit: waiting is 2"),
        ({"balance": Balance("acme", 4, 2, 1, 0, 0)}, "audit: accepted is not delivered + dead-lettered"),
        ({"balance": Balance("acme", 3, 2, 1, 0, 0)}, "audit: accepted is less than the 4 that were acknowledged"),
        ({"balance": Balance("acme", 5, 4, 1, 0, 0)}, "audit: accepted is not the 4 records of the log"),
        ({"arrivals": GOOD[1:3]}, "audit: more delivered than the 2 that arrived"),
    ],
)
def test_broken_promises_are_named(changes: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in judge(_ledger(), _evidence(**changes)))


def test_a_verdict_of_the_gateway_that_is_wrong_is_noticed() -> None:
    ledger = Ledger(Shop("acme"))
    ledger.enter(SENT)
    with pytest.raises(AssertionError, match="event 3 was accepted"):
        ledger.answered(SENT[3], accepted=True)
    with pytest.raises(AssertionError, match="event 0 was refused"):
        ledger.answered(SENT[0], accepted=False)
