"""Cross-origin requests as the vendor's web SDK makes them: by fetch with a key header, by sendBeacon with credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.interface import Unavailable
from tests.gateway.conftest import BATCH, TRACK, storefront

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway

SHOP = "https://shop.acme.example"
VIEW = b'{"event_type":"view_cart"}'


@pytest.mark.parametrize("path", [TRACK, BATCH])
async def test_a_preflight_names_the_exact_origin_and_allows_credentials(gateway: Gateway, path: str) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key",
    }
    async with gateway.session.options(gateway.url + path, headers=asked) as response:
        assert response.status == 204
        assert await response.read() == b""
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"content-type", "x-api-key", "authorization", "idempotency-key"} <= set(allowed)
        assert "Origin" in response.headers["Vary"]
        assert int(response.headers["Access-Control-Max-Age"]) > 0


async def test_a_preflight_is_allowed_if_any_storefront_allows_the_origin(
    start: Callable[..., Awaitable[Gateway]],
) -> None:
    gateway = await start(storefront("acme", origins=[SHOP]), storefront("beta", origins=["https://beta.example"]))
    for origin, status in ((SHOP, 204), ("https://beta.example", 204), ("https://evil.example", 403)):
        async with gateway.session.options(gateway.url + TRACK, headers={"Origin": origin}) as response:
            assert response.status == status
            assert response.headers.get("Access-Control-Allow-Origin") == (origin if status == 204 else None)


async def test_answers_and_errors_can_be_read_by_the_page(gateway: Gateway) -> None:
    async def check(body: bytes, status: int, key: str | None = "tolk_pub_acme") -> None:
        answer = await gateway.post(TRACK, body, key=key, headers={"Origin": SHOP})
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answer.headers["Vary"]
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Retry-After", "RateLimit-Remaining", "X-Request-Id"} <= set(exposed)

    await check(VIEW, 200)
    await check(b"{}", 400)
    await check(VIEW, 401, key="wrong")
    gateway.publisher.refuses = Unavailable("broker is away")
    await check(VIEW, 503)


async def test_without_an_origin_there_is_nothing_to_allow(gateway: Gateway) -> None:
    answer = await gateway.post(TRACK, VIEW)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
