"""A shop's page in a real browser, served from another origin than the gateway's, sends by `fetch` and by `sendBeacon` as it is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web

from tests.e2e.browser import browsing
from tests.gateway.conftest import BATCH, PUBLISHABLE, Gateway, start, storefront

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.e2e.browser import Browser

__all__ = ["start"]

PATIENCE_SECONDS = 10
PAGE = "<!doctype html><title>shop</title>"


@pytest.fixture
async def shops() -> AsyncIterator[list[str]]:
    """Two origins at which a page is served."""

    async def page(_: web.BaseRequest) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    for _ in range(2):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield [f"http://127.0.0.1:{port}" for _, port in runner.addresses]
    await runner.cleanup()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


def by_fetch(url: str, event: dict[str, Any]) -> str:
    """As the vendor's web SDK sends: what came of it, as the page sees it."""
    body = orjson.dumps(orjson.dumps({"events": [event]}).decode()).decode()
    return f"""
        fetch("{url + BATCH}", {{
            method: "POST",
            headers: {{"Content-Type": "application/json", "X-API-Key": "{PUBLISHABLE}"}},
            body: {body},
        }}).then(
            async answer => ({{
                status: answer.status,
                body: await answer.json(),
                requestId: answer.headers.get("X-Request-Id"),
            }}),
            error => ({{refused: error.name}}),
        )"""


def by_simple_fetch(url: str, event: dict[str, Any]) -> str:
    """As text, which a browser sends without asking first."""
    body = orjson.dumps(orjson.dumps({"events": [event], "apiKey": PUBLISHABLE}).decode()).decode()
    return f"""
        fetch("{url + BATCH}", {{method: "POST", body: {body}}}).then(
            answer => ({{status: answer.status}}), error => ({{refused: error.name}})
        )"""


def by_beacon_when_left(url: str, event: dict[str, Any]) -> str:
    """As the vendor's web SDK sends what is left when the page is."""
    body = orjson.dumps(orjson.dumps({"events": [event], "apiKey": PUBLISHABLE}).decode()).decode()
    return f"""
        addEventListener("beforeunload", () => navigator.sendBeacon(
            "{url + BATCH}", new Blob([{body}], {{type: "application/json"}})
        ))"""


def view(user: str) -> dict[str, Any]:
    return {"event_type": "view_cart", "user_id": user}


def users(gateway: Gateway) -> list[str]:
    """Whose events arrived."""
    return [orjson.loads(each.value or b"")["user_id"] for each in gateway.publisher.published]


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():  # noqa: ASYNC110 - a browser does it, which sets no event of ours
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {PATIENCE_SECONDS} s: {what}")


async def test_a_page_sends_from_an_allowed_origin_and_not_from_another(
    browser: Browser, shops: list[str], start: Callable[..., Awaitable[Gateway]]
) -> None:
    allowed, other = shops
    gateway = await start(storefront("acme", origins=[allowed]))

    def preflights(status: str) -> float:
        return gateway.metric("sluice_gateway_request_seconds_count", route="preflight", status=status)

    page = await browser.open(allowed)
    answer = await page.run(by_fetch(gateway.url, view("fetched")))
    request_id = answer.pop("requestId")
    assert answer == {"status": 200, "body": {"ok": True, "accepted": 1}}
    assert gateway.publisher.published[0].headers["ce_id"].decode() == f"{request_id}-0"
    assert (await page.run(by_simple_fetch(gateway.url, view("text")))) == {"status": 200}
    await page.run(by_beacon_when_left(gateway.url, view("left")))
    await page.go("about:blank")
    await until(lambda: users(gateway) == ["fetched", "text", "left"], "the beacon arrives")
    assert preflights("204") == 2
    assert preflights("403") == 0

    page = await browser.open(other)
    assert (await page.run(by_fetch(gateway.url, view("refused")))) == {"refused": "TypeError"}
    assert preflights("403") == 1
    # It is sent, and the gateway refuses it; the page may not even know that.
    assert (await page.run(by_simple_fetch(gateway.url, view("refused")))) == {"refused": "TypeError"}
    assert gateway.metric("sluice_gateway_request_seconds_count", route="batch", status="403") == 1
    await page.run(by_beacon_when_left(gateway.url, view("refused")))
    await page.go(allowed)
    await until(lambda: preflights("403") == 2, "the beacon's preflight is refused")
    # What comes after it arrives, so that it would have.
    assert (await page.run(by_fetch(gateway.url, view("last"))))["status"] == 200
    assert users(gateway) == ["fetched", "text", "left", "last"]


async def test_a_refusal_can_be_read_by_an_allowed_page(
    browser: Browser, shops: list[str], start: Callable[..., Awaitable[Gateway]]
) -> None:
    gateway = await start(storefront("acme", origins=[shops[0]], events_per_second=1), max_batch_events=1)
    page = await browser.open(shops[0])
    assert (await page.run(by_fetch(gateway.url, view("first"))))["status"] == 200
    answer = await page.run(f"""
        fetch("{gateway.url + BATCH}", {{
            method: "POST",
            headers: {{"X-API-Key": "{PUBLISHABLE}"}},
            body: '{{"events": [{{"event_type": "view_cart"}}]}}',
        }}).then(async answer => ({{
            status: answer.status, code: (await answer.json()).code, after: answer.headers.get("Retry-After"),
        }}))""")
    assert int(answer.pop("after")) >= 1
    assert answer == {"status": 429, "code": "RATE_LIMITED"}
