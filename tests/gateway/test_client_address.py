"""`gateway.record_client`: what is written down of who sent an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.client_address import LONGEST_USER_AGENT, address_of
from tests.gateway.conftest import BATCH, TRACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway

VIEW = {"event_type": "view_cart"}
TWO = {"events": [VIEW | {"user_id": "ada"}, VIEW | {"user_id": "ben"}]}


@pytest.mark.parametrize(
    ("remote", "full", "truncated"),
    [
        ("198.51.100.77", "198.51.100.77", "198.51.100.0"),
        ("2001:db8:1234:5678::9", "2001:db8:1234:5678::9", "2001:db8:1234::"),
        ("2001:0DB8:0:0::1", "2001:db8::1", "2001:db8::"),
        ("::ffff:198.51.100.77", "198.51.100.77", "198.51.100.0"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("::1", "::1", "::"),
        ("", "", ""),
        (None, "", ""),
        ("a socket's path", "", ""),
    ],
)
def test_an_address_in_full_and_truncated(remote: str | None, full: str, truncated: str) -> None:
    assert address_of(remote, truncated=False) == full
    assert address_of(remote, truncated=True) == truncated


@pytest.mark.parametrize(("kept", "address"), [("full", b"127.0.0.1"), ("truncated", b"127.0.0.0")])
async def test_each_event_says_who_sent_it(start: Callable[..., Awaitable[Gateway]], kept: str, address: bytes) -> None:
    gateway = await start(record_client=kept)
    sent = {"User-Agent": "Mozilla/5.0 (X11)", "X-Forwarded-For": "203.0.113.9"}
    assert (await gateway.post(BATCH, TWO, headers=sent)).status == 200
    events = gateway.publisher.published
    assert len(events) == 2
    for event in events:
        assert event.headers["client_address"] == address
        assert event.headers["user_agent"] == b"Mozilla/5.0 (X11)"


async def test_by_default_nothing_is_written_down(gateway: Gateway) -> None:
    assert (await gateway.post(TRACK, VIEW)).status == 200
    (event,) = gateway.publisher.published
    assert list(event.headers) == ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x" * 2000, b"x" * LONGEST_USER_AGENT),
        (
            "bräuser\ttab",
            b"br?user?tab",
        ),
        ("", None),
    ],
)
async def test_a_user_agent_is_bounded_and_printable(
    start: Callable[..., Awaitable[Gateway]], sent: str, kept: bytes | None
) -> None:
    gateway = await start(record_client="full")
    assert (await gateway.post(TRACK, VIEW, headers={"User-Agent": sent})).status == 200
    (event,) = gateway.publisher.published
    assert event.headers.get("user_agent") == kept


async def test_refused_events_are_kept_without_their_sender(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(record_client="full")
    assert (await gateway.post(TRACK, {"event_type": "nonsense"})).status == 400
    (rejected,) = gateway.publisher.of("ecommerce.rejected")
    assert list(rejected.headers) == ["storefront", "reason", "client_request"]
