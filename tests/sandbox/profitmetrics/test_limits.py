"""How many at once, what is kept of requests, and faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from runtime.clock import ManualClock
from sandbox.profitmetrics.stand_in import PREFIX, ROOT
from sandbox.profitmetrics.traffic import alias
from tests.sandbox.profitmetrics.asking import EUROS, KEY, METRICS, NARROW_KEY, V2, Asking, asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY = {"csids": [EUROS], "resolution": "DAY", "lookbackWindow": 1, "metrics": ["TURNOVER"]}
BUSY = {"success": False, "errorCode": "TIMEOUT", "errorDetails": None}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - another connection's request cannot set our event
            await asyncio.sleep(0.001)


async def present(vendor: Asking, count: int) -> None:
    """Wait until so many requests are under way."""

    async def are_there() -> bool:
        return bool((await vendor.asked())["at_once"] == count)

    await until(are_there)


@pytest.mark.parametrize(("per_key", "overall", "other_key"), [(2, 9, 200), (9, 2, 599)])
async def test_too_many_at_once(per_key: int, overall: int, other_key: int) -> None:
    clock = ManualClock()
    async with asking(clock) as vendor:
        await vendor.set(
            concurrency_per_key=per_key, concurrency=overall, latency_milliseconds=1000, busy_retry_after=7
        )
        slow = [asyncio.create_task(vendor.ask(V2, BODY)) for _ in range(2)]
        await present(vendor, 2)
        busy = await vendor.ask(V2, BODY)
        assert (busy.status, busy.body, busy.headers["Retry-After"]) == (599, BUSY, "7")
        other = asyncio.create_task(vendor.ask(METRICS, None, key=NARROW_KEY))

        async def other_is_in() -> bool:
            return other.done() or len(clock.slept) == 3

        await until(other_is_in)
        await clock.advance(1)
        assert [answer.status for answer in await asyncio.gather(*slow, other)] == [200, 200, other_key]
        await vendor.set()
        assert (await vendor.ask(V2, BODY)).status == 200
        asked = await vendor.asked()
        assert asked["keys"][alias(KEY)] == {"requests": 4, "at_once": 0, "most_at_once": 3}


async def test_a_sender_that_goes_away_gives_its_place_back(vendor: Asking) -> None:
    await vendor.set(concurrency=1, latency_milliseconds=60_000)
    hanging = asyncio.create_task(vendor.ask(V2, BODY))
    await present(vendor, 1)
    busy = await vendor.ask(V2, BODY)
    assert (busy.status, busy.body) == (599, BUSY)
    assert "Retry-After" not in busy.headers
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await present(vendor, 0)
    await vendor.set(concurrency=1)
    assert (await vendor.ask(V2, BODY)).status == 200


async def test_what_was_asked(vendor: Asking) -> None:
    await vendor.ask(V2, BODY)
    await vendor.ask(V2, {**BODY, "metrics": ["NONE"]})
    await vendor.ask(METRICS, None, key=None)
    asked = await vendor.asked(last=2)
    assert (asked["requests"], asked["at_once"], asked["most_at_once"]) == (3, 0, 1)
    assert asked["statuses"] == {"200": 1, "400": 1, "401": 1}
    assert asked["paths"] == {f"{PREFIX}{ROOT}/{V2}": 2, f"{PREFIX}{ROOT}/{METRICS}": 1}
    assert [visit["body"] for visit in asked["last"]] == [{**BODY, "metrics": ["NONE"]}, None]
    assert asked["last"][0]["reason"] == "there is no metric NONE"
    assert KEY not in str(asked)
    await vendor.request("DELETE", f"{vendor.control_url}{PREFIX}/requests")
    assert (await vendor.asked())["requests"] == 0


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({"effect": "status", "status": 599}, 599, BUSY),
        ({"effect": "status", "status": 500}, 500, {**BUSY, "errorCode": "UNKNOWN"}),
        ({"effect": "status", "status": 429, "headers": {"Retry-After": "3"}}, 429, {**BUSY, "errorCode": None}),
        ({"effect": "status", "status": 200, "body": {"success": False}}, 200, {"success": False}),
        (
            {"effect": "status", "status": 500, "body": {**BUSY, "errorCode": "DB_ERROR"}},
            500,
            {**BUSY, "errorCode": "DB_ERROR"},
        ),
    ],
)
async def test_a_fault(vendor: Asking, rule: dict[str, Any], status: int, body: dict[str, Any]) -> None:
    await vendor.fault({**rule, "appspace": "profitmetrics", "path": "*/export/v2", "times": 1})
    assert (await vendor.ask(METRICS, None)).status == 200
    answer = await vendor.ask(V2, BODY)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("Retry-After") == rule.get("headers", {}).get("Retry-After")
    assert (await vendor.ask(V2, BODY)).status == 200


async def test_a_web_page_instead(vendor: Asking) -> None:
    await vendor.fault({"effect": "html"})
    answer = await vendor.ask(V2, BODY)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("effect", ["reset", "reset_after_delivery"])
async def test_a_reset(vendor: Asking, effect: str, caplog: pytest.LogCaptureFixture) -> None:
    await vendor.fault({"effect": effect})
    with pytest.raises(aiohttp.ClientError):
        await vendor.ask(V2, BODY)
    assert (await vendor.asked())["last"][0]["status"] is None
    assert not caplog.records


async def test_a_hang_is_given_up_by_the_sender(vendor: Asking) -> None:
    await vendor.fault({"effect": "hang"})
    hanging = asyncio.create_task(vendor.ask(V2, BODY))
    await present(vendor, 1)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await present(vendor, 0)
    assert (await vendor.asked())["statuses"] == {"None": 1}
