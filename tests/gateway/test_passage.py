"""What is passed through: to the right upstream, in the right name, and its answer as it is."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp import web

from gateway.routes import QUERIES
from tests.gateway.conftest import PUBLISHABLE, SECRET
from tests.gateway.vendor import MESSAGES, OURS, OVERVIEW, SHOP, code, raw, send, serving, shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway
    from tests.gateway.vendor import Vendor


async def test_a_query_is_asked_in_our_name_and_answered_as_it_is(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))
    for name in sorted(QUERIES):
        path = f"/v1/api/analytics/ecommerce/{name}?start=2026-01-01&x=%2F%20a"
        status, body, headers = await send(
            gateway, "GET", path, headers={"Authorization": "Bearer of-the-caller", "Cookie": "a=b", "Accept": "text/x"}
        )
        assert (status, orjson.loads(body)) == (200, {"total_revenue": 12450.0})
        assert headers["X-Request-Id"]
        asked = vendor.asked[-1]
        assert (asked.method, asked.target) == ("GET", path)
        assert asked.headers.getall("X-API-Key") == [OURS]
        assert {"Authorization", "Cookie", "Origin"}.isdisjoint(asked.headers)
        assert asked.headers["Accept"] == "text/x"
        assert asked.headers["Host"] == vendor.url.removeprefix("http://")
    assert vendor.connections == 1
    assert gateway.metric("sluice_gateway_request_seconds_count", route="query", status="200") == len(QUERIES)


async def test_a_query_needs_a_secret_key_and_get(start: Callable[..., Awaitable[Gateway]], vendor: Vendor) -> None:
    gateway = await start(shop(vendor.url))
    for key, expected in (
        (PUBLISHABLE, (403, "SECRET_KEY_REQUIRED")),
        ("wrong", (401, "INVALID_KEY")),
        (None, (401, "INVALID_KEY")),
    ):
        status, body, _ = await send(gateway, "GET", OVERVIEW, key)
        assert (status, code(body)) == expected
    status, body, headers = await send(gateway, "POST", OVERVIEW)
    assert (status, code(body), headers["Allow"]) == (405, "METHOD_NOT_ALLOWED", "GET, OPTIONS")
    assert vendor.asked == []
    assert gateway.metric("sluice_gateway_events_total", storefront="", event_type="invalid", result="refused") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/v1/api/analytics/ecommerce/unknown",
        "/v1/api/analytics/ecommerce/overview/",
        "/v1/api/analytics/ecommerce",
        "/v1/api/analytics/Ecommerce/track",
        "/v1/api/messages/../analytics/ecommerce/nothing",
        "/v1/api/..%2f/x/%2e%2e/%2e%2e/%2e%2e/admin",
        "/v1/api/%2e%2e/admin",
        "/v1/apis/x",
        "/",
    ],
)
async def test_what_is_no_route_is_not_found_and_goes_nowhere(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor, path: str
) -> None:
    gateway = await start(shop(vendor.url))
    status, answer = await raw(gateway, f"GET {path} HTTP/1.1\r\nX-API-Key: {SECRET}\r\n")
    assert status in {400, 404}
    assert code(answer) in {"NOT_FOUND", "BAD_REQUEST"}
    assert vendor.asked == []


async def test_an_odd_spelling_of_a_route_is_that_route(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))
    body = '{"event_type":"view_cart"}'
    head = f"HTTP/1.1\r\nX-API-Key: {SECRET}\r\nContent-Length: {len(body)}\r\n"
    for spelling in ("/v1/api/analytics/ecommerce/%74rack", "/v1//api/./x/../analytics/ecommerce/track"):
        assert await raw(gateway, f"POST {spelling} {head}", body) == (200, b'{"ok":true}')
    assert len(gateway.publisher.published) == 2
    assert vendor.asked == []


async def test_everything_else_is_passed_on_with_the_callers_own_credentials(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        headers = {
            "Set-Cookie": "session=1",
            "Strict-Transport-Security": "max-age=1",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "X-Usage-Warning",
            "X-Usage-Warning": "85%",
            "Vary": "Accept",
            "Location": "/elsewhere",
            "X-Request-Id": "theirs",
            "X-Hop": "1",
            "Connection": "X-Hop",
        }
        return web.Response(status=302, body=b"moved", headers=headers)

    vendor.answer = answer
    body = gzip.compress(b'{"message":"hello"}')
    sent = {
        "Cookie": "a=b",
        "Origin": SHOP,
        "Content-Type": "application/x-anything",
        "Content-Encoding": "gzip",
        "Connection": "keep-alive, X-Private",
        "X-Private": "1",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Te": "trailers",
    }
    status, answered, headers = await send(
        gateway, "PUT", f"{MESSAGES}/a%2fb?q=1", "tolk_sec_other", data=body, headers=sent
    )
    asked = vendor.asked[0]
    assert (asked.method, asked.target, asked.body) == ("PUT", f"{MESSAGES}/a%2Fb?q=1", body)
    assert asked.headers["X-API-Key"] == "tolk_sec_other"
    assert OURS not in asked.headers.values()
    assert {"Cookie", "Te", "X-Private"}.isdisjoint(asked.headers)
    assert asked.headers["Content-Encoding"] == "gzip"
    assert asked.headers["Content-Type"] == "application/x-anything"
    assert asked.headers["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"
    assert asked.headers["X-Forwarded-Proto"] == "https"
    assert asked.headers["X-Forwarded-Host"] == gateway.url.removeprefix("http://")
    assert asked.headers["Host"] == vendor.url.removeprefix("http://")
    assert (status, answered, headers["Location"]) == (302, b"moved", "/elsewhere")
    assert {"Set-Cookie", "Strict-Transport-Security", "X-Hop"}.isdisjoint(headers)
    assert headers.getall("Access-Control-Allow-Origin") == [SHOP]
    assert "X-Usage-Warning" in headers["Access-Control-Expose-Headers"].split(", ")
    assert headers["X-Request-Id"] != "theirs"
    assert set(headers.getall("Vary")) == {"Accept", "Origin"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_request_without_a_body_is_passed_on_without(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor, method: str
) -> None:
    gateway = await start(shop(vendor.url))
    status, body, headers = await send(gateway, method, MESSAGES, None)
    assert status == 200
    assert bool(body) == (method != "HEAD")
    assert int(headers["Content-Length"]) > 0
    assert vendor.asked[0].body == b""
    assert "X-API-Key" not in vendor.asked[0].headers


async def test_the_key_names_the_storefront_else_the_origin_else_there_must_be_one(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    async with serving() as other:
        gateway = await start(shop(vendor.url, origins=[SHOP]), shop(other.url, "beta"))
        await send(gateway, "GET", MESSAGES, "tolk_pub_beta")
        await send(gateway, "GET", MESSAGES, None, headers={"Authorization": "Bearer tolk_sec_beta"})
        await send(gateway, "POST", MESSAGES, None, data=b' {"apiKey":"tolk_pub_beta"}', headers={"Origin": SHOP})
        assert (len(vendor.asked), len(other.asked)) == (0, 3)
        await send(gateway, "GET", MESSAGES, None, headers={"Origin": SHOP})
        await send(gateway, "POST", MESSAGES, "of-nobody", data=b"{", headers={"Origin": SHOP})
        assert (len(vendor.asked), len(other.asked)) == (2, 3)
        for headers in ({}, {"Origin": "https://evil.example"}):
            status, body, _ = await send(gateway, "GET", MESSAGES, None, headers=headers)
            assert (status, code(body)) == (404, "NOT_FOUND")
        status, body, headers_back = await send(gateway, "GET", MESSAGES, headers={"Origin": "https://evil.example"})
        assert (status, code(body)) == (403, "ORIGIN_NOT_ALLOWED")
        assert "Access-Control-Allow-Origin" not in headers_back
        assert (len(vendor.asked), len(other.asked)) == (2, 3)


async def test_a_preflight_of_another_path_allows_what_the_page_asks_for(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))
    for asked, allowed in (
        ("x-tolinku-sdk, content-type", "x-tolinku-sdk, content-type"),
        ("a b", "Content-Type, X-API-Key"),
    ):
        sent = {"Origin": SHOP, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": asked}
        status, _, headers = await send(gateway, "OPTIONS", MESSAGES, None, headers=sent)
        assert status == 204
        assert headers["Access-Control-Allow-Headers"].startswith(allowed)
        assert "PATCH" in headers["Access-Control-Allow-Methods"]
        assert headers["Access-Control-Allow-Origin"] == SHOP
    assert vendor.asked == []


async def test_errors_of_the_upstream_are_answered_as_they_are(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=429, body=b'{"error":"slow"}', headers={"Retry-After": "7", "RateLimit-Limit": "5"})

    vendor.answer = answer
    status, body, headers = await send(gateway, "GET", OVERVIEW)
    assert (status, body) == (429, b'{"error":"slow"}')
    assert (headers["Retry-After"], headers["RateLimit-Limit"]) == ("7", "5")
