"""`attribution`: which campaigns led to the orders of the period.

What seed 003 leaves open: a click is an earlier event of the same `user_id`, of any type, that carries a channel (as
in `channels`), at most `window` days before the purchase; what the purchase itself carries is no click. The web SDK
repeats the campaign on every event of a visit, so of a channel only its last click before an order counts, and
`linear` shares among channels, not events. `time_decay` halves a click's weight for each seven days of age. An order
counts for each channel that has a share in it. `pct_of_total` is of the revenue of all orders, unattributed ones too.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from sandbox.tolinku.queries.channels import CHANNEL, NAMES
from sandbox.tolinku.queries.credit import MODELS, shares
from sandbox.tolinku.queries.parameters import choice
from sandbox.tolinku.queries.question import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.tolinku.queries.question import Question

WINDOWS = ("7", "14", "30", "60", "90")
SECONDS_OF_DAY = 86_400

QUERY = f""",
bought as (select arrival, arrived_at, user_id, money from orders where arrived_at >= $from),
clicks as (
    select arrival as clicked, arrived_at as clicked_at, user_id, {CHANNEL}
    from (
        select arrival, arrived_at, user_id, {NAMES} as names
        from chosen where user_id in (select user_id from bought)
    )
    where len(list_filter(names, lambda name: name is not null)) > 0
),
met as (select distinct user_id, campaign, source, medium from clicks),
led as (
    -- of each channel that the user ever came by, the last click before the order
    select pairs.*, clicked, clicked_at
    from (select * from bought join met using (user_id)) as pairs
    asof join clicks on pairs.user_id = clicks.user_id and pairs.campaign = clicks.campaign
        and pairs.source = clicks.source and pairs.medium = clicks.medium and pairs.arrival > clicked
    where arrived_at - clicked_at <= to_days($window::integer)
)
select arrival, bought.money, campaign, source, medium, epoch(bought.arrived_at - clicked_at) as age
from bought left join (select * exclude (user_id, money, arrived_at) from led) as led using (arrival)
order by arrival, clicked
"""  # noqa: S608 - made of constants


class Attributed(TypedDict):
    """What one channel has a share in."""

    campaign: str
    source: str
    medium: str
    revenue: Decimal
    orders: int
    pct_of_total: Decimal


class Unattributed(TypedDict):
    """The orders that no click led to."""

    revenue: Decimal
    orders: int


class Attribution(TypedDict):
    """The answer of `GET …/ecommerce/attribution`."""

    attributed: list[Attributed]
    unattributed: Unattributed
    model: str
    window_days: int


class _Lead(NamedTuple):
    """A channel that led to an order: its last click before it, and how many days earlier that was."""

    channel: tuple[str, str, str]
    age: float


class _Order(NamedTuple):
    revenue: Decimal
    leads: list[_Lead]


def attribution(question: Question) -> Attribution:
    """Return the channels' shares by `model` (last_click) and `window` (30 days). Waits for the disk; raises
    InvalidParameter.
    """
    model = choice(question.asked, "model", default="last_click", options=tuple(MODELS))
    window = int(choice(question.asked, "window", default="30", options=WINDOWS))
    orders = _orders(question, window)
    earned: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    for order in orders:
        if order.leads:
            weights = MODELS[model]([lead.age for lead in order.leads])
            for lead, weight, share in zip(order.leads, weights, shares(order.revenue, weights), strict=True):
                if weight:
                    earned[lead.channel].append(share)
    total = sum((order.revenue for order in orders), Decimal(0))
    attributed = [
        Attributed(
            campaign=campaign,
            source=source,
            medium=medium,
            revenue=(revenue := question.money(sum(parts, Decimal(0)))),
            orders=len(parts),
            pct_of_total=percent(revenue, total),
        )
        for (campaign, source, medium), parts in earned.items()
    ]
    attributed.sort(key=lambda each: (-each["revenue"], each["campaign"], each["source"], each["medium"]))
    direct = [order.revenue for order in orders if not order.leads]
    return Attribution(
        attributed=attributed,
        unattributed=Unattributed(revenue=question.money(sum(direct, Decimal(0))), orders=len(direct)),
        model=model,
        window_days=window,
    )


def _orders(question: Question, window: int) -> Sequence[_Order]:
    """Return the period's orders, each with the channels that led to it, the one clicked last at the end."""
    start = question.period.start
    try:
        since = start - timedelta(days=window)
    except OverflowError:
        since = datetime.min  # noqa: DTZ901 - naive like the table's instants
    orders: dict[int, _Order] = {}
    rows = question.rows(QUERY, {"from": start, "window": window}, since=since)
    for arrival, revenue, campaign, source, medium, seconds in rows:
        if (order := orders.get(arrival)) is None:
            order = orders[arrival] = _Order(question.money(revenue), [])
        if campaign is not None:
            order.leads.append(_Lead((campaign, source, medium), seconds / SECONDS_OF_DAY))
    return list(orders.values())
