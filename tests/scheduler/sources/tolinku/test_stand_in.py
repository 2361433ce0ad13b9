"""Against the stand-in, which computes its answers from events that arrived."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from runtime.clock import ManualClock
from scheduler.errors import AccountRefused, ExportRefused, Parked, Retryable
from scheduler.sources.tolinku.datasets import DATASETS
from scheduler.sources.tolinku.journey import journey
from tests.sandbox.running import SECRET, Running, purchase, refund, running
from tests.scheduler.sources.tolinku.world import NOW, ROOT, Asking, ask, days, export

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TODAY = days("2026-02-10", "2026-02-11")
SHIRT = {"item_id": "sku_1", "item_name": "T-Shirt", "price": 24.99}
EMAIL = {"campaign": "spring-sale", "source": "email", "medium": "newsletter"}
EVENTS = [
    {"event_type": "view_item", "user_id": "u1", "items": [SHIRT], **EMAIL, "platform": "ios"},
    {"event_type": "add_to_cart", "user_id": "u1", "items": [SHIRT], **EMAIL, "platform": "ios"},
    {"event_type": "begin_checkout", "user_id": "u1", "platform": "ios"},
    purchase("o1", 49.98, user_id="u1", coupon_code="SAVE10", discount=5, items=[{**SHIRT, "quantity": 2}], **EMAIL),
    purchase("o2", 20, user_id="u2", items=[{"item_id": "sku_2", "price": 20}], platform="web"),
    refund("o2", 5.5, user_id="u2", platform="web"),
    {"event_type": "add_to_cart", "user_id": "u3", "items": [SHIRT]},
]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Running]:
    """The stand-in with a few events of two shoppers, its clock at `NOW`."""
    async with running(tmp_path, ManualClock(NOW.timestamp())) as up:
        answer = await up.batch(*EVENTS)
        assert answer.body["accepted"] == len(EVENTS)
        yield up


@pytest.fixture
def asking(sandbox: Running) -> Asking:
    return Asking(sandbox.url, sandbox.session)


def numbers(value: Any) -> Iterator[float]:
    """Yield the numbers in an answer, but for what it says of the question."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("days", "window_days"):
                yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


async def test_every_number_of_every_answer_is_in_a_row(sandbox: Running, asking: Asking) -> None:
    for name, dataset in DATASETS.items():
        url = f"{sandbox.url}{dataset.path}?start=2026-02-10&end=2026-02-10"
        raw = await sandbox.request("GET", url, headers={"X-API-Key": SECRET})
        answer, rows = await asking.one(export(name), TODAY)

        sent = sorted(numbers(raw.body))
        assert sent, name
        assert sorted(value for found in rows.found for value in found.metrics.values() if value is not None) == sent
        assert answer.whole, name


async def test_the_exports_agree_with_what_was_sent(asking: Asking) -> None:
    _, overview = await asking.one(export("overview"), TODAY)
    assert overview.found[0].metrics["total_revenue"] == 69.98
    assert overview.found[0].metrics["net_revenue"] == 64.48

    for name in ("revenue-timeseries", "revenue-by-platform", "revenue-by-device"):
        _, rows = await asking.one(export(name), TODAY)
        assert sum(metrics["revenue"] for _, metrics in rows.metrics) == pytest.approx(69.98), name


async def test_days_before_anything_arrived_are_answered(asking: Asking) -> None:
    answer, rows = await asking.one(export("revenue-timeseries"), days("2026-01-01", "2026-02-11"))

    assert (answer.whole, answer.covered) == (True, None)
    assert rows.days[-1] == "2026-02-10T00:00:00+00:00"


async def test_an_exclusive_end_gives_the_same_rows(sandbox: Running, asking: Asking) -> None:
    window = days("2026-02-09", "2026-02-11")
    _, rows = await asking.one(export("revenue-timeseries"), window)
    await sandbox.switch(end_inclusive=False)
    exclusive = Asking(sandbox.url, sandbox.session, end_inclusive=False)

    answer, same = await exclusive.one(export("revenue-timeseries"), window)

    assert (same.found, answer.whole) == (rows.found, True)
    assert rows.found


async def test_as_many_products_as_were_asked_for_may_not_be_all(asking: Asking) -> None:
    answer, rows = await asking.one(export("top-products", query={"limit": 1}), TODAY)

    assert [found.dimensions["item_id"] for found in rows.found] == ["sku_1"]
    assert (answer.whole, list(answer.flags)) == (False, ["truncated"])


async def test_the_model_is_the_vendors_to_name(asking: Asking) -> None:
    _, rows = await asking.one(export("attribution", query={"model": "linear", "window": 7}), TODAY)

    assert {(found.attributes["model"], found.attributes["window_days"]) for found in rows.found} == {("linear", 7)}
    assert {len(found.dimensions) for found in rows.found} == {0, 3}


async def test_a_clamp_shows_in_the_echo(sandbox: Running, asking: Asking) -> None:
    await sandbox.switch(retention_days=7)

    assert await asking.source.beginning(ask(export())) == date(2026, 2, 3)
    answer, _ = await asking.one(export(lookback="query", query={"days": 90}))
    assert (answer.whole, list(answer.flags)) == (False, ["clamped"])


async def test_a_journey(asking: Asking) -> None:
    answer = await journey(asking.caller, "u1")

    assert [event["event_type"] for event in answer["events"]] == [
        "view_item",
        "add_to_cart",
        "begin_checkout",
        "purchase",
    ]


async def test_keys_plans_and_quota(sandbox: Running, asking: Asking) -> None:
    for key, words in (("tolk_pub_acme", "secret"), ("tolk_sec_nobody", "INVALID_KEY")):
        with pytest.raises(AccountRefused, match=words):
            await Asking(sandbox.url, sandbox.session, key=key).one(export())
    for switches, kind in (({"plan": "free"}, "plan"), ({"plan": "frozen"}, "plan"), ({"usage_percent": 111}, "quota")):
        await sandbox.switch(**switches)
        with pytest.raises(Parked) as parked:
            await asking.one(export())
        assert parked.value.kind == kind
    await sandbox.switch(usage_percent=85)
    await asking.one(export())
    assert asking.log.calls[-1].kwargs["usage"] == "85%"


async def test_pace_is_told_by_the_headers(sandbox: Running, asking: Asking) -> None:
    await sandbox.switch(rate_limit_per_minute=1)
    await asking.one(export())

    with pytest.raises(Retryable) as refused:
        await Asking(sandbox.url, sandbox.session).one(export())

    assert (refused.value.whole_account, refused.value.retry_after) == (True, 60)


async def test_what_the_vendor_does_not_take_stops_the_export(sandbox: Running, asking: Asking) -> None:
    raw = await sandbox.request("GET", f"{sandbox.url}{ROOT}/overview?days=x", headers={"X-API-Key": SECRET})
    assert raw.status == 400

    with pytest.raises(ExportRefused, match="days"):
        await asking.one(export(lookback="query", query={"days": -1}))
