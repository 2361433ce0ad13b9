"""What a report costs grows with the events, not with their square."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sandbox.tolinku.queries.reports import REPORTS
from tests.sandbox.desk import Desk, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

# Users by the twenty, over 100 days; each tenth event is an order, ten campaigns.
EVENTS = """
insert into arrivals
select n, to_timestamp($now) at time zone 'UTC' - to_seconds(($count - n) * 8640000 // $count),
    $appspace, kind, case kind when 'purchase' then 'o' || n end, 'u' || user, 'c' || n // 10,
    'USD', case kind when 'purchase' then n % 500 + 0.99 end, case kind when 'purchase' then 2 end, null,
    to_json({
        event_type: kind, campaign: 'spring ' || n // 7 % 10, source: 'email', platform: 'ios', coupon_code: 'SAVE' || n % 30,
        note: repeat('x', 200), properties: {medium: 'newsletter', country: 'DE'},
        items: [{item_id: 'sku ' || n % 500, item_name: 'T-Shirt', price: 24.99, quantity: 2},
                {item_id: 'sku ' || n % 7, item_name: 'Hoodie', price: 50, quantity: 1}]
    })::varchar,
    null, null
from (
    select range as n, range * 7919 % ($count // 20) as user,
        ['view_item', 'add_to_cart', 'view_item', 'view_cart', 'view_item', 'begin_checkout', 'view_item', 'search',
         'view_item', 'purchase'][range * 31 % 97 % 10 + 1] as kind
    from range(1, $count + 1)
)
"""


SMALL, LARGE = 10_000, 100_000


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with opened() as desk:
        with closing(desk.arrivals.connect()) as connection:
            for count in (SMALL, LARGE):
                connection.execute(EVENTS, {"now": desk.clock.now(), "count": count, "appspace": str(count)})
        yield desk


@pytest.mark.parametrize("report", [*REPORTS, "attribution?linear", "attribution?time_decay"])
def test_ten_times_the_events_cost_no_more_than_thirty_times_the_time(desk: Desk, report: str) -> None:
    small, large = (least_seconds(desk, report, str(count)) for count in (SMALL, LARGE))
    assert large < 30 * small, (small, large)


def least_seconds(desk: Desk, report: str, appspace: str) -> float:
    """The shortest of three: what else the machine does is no fault of a report."""
    name, _, model = report.partition("?")
    asked = {"model": model or "last_click", "window": "90", "days": "100", "user_id": "u7"}
    took = []
    for _ in range(3):
        began = time.perf_counter()
        assert desk.ask(name, appspace, "EUR", **asked)
        took.append(time.perf_counter() - began)
    return min(took)
