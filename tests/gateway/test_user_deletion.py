"""`DELETE …/user/{id}`: answered as the seed says once it is in the log, behind what the user sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from broker.interface import NotAcknowledged
from schemas.topics import partition_of
from tests.gateway.conftest import PARTITIONS, PUBLISHABLE, TRACK, storefront
from tests.gateway.vendor import SHOP, code, send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway

USER = "/v1/api/analytics/user"


@pytest.mark.parametrize(
    ("path", "user"),
    [("user_123", "user_123"), ("a%2fb%20c%3Fd%25", "a/b c?d%"), ("%C3%85se", "Åse"), ("x%22y", 'x"y')],
)
async def test_a_deletion_travels_behind_the_users_events(gateway: Gateway, path: str, user: str) -> None:
    await gateway.post(TRACK, {"event_type": "view_cart", "user_id": user})
    status, body, headers = await send(gateway, "DELETE", f"{USER}/{path}", headers={"Origin": SHOP})
    assert (status, orjson.loads(body)) == (200, {"ok": True, "deleted_user_id": user})
    assert headers["Access-Control-Allow-Origin"] == SHOP
    event, deletion = gateway.publisher.published
    key = user.encode()
    assert (deletion.topic, deletion.partition, deletion.key) == (event.topic, event.partition, key)
    assert deletion.partition == partition_of(key, PARTITIONS)
    assert orjson.loads(deletion.value or b"") == {"user_id": user}
    assert deletion.headers == event.headers | {
        "ce_type": b"ecommerce.user_deletion",
        "ce_id": headers["X-Request-Id"].encode() + b"-0",
    }
    assert gateway.metric("sluice_gateway_request_seconds_count", route="user", status="200") == 1


async def test_only_a_secret_key_may(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(storefront("acme", origins=[SHOP]))
    for key, origin, expected in (
        (PUBLISHABLE, SHOP, (403, "SECRET_KEY_REQUIRED")),
        ("wrong", SHOP, (401, "INVALID_KEY")),
        ("tolk_sec_acme", "https://evil.example", (403, "ORIGIN_NOT_ALLOWED")),
    ):
        status, body, _ = await send(gateway, "DELETE", f"{USER}/u1", key, headers={"Origin": origin})
        assert (status, code(body)) == expected
    assert gateway.publisher.published == []


async def test_what_is_no_deletion_is_refused(gateway: Gateway) -> None:
    status, body, headers = await send(gateway, "GET", f"{USER}/u1")
    assert (status, code(body), headers["Allow"]) == (405, "METHOD_NOT_ALLOWED", "DELETE, OPTIONS")
    for path, expected in ((f"{USER}/", 404), (USER, 404), (f"{USER}/a/b", 404), (f"{USER}/%ff", 400)):
        assert (await send(gateway, "DELETE", path))[0] == expected
    assert gateway.publisher.published == []


async def test_it_is_not_answered_before_it_is_durable_and_counts_against_the_limit(
    start: Callable[..., Awaitable[Gateway]],
) -> None:
    gateway = await start(storefront("acme", events_per_second=1), max_batch_events=1)
    gateway.publisher.refuses = NotAcknowledged("no acknowledgement in 10 s")
    status, body, headers = await send(gateway, "DELETE", f"{USER}/u1")
    assert (status, code(body)) == (503, "NOT_DURABLE")
    assert int(headers["Retry-After"]) >= 1
    gateway.publisher.refuses = None
    status, body, _ = await send(gateway, "DELETE", f"{USER}/u1")
    assert (status, code(body)) == (429, "RATE_LIMITED")
