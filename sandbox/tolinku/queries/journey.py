"""`user-journey`: what one user did, in the order of arrival.

Of an event seed 003 shows its type, when it came, and, where it has them, its items as they were sent, its
`transaction_id` and its revenue (in the base currency, as everywhere). The date parameters hold here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

import msgspec

from sandbox.tolinku.queries.parameters import required

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = """
select event_type, strftime(arrived_at, '%Y-%m-%dT%H:%M:%SZ'), (raw -> '$.items')::varchar, transaction_id,
    case when revenue is not null then money end
from chosen where user_id = $user order by arrival
"""


class JourneyEvent(TypedDict):
    """One event; what it did not bring is left out."""

    event_type: str
    timestamp: str
    items: NotRequired[msgspec.Raw]
    transaction_id: NotRequired[str]
    revenue: NotRequired[Decimal]


class Journey(TypedDict):
    """The answer of `GET …/ecommerce/user-journey`."""

    events: list[JourneyEvent]
    user_id: str


def journey(question: Question) -> Journey:
    """Return the events of the user `user_id`. Waits for the disk; raises InvalidParameter."""
    user = required(question.asked, "user_id")
    events = []
    for kind, timestamp, items, transaction, revenue in question.rows(QUERY, {"user": user}):
        event = JourneyEvent(event_type=kind, timestamp=timestamp)
        if items is not None and items != "null":
            event["items"] = msgspec.Raw(items.encode())
        if transaction is not None:
            event["transaction_id"] = transaction
        if revenue is not None:
            event["revenue"] = question.money(revenue)
        events.append(event)
    return Journey(events=events, user_id=user)
