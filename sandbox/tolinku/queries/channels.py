"""`revenue-by-channel`: what the purchases brought by the campaign, source and medium that they themselves carry.

An event carries a channel when it names at least one of the three, each at top level as the SDK sends it, else in
`properties` as seed 003 shows it; what it does not name is `(none)`. Purchases without any are one row of `(none)`.

`conversion_rate` is how many in a hundred of the channel's visitors bought: those with an event that carries it, and
among them those with a purchase that does. A visitor is a `user_id`, else a `cart_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from sandbox.tolinku.queries.question import percent

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

NAMES: Final = """list_transform(json_extract_string(raw, [
    '$.campaign', '$.source', '$.medium', '$.properties.campaign', '$.properties.source', '$.properties.medium'
]), lambda name: nullif(name, ''))"""
"""The six places where a channel may be named, read in one pass over the event's text."""

CHANNEL: Final = """
    coalesce(names[1], names[4], '(none)') as campaign,
    coalesce(names[2], names[5], '(none)') as source,
    coalesce(names[3], names[6], '(none)') as medium
"""

QUERY = f""",
seen as (
    select {CHANNEL}, event_type, visitor, money
    from (select event_type, visitor, money, {NAMES} as names from chosen)
)
select campaign, source, medium,
    coalesce(sum(money) filter (event_type = 'purchase'), 0) as revenue,
    count(*) filter (event_type = 'purchase') as orders,
    count(distinct visitor) filter (event_type = 'purchase'),
    count(distinct visitor)
from seen group by campaign, source, medium having orders > 0 order by revenue desc, campaign, source, medium
"""  # noqa: S608 - made of constants


class Channel(TypedDict):
    """One channel."""

    campaign: str
    source: str
    medium: str
    revenue: Decimal
    orders: int
    conversion_rate: Decimal


class Channels(TypedDict):
    """The answer of `GET …/ecommerce/revenue-by-channel`."""

    channels: list[Channel]
    days: int


def by_channel(question: Question) -> Channels:
    """Return the channels that brought orders. Waits for the disk."""
    channels = [
        Channel(
            campaign=campaign,
            source=source,
            medium=medium,
            revenue=question.money(revenue),
            orders=orders,
            conversion_rate=percent(buyers, visitors),
        )
        for campaign, source, medium, revenue, orders, buyers, visitors in question.rows(QUERY)
    ]
    return Channels(channels=channels, days=question.period.days)
