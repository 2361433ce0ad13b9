"""`overview`: by hand over HTTP, and against plain decimal arithmetic on generated events. To the cent."""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import ManualClock
from sandbox.money import EUROS, rates_to
from tests.sandbox.desk import opened
from tests.sandbox.oracle import DIGITS, in_base, percent, rounded
from tests.sandbox.running import Running, purchase, refund, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = 24 * 60 * 60


async def test_by_hand(sandbox: Running) -> None:
    shirt = {"item_id": "sku_1", "price": 24.99}
    cart = {"event_type": "add_to_cart", "items": [shirt]}
    await sandbox.batch(
        {"event_type": "view_item", "items": [shirt]},
        {"event_type": "view_item", "items": [shirt]},
        {"event_type": "view_item", "items": [shirt]},
        cart | {"cart_id": "c1"},
        cart | {"cart_id": "c2"},
        cart | {"user_id": "u3"},
        purchase("o1", 49.99, currency="EUR", cart_id="c1", items=[shirt | {"quantity": 2}, shirt]),
        purchase("o2", 10.005, currency="USD"),  # 10.01 USD, 9.2092 EUR
        purchase("o3", 1500, currency="JPY"),  # 9.30 EUR
        purchase("o4", 0.1),
        purchase("o4", 1000),
        refund("o1", 20.5),
        {"event_type": "spend_credits", "revenue": 7},
    )
    assert (await sandbox.overview()).body == {
        "total_revenue": 68.60,
        "net_revenue": 48.10,
        "total_orders": 4,
        "total_refunds": 1,
        "refund_amount": 20.50,
        "avg_order_value": 17.15,
        "total_items_sold": 3,
        "cart_abandonment_rate": 66.7,
        "add_to_cart_rate": 100.0,
        "days": 30,
    }


async def test_nothing_arrived(sandbox: Running) -> None:
    body = (await sandbox.overview("days=7")).body
    assert body.pop("days") == 7
    assert set(body.values()) == {0}


async def test_another_base_currency(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1", 9.2, currency="EUR"), purchase("o2", 10))
    await sandbox.switch(base_currency="USD")
    await sandbox.batch(purchase("o3", 1.5))
    # What came without a currency has the base currency of its arrival: 10 EUR are 10.87 USD.
    assert (await sandbox.overview()).body["total_revenue"] == 22.37
    await sandbox.switch(base_currency="JPY")
    assert (await sandbox.overview()).body["total_revenue"] == 3320


async def test_money_without_a_rate_is_an_order_without_revenue(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1", 100, currency="XAU"), purchase("o2", 3))
    body = (await sandbox.overview()).body
    assert (body["total_orders"], body["total_revenue"]) == (2, 3)


async def test_appspaces_are_apart(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1", 5))
    assert (await sandbox.overview(key="tolk_sec_other")).body["total_orders"] == 0


async def test_which_days_are_covered(tmp_path: Path) -> None:
    clock = ManualClock(1_800_000_000 - 1_800_000_000 % DAY)  # 2027-01-15, midnight
    async with running(tmp_path, clock) as sandbox:

        async def orders(query: str) -> tuple[int, int]:
            body = (await sandbox.overview(query)).body
            return body["total_orders"], body["days"]

        for day in range(4):
            await sandbox.batch(purchase(f"o{day}"))
            await clock.advance(DAY - (1 if day == 3 else 0))
        # Now it is 23:59:59 on the 18th.
        assert await orders("") == (4, 30)
        assert await orders("days=1") == (2, 1)
        assert await orders("start=2027-01-15&end=2027-01-16&days=99") == (2, 2)
        assert await orders("start=2027-01-19&end=2027-01-19") == (0, 1)
        await sandbox.switch(end_inclusive=False, retention_days=2)
        assert await orders("start=2027-01-15&end=2027-01-16") == (1, 1)
        assert await orders("days=30") == (3, 2)
        for inclusive in (True, False):
            await sandbox.switch(end_inclusive=inclusive, retention_days=2, clamps_dates=True)
            end = f"2027-01-{18 if inclusive else 19}"
            assert await orders(f"start=2027-01-15&end={end}") == (3, 3)
            assert await orders(f"start=2027-01-16&end={end}") == (3, 3)
            assert await orders("start=2027-01-14&end=2027-01-15") == (0, 0)


@pytest.mark.parametrize(
    "query",
    [
        "days=0", "days=-1", "days=x", "days=1.5", "days=%C2%B2", "start=2026-01-01", "end=2026-01-01",
        "start=2026-01-02&end=2026-01-01", "start=01.02.2026&end=2026-01-01", "start=2026-02-30&end=2026-03-01",
    ],
)  # fmt: skip
async def test_crooked_periods_are_a_400(sandbox: Running, query: str) -> None:
    answer = await sandbox.overview(query)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_PERIOD")


@pytest.mark.parametrize("query", ["days=999999999", "start=0001-01-01&end=9999-12-31"])
async def test_the_longest_periods(sandbox: Running, query: str) -> None:
    assert (await sandbox.overview(query)).status == 200


TEXTS = st.sampled_from(["", "a", "b", "c", None])
MONEY = st.one_of(
    st.integers(-(10**6), 10**9),
    st.decimals(-100, 10_000_000, places=2).map(float),
    st.decimals(0, 1000, places=5).map(float),
)
QUANTITIES = st.one_of(st.none(), st.integers(0, 1000), st.decimals(0, 10, places=1).map(float))
CURRENCIES = st.sampled_from([*sorted(EUROS), "usd", "XAU", None])
ITEMS = st.lists(st.fixed_dictionaries({"item_id": st.just("sku")}, optional={"quantity": QUANTITIES}), max_size=3)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {"event_type": st.sampled_from(["view_item", "add_to_cart", "purchase", "refund", "spend_credits"])},
        optional={
            "transaction_id": st.integers(0, 20).map(str),
            "revenue": MONEY,
            "currency": CURRENCIES,
            "user_id": TEXTS,
            "cart_id": TEXTS,
            "items": ITEMS,
        },
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def computed() -> Iterator[Callable[[list[dict[str, Any]], str], dict[str, Any]]]:
    """A function that stores events in an appspace of their own and returns its overview."""
    names = (f"space{number}" for number in itertools.count())
    with opened() as desk:

        def compute(events: list[dict[str, Any]], base: str) -> dict[str, Any]:
            appspace = next(names)
            desk.store(appspace, events, base)
            return desk.ask("overview", appspace, base)

        yield compute


@hypothesis.settings(deadline=None)  # a busy disk is no fault
@given(events=EVENTS, base=st.sampled_from(["EUR", "USD", "JPY", "KWD"]))
def test_against_plain_decimals(
    computed: Callable[[list[dict[str, Any]], str], dict[str, Any]], events: list[dict[str, Any]], base: str
) -> None:
    found = computed(events, base)
    assert found == expected(events, base)


def expected(events: list[dict[str, Any]], base: str) -> dict[str, Any]:
    """What `overview` must say, by the plainest means."""
    digits = DIGITS.get(base, 2)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    carts: dict[str, set[str]] = defaultdict(set)
    seen = set()
    for event in events:
        kind, order = event["event_type"], event.get("transaction_id")
        if kind in ("purchase", "refund") and order is not None:
            if (kind, order) in seen:
                continue
            seen.add((kind, order))
        counts[kind] += 1
        carts[event.get("cart_id") or event.get("user_id") or ""].add(kind)
        if event.get("revenue") is not None:
            currency = (event.get("currency") or base).upper()
            own = rounded(Decimal(str(event["revenue"])), DIGITS.get(currency, 2))
            sums[kind] += in_base(own, currency, base)
        if kind == "purchase":
            for item in event.get("items", ()):
                sums["items"] += Decimal(1) if item.get("quantity") is None else Decimal(str(item["quantity"]))
    filled = [kinds for cart, kinds in carts.items() if cart and "add_to_cart" in kinds]
    orders = counts["purchase"]
    return {
        "total_revenue": sums["purchase"],
        "net_revenue": sums["purchase"] - sums["refund"],
        "total_orders": orders,
        "total_refunds": counts["refund"],
        "refund_amount": sums["refund"],
        "avg_order_value": rounded(sums["purchase"] / orders, digits) if orders else 0,
        "total_items_sold": sums["items"],
        "cart_abandonment_rate": percent(sum("purchase" not in kinds for kinds in filled), len(filled)),
        "add_to_cart_rate": percent(counts["add_to_cart"], counts["view_item"]),
        "days": 30,
    }


def test_rates() -> None:
    assert rates_to("EUR")["USD"] == Decimal("0.92")
    assert rates_to("USD")["EUR"] == Decimal("1.0869565217")
    assert all(rates_to(base)[base] == 1 for base in EUROS)
