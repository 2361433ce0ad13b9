"""The answers of seed 003, word for word, on a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sandbox.running import BATCH, OVERVIEW, PUBLISHABLE, SECRET, SENDS_WITH, TRACK, VIEW, Running, purchase


async def test_an_event_is_taken(sandbox: Running) -> None:
    answer = await sandbox.post(TRACK, purchase("order_456", currency="USD"))
    assert (answer.status, answer.body) == (200, {"ok": True})
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_batch_is_taken(sandbox: Running) -> None:
    answer = await sandbox.batch(VIEW, purchase("order_456"))
    assert (answer.status, answer.body) == (200, {"ok": True, "accepted": 2})


async def test_bad_events_of_a_batch_are_skipped_and_named(sandbox: Running) -> None:
    answer = await sandbox.batch({"event_type": "purchase", "revenue": 1}, VIEW)
    errors = ["events[0]: transaction_id is required for purchase events"]
    assert (answer.status, answer.body) == (200, {"ok": True, "accepted": 1, "errors": errors})
    assert len(await sandbox.arrivals()) == 1


async def test_a_batch_of_bad_events_only(sandbox: Running) -> None:
    answer = await sandbox.batch({}, 7)
    errors = ["events[0]: event_type is required", "events[1]: event must be an object"]
    assert (answer.status, answer.body) == (200, {"ok": True, "accepted": 0, "errors": errors})


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, "event_type is required"),
        ({"event_type": "buy"}, "Invalid ecommerce event_type"),
        ({"event_type": "purchase", "revenue": 1}, "transaction_id is required for purchase events"),
        ({"event_type": "purchase", "transaction_id": "1"}, "revenue is required for purchase events"),
        ([], "event must be an object"),
    ],
)
async def test_why_track_refuses(sandbox: Running, event: Any, error: str) -> None:
    answer = await sandbox.post(TRACK, event)
    assert (answer.status, answer.body["error"]) == (400, error)


@pytest.mark.parametrize("body", [{}, {"events": []}, {"events": "x"}, {"events": None}, [], None, 1, b""])
async def test_a_batch_needs_events(sandbox: Running, body: Any) -> None:
    sent = b"null" if body is None else body
    answer = await sandbox.post(BATCH, sent)
    assert (answer.status, answer.body["error"]) == (400, "events array is required and must not be empty")


async def test_a_batch_has_at_most_100_events(sandbox: Running) -> None:
    assert (await sandbox.batch(*[VIEW] * 100)).body == {"ok": True, "accepted": 100}
    answer = await sandbox.batch(*[VIEW] * 101)
    assert (answer.status, answer.body["error"]) == (400, "Maximum 100 events per batch")
    assert len(await sandbox.arrivals()) == 100


@pytest.mark.parametrize("key", [PUBLISHABLE, SECRET, SENDS_WITH])
@pytest.mark.parametrize("place", ["X-API-Key", "Authorization", "body"])
async def test_both_kinds_of_keys_may_send_in_three_places(sandbox: Running, key: str, place: str) -> None:
    headers = {"X-API-Key": {"X-API-Key": key}, "Authorization": {"Authorization": f"Bearer {key}"}}.get(place)
    body = {"events": [VIEW]} | ({} if headers else {"apiKey": key})
    answer = await sandbox.post(BATCH, body, key=None, headers=headers)
    assert answer.body == {"ok": True, "accepted": 1}
    assert [each["appspace"] for each in await sandbox.arrivals()] == ["acme"]


async def test_a_header_beats_the_body(sandbox: Running) -> None:
    await sandbox.post(TRACK, VIEW | {"apiKey": PUBLISHABLE}, key="tolk_pub_other")
    assert [each["appspace"] for each in await sandbox.arrivals()] == ["other"]


@pytest.mark.parametrize("key", [None, "", "tolk_pub_nobody"])
async def test_without_a_good_key_nothing_is_taken(sandbox: Running, key: str | None) -> None:
    answer = await sandbox.post(BATCH, {"events": [VIEW]}, key=key)
    assert (answer.status, answer.body) == (401, {"error": "Invalid API key", "code": "INVALID_KEY"})
    assert await sandbox.arrivals() == []


async def test_only_a_secret_key_may_read(sandbox: Running) -> None:
    answer = await sandbox.overview(key=PUBLISHABLE)
    assert (answer.status, answer.body["code"]) == (403, "SECRET_KEY_REQUIRED")
    assert (await sandbox.overview(key=SENDS_WITH)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"events": [{"event_type": "view_cart"}',
        b'{"events": [{"event_type": "view_cart", "x": "\xff"}]}',
        b'{"events": [{"event_type": "view_cart", "x": "\\ud800"}]}',
        b'{"events": [{"event_type": "view_cart", "x": "\x00"}]}',
        b'{"events": [{"event_type": "view_cart", "x": NaN}]}',
        b'{"events": [{"event_type": "view_cart", "x": 1e999}]}',
        b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\x1f\x8b\x08\x00",
    ],
)
@pytest.mark.parametrize("path", [TRACK, BATCH])
async def test_what_is_no_json_is_a_400(sandbox: Running, path: str, body: bytes) -> None:
    answer = await sandbox.post(path, body)
    assert (answer.status, answer.body) == (400, {"error": "Invalid JSON", "code": "INVALID_JSON"})


@pytest.mark.parametrize("number", ["1e308", "-1e308", "123456789012345678901234567890", "1e-320"])
async def test_huge_numbers_are_no_fault_of_ours(sandbox: Running, number: str) -> None:
    event = f'{{"event_type": "purchase", "transaction_id": "t", "revenue": {number}}}'
    answer = await sandbox.post(BATCH, f'{{"events": [{event}]}}'.encode())
    assert answer.body == {"ok": True, "accepted": 1}
    assert [each["raw"] for each in await sandbox.arrivals()] == [event]
    assert (await sandbox.overview()).body["total_revenue"] == 0


async def test_a_body_over_the_limit_is_a_413(sandbox: Running) -> None:
    answer = await sandbox.post(BATCH, b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status, answer.body) == (413, {"error": "Request Entity Too Large"})


async def test_a_body_just_under_the_limit_is_taken(sandbox: Running) -> None:
    big = {"event_type": "view_cart", "note": "x" * 1_500_000}
    assert (await sandbox.post(TRACK, big)).body == {"ok": True}


async def test_encodings_are_not_taken(sandbox: Running) -> None:
    answer = await sandbox.post(BATCH, b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.body["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_unknown_paths_and_methods_are_answered_in_json(sandbox: Running) -> None:
    nowhere = await sandbox.request("GET", f"{sandbox.url}/v1/api/nowhere")
    assert (nowhere.status, nowhere.body) == (404, {"error": "Not Found"})
    wrong = await sandbox.request("GET", f"{sandbox.url}{BATCH}")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("body", [b"zz\r\nnonsense", b"5\r\nhello\r\n-1\r\n\r\n"])
async def test_a_broken_transfer_is_a_400_not_a_hang(sandbox: Running, body: bytes) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {PUBLISHABLE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(10):
        status = await reader.readline()
    writer.close()
    assert status.split()[1] == b"400"


async def test_a_browser_may_ask_and_may_read(sandbox: Running) -> None:
    origin = {"Origin": "https://shop.acme.example"}
    asked = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = await sandbox.request("OPTIONS", sandbox.url + BATCH, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.acme.example"
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert {"X-API-Key", "Content-Type"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    for key, status in ((PUBLISHABLE, 200), ("wrong", 401)):
        answer = await sandbox.post(BATCH, {"events": [VIEW]}, key=key, headers=origin)
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.acme.example"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_nothing_of_the_fault_port_is_on_the_main_port(sandbox: Running) -> None:
    for path in ("/faults", "/switches", "/store", "/store/arrivals"):
        assert (await sandbox.request("GET", sandbox.url + path)).status == 404
    assert (await sandbox.request("GET", sandbox.control_url + OVERVIEW)).status == 404
