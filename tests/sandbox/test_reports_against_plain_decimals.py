"""Every report against plain loops, on made-up shops: to the cent, and each way to break revenue down adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.tolinku.queries.credit import shares
from tests.sandbox import shop
from tests.sandbox.desk import Desk, opened
from tests.sandbox.oracle import DAY, DIGITS, Oracle, Seen, in_base, percent, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator

VISITS = 250
DAYS = ("1", "30", "400")
LISTS = {
    "revenue-timeseries": "series",
    "revenue-by-channel": "channels",
    "revenue-by-device": "devices",
    "revenue-by-platform": "platforms",
    "revenue-by-country": "countries",
}
"""Reports whose rows are all the orders, and what they call them."""


class Asked(NamedTuple):
    """A shop, and who answers for it."""

    desk: Desk
    oracle: Oracle
    appspace: str
    zone: str

    def ask(self, report: str, **asked: str) -> dict[str, Any]:
        return self.desk.ask(report, self.appspace, self.oracle.base, self.zone, **asked)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with opened() as desk:
        yield desk


@pytest.fixture(
    scope="module", params=[(1, "EUR", "UTC"), (2, "JPY", "Asia/Kathmandu"), (3, "KWD", "America/New_York")]
)
def asked(request: pytest.FixtureRequest, desk: Desk) -> Asked:
    seed, base, zone = request.param
    oracle, appspace = Oracle(base, zone), f"shop{seed}"
    for visit in shop.visits(seed, VISITS):
        desk.advance(visit.hours * 3600)
        oracle.take(desk.clock.now(), visit.events, visit.user_agent)
        desk.store(appspace, visit.events, base, visit.user_agent)
    return Asked(desk, oracle, appspace, zone)


def rows(answer: dict[str, Any], name: str, *key: str) -> dict[Any, Any]:
    """The answer's list as revenue and orders by key, which must be unique; it must begin with the most."""
    found = [(tuple(row[part] for part in key), (row["revenue"], row["orders"])) for row in answer[name]]
    assert [revenue for _, (revenue, _) in found] == sorted((row["revenue"] for row in answer[name]), reverse=True)
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("days", DAYS)
def test_the_overview_and_its_invariants(asked: Asked, days: str) -> None:
    answer, oracle = asked.ask("overview", days=days), asked.oracle
    orders = oracle.orders(int(days))
    assert (answer["total_orders"], answer["total_revenue"]) == (len(orders), oracle.total(orders))
    assert answer["refund_amount"] == oracle.total(each for each in oracle.within(int(days)) if each.kind == "refund")
    assert answer["net_revenue"] == answer["total_revenue"] - answer["refund_amount"]
    average = answer["total_revenue"] / answer["total_orders"] if orders else Decimal(0)
    assert answer["avg_order_value"] == rounded(average, DIGITS.get(oracle.base, 2))
    assert answer["days"] == int(days)


@pytest.mark.parametrize("days", DAYS)
def test_each_way_to_break_revenue_down_adds_up(asked: Asked, days: str) -> None:
    overview = asked.ask("overview", days=days)
    total = (overview["total_revenue"], overview["total_orders"])
    for report, name in LISTS.items():
        listed = asked.ask(report, days=days)[name]
        assert (sum(row["revenue"] for row in listed), sum(row["orders"] for row in listed)) == total, report
    for model in ("last_click", "linear", "time_decay"):
        answer = asked.ask("attribution", days=days, model=model)
        parts = [*answer["attributed"], answer["unattributed"]]
        assert sum(part["revenue"] for part in parts) == total[0], model
        assert model != "last_click" or sum(part["orders"] for part in parts) == total[1]


@pytest.mark.parametrize("days", DAYS)
def test_days(asked: Asked, days: str) -> None:
    oracle = asked.oracle
    expected = oracle.grouped(oracle.orders(int(days)), lambda seen: oracle.local(seen.at).date().isoformat())
    series = asked.ask("revenue-timeseries", days=days)["series"]
    assert [(day["date"], (day["revenue"], day["orders"])) for day in series] == sorted(expected.items())


@pytest.mark.parametrize("days", DAYS)
def test_devices_platforms_and_countries(asked: Asked, days: str) -> None:
    oracle = asked.oracle
    orders = oracle.orders(int(days))
    devices = rows(asked.ask("revenue-by-device", days=days), "devices", "device_type")
    platforms = rows(asked.ask("revenue-by-platform", days=days), "platforms", "platform")
    countries = rows(asked.ask("revenue-by-country", days=days), "countries", "country")
    assert devices == oracle.grouped(orders, lambda seen: (oracle.device(seen),))
    assert platforms == oracle.grouped(orders, lambda seen: (oracle.platform(seen),))
    assert countries == oracle.grouped(orders, lambda seen: (seen.said("country").upper() or "unknown",))


@pytest.mark.parametrize("days", DAYS)
def test_channels(asked: Asked, days: str) -> None:
    oracle = asked.oracle
    answer = asked.ask("revenue-by-channel", days=days)
    found = rows(answer, "channels", "campaign", "source", "medium")
    assert found == oracle.grouped(oracle.orders(int(days)), lambda seen: seen.channel)
    visitors: dict[Any, set[str]] = defaultdict(set)
    buyers: dict[Any, set[str]] = defaultdict(set)
    for seen in oracle.within(int(days)):
        if seen.visitor:
            visitors[seen.channel].add(seen.visitor)
            if seen.kind == "purchase":
                buyers[seen.channel].add(seen.visitor)
    for row in answer["channels"]:
        channel = (row["campaign"], row["source"], row["medium"])
        assert row["conversion_rate"] == percent(len(buyers[channel]), len(visitors[channel]))


@pytest.mark.parametrize("days", DAYS)
def test_coupons(asked: Asked, days: str) -> None:
    oracle = asked.oracle
    orders = [seen for seen in oracle.orders(int(days)) if seen.event.get("coupon_code")]
    answer = asked.ask("revenue-by-coupon", days=days)
    found = rows(answer, "coupons", "coupon_code")
    assert found == oracle.grouped(orders, lambda seen: (seen.event["coupon_code"],))
    for row in answer["coupons"]:
        discounts = [
            in_base(Decimal(str(seen.event.get("discount", 0))), oracle.currency(seen), oracle.base)
            for seen in orders
            if seen.event["coupon_code"] == row["coupon_code"]
        ]
        assert row["avg_discount"] == rounded(sum(discounts, Decimal(0)) / row["orders"], DIGITS.get(oracle.base, 2))


@pytest.mark.parametrize("days", DAYS)
def test_products(asked: Asked, days: str) -> None:
    oracle = asked.oracle
    expected: dict[str, list[Any]] = {}
    for number, seen in enumerate(oracle.orders(int(days))):
        for item in seen.event.get("items", ()):
            product = expected.setdefault(item["item_id"], [None, Decimal(0), Decimal(0), set()])
            product[0] = item.get("item_name") or product[0]
            product[1] += oracle.worth(seen, item)
            product[2] += Decimal(str(item.get("quantity", 1)))
            product[3].add(number)
    products = asked.ask("top-products", days=days)["products"]
    assert {row["item_id"]: (row["item_name"], row["revenue"], row["quantity"], row["orders"]) for row in products} == {
        item_id: (name, revenue, quantity, len(orders))
        for item_id, (name, revenue, quantity, orders) in expected.items()
    }
    assert asked.ask("top-products", days=days, limit="2")["products"] == products[:2]


@pytest.mark.parametrize("days", DAYS)
def test_the_funnel(asked: Asked, days: str) -> None:
    counts = Counter(seen.kind for seen in asked.oracle.within(int(days)))
    before = None
    for step in asked.ask("funnel", days=days)["steps"]:
        assert step["count"] == counts[step["name"]]
        assert step["percentage"] == (100 if before is None else percent(step["count"], before))
        before = step["count"]


@pytest.mark.parametrize("days", DAYS)
def test_carts(asked: Asked, days: str) -> None:
    abandoned, completed = asked.oracle.carts(int(days))
    answer = asked.ask("cart-abandonment", days=days)
    assert answer == {
        "abandonment_rate": percent(len(abandoned), len(abandoned) + completed),
        "abandoned_carts": len(abandoned),
        "abandoned_revenue": sum(abandoned.values()),
        "completed_carts": completed,
        "days": int(days),
    }
    assert answer["abandonment_rate"] == asked.ask("overview", days=days)["cart_abandonment_rate"]


@pytest.mark.parametrize("model", ["last_click", "linear", "time_decay"])
@pytest.mark.parametrize("window", ["7", "30", "90"])
def test_attribution(asked: Asked, model: str, window: str) -> None:
    oracle = asked.oracle
    fair: dict[Any, Fraction] = defaultdict(Fraction)
    counted: Counter[Any] = Counter()
    direct: list[Seen] = []
    for order in oracle.orders(30):
        leads = oracle.leads(order, int(window))
        if not leads:
            direct.append(order)
            continue
        if model == "last_click":
            leads = leads[-1:]
        weights = [Fraction(0.5 ** ((order.at - at) / DAY / 7) if model == "time_decay" else 1) for _, at in leads]
        for (channel, _), weight in zip(leads, weights, strict=True):
            fair[channel] += Fraction(oracle.money(order)) * weight / sum(weights)
            counted[channel] += 1
    answer = asked.ask("attribution", model=model, window=window)
    assert (answer["model"], answer["window_days"]) == (model, int(window))
    assert answer["unattributed"] == {"revenue": oracle.total(direct), "orders": len(direct)}
    found = rows(answer, "attributed", "campaign", "source", "medium")
    assert {channel: orders for channel, (_, orders) in found.items()} == counted
    unit = Fraction(10) ** -DIGITS.get(oracle.base, 2)
    for channel, (revenue, orders) in found.items():
        # Each order's share may be off by one unit of the last digit, when it is shared at all.
        assert abs(Fraction(revenue) - fair[channel]) <= (0 if model == "last_click" else unit * orders)
    total = oracle.total(oracle.orders(30))
    for row in answer["attributed"]:
        assert row["pct_of_total"] == percent(row["revenue"], total)


@pytest.mark.parametrize("months", ["1", "3", "120"])
def test_cohorts(asked: Asked, months: str) -> None:
    oracle = asked.oracle

    def month(at: float) -> int:
        local = oracle.local(at)
        return local.year * 12 + local.month - 1

    orders = [seen for seen in oracle.orders(4000) if seen.user]
    first = {seen.user: month(seen.at) for seen in reversed(orders)}
    matrix: dict[int, dict[int, Decimal]] = {}
    for seen in orders:
        cohort = first[seen.user]
        if cohort > month(oracle.now) - int(months):
            row = matrix.setdefault(cohort, dict.fromkeys(range(month(oracle.now) - cohort + 1), Decimal(0)))
            row[month(seen.at) - cohort] += oracle.money(seen)
    users = Counter(first.values())
    buyers = sum(users[cohort] for cohort in matrix)
    revenue = sum((sum(row.values(), Decimal(0)) for row in matrix.values()), Decimal(0))
    assert asked.ask("cohorts", months=months, days="1") == {
        "cohorts": [
            {
                "month": f"{cohort // 12}-{cohort % 12 + 1:02}",
                "users": users[cohort],
                "revenue_by_month": {str(later): amount for later, amount in row.items()},
            }
            for cohort, row in sorted(matrix.items(), reverse=True)
        ],
        "avg_ltv": rounded(revenue / buyers, DIGITS.get(oracle.base, 2)) if buyers else 0,
        "total_purchasing_users": buyers,
    }


def test_the_shops_are_not_too_simple(asked: Asked) -> None:
    oracle = asked.oracle
    assert max(len(oracle.leads(order, 30)) for order in oracle.orders(30)) > 2
    assert len(asked.ask("cohorts", months="120")["cohorts"]) > 1
    assert asked.ask("cart-abandonment", days="1")["abandoned_carts"] > 0
    assert any(row["revenue"] for row in asked.ask("attribution")["attributed"])


AMOUNTS = st.decimals(-(10**9), 10**12, places=2)
WEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda weights: sum(weights) > 0)


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_shares_add_up_and_are_fair(amount: Decimal, weights: list[float]) -> None:
    parts = shares(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(amount) * Fraction(weight) / sum(map(Fraction, weights))
        assert abs(Fraction(part) - exact) <= Fraction(1, 100) + abs(Fraction(amount)) / 10**12
