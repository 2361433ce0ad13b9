"""Whatever is sent: never a 500, never a hang, always a specific answer in JSON, and nothing of it in the events' topic."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

import brotli
import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import decode
from gateway.errors import Refusal
from gateway.limits import RECORD_BYTES
from tests.gateway.conftest import BATCH, PUBLISHABLE, SECRET, TRACK, storefront

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.decode import Events
    from tests.gateway.conftest import Gateway

VIEW = b'{"event_type":"view_cart"}'
MIB = 1024 * 1024


def known(text: bytes) -> bytes:
    return b'{"event_type":"view_cart","user_id":' + text + b"}"


def unknown(text: bytes) -> bytes:
    return b'{"event_type":"view_cart","anything":' + text + b"}"


UNREADABLE = {
    "empty": (b"", "body is empty"),
    "broken": (b'{"event_type":', "body is not valid JSON"),
    "trailing": (VIEW + b"x", "body is not valid JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + VIEW, "body is not valid JSON"),
    "utf-16": (VIEW.decode().encode("utf-16"), "body is not valid UTF-8"),
    "NaN, known": (b'{"event_type":"spend_credits","revenue":NaN}', "body is not valid JSON"),
    "NaN, unknown": (unknown(b"NaN"), "body is not valid JSON"),
    "Infinity": (unknown(b"-Infinity"), "body is not valid JSON"),
    "0x00, known": (known(b'"\x00"'), "body is not valid JSON"),
    "0x00, unknown": (unknown(b'"\x00"'), "body is not valid JSON"),
    "0x00, outside": (b"\x00" + VIEW, "body is not valid JSON"),
    "bad UTF-8, known": (known(b'"\xff"'), "body is not valid UTF-8 at byte 37"),
    "bad UTF-8, unknown": (unknown(b'"\xc3\x28"'), "body is not valid UTF-8"),
    "encoded surrogate, unknown": (unknown(b'"\xed\xa0\x80"'), "body is not valid UTF-8"),
    "lone surrogate, known": (known(b'"\\ud800"'), "body is not valid JSON"),
    "lone surrogate, unknown": (unknown(b'"\\udfff x"'), "body is not valid JSON"),
    "deep nesting": (unknown(b"[" * 100_000 + b"]" * 100_000), "body is not valid JSON"),
    "deep and open": (b"[" * 100_000, "body is not valid JSON"),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "body is not valid JSON"),
}
FAULTY = {
    "1e999, known": (b'{"event_type":"spend_credits","revenue":1e999}', "event cannot be read"),
    "1e999, unknown": (unknown(b"1e999"), "event cannot be read"),
    "-1E+999, unknown": (unknown(b"-1E+999"), "event cannot be read"),
    "400 digits, known": (b'{"event_type":"spend_credits","revenue":' + b"9" * 400 + b"}", "event cannot be read"),
    "400 digits, unknown": (unknown(b"9" * 400), "event cannot be read"),
    "wrong type": (known(b"5"), "user_id must be a string"),
    "array": (b"[]", "event must be an object"),
    "number": (b"5", "event must be an object"),
    "null": (b"null", "event must be an object"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_not_json_is_refused_and_kept_nowhere(gateway: Gateway, name: str) -> None:
    body, text = UNREADABLE[name]
    for path, sent in ((TRACK, body), (BATCH, b'{"events":[' + body + b"]}" if body else body)):
        if name in {"byte order mark", "utf-16"} and path == BATCH:
            sent = body  # noqa: PLW2901 - what stands only at the start of a text is sent there
        answer = await gateway.post(path, sent)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_JSON")
        assert path == BATCH or answer.body["error"].startswith(text)
    assert not gateway.publisher.published


@pytest.mark.parametrize("name", FAULTY)
async def test_a_faulty_event_spoils_only_itself(gateway: Gateway, name: str) -> None:
    body, text = FAULTY[name]
    answer = await gateway.post(TRACK, body)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_EVENT")
    assert answer.body["error"].startswith(text)
    answer = await gateway.post(BATCH, b'{"events":[' + VIEW + b"," + body + b"," + VIEW + b"]}")
    assert (answer.status, answer.body["accepted"]) == (200, 2)
    assert answer.body["errors"][0].startswith(f"events[1]: {text}")
    assert [each.value for each in gateway.publisher.of("ecommerce.events.acme")] == [VIEW, VIEW]
    assert [each.value for each in gateway.publisher.of("ecommerce.rejected")] == [body, body]


async def test_an_escaped_zero_is_a_character_like_any_other(gateway: Gateway) -> None:
    assert (await gateway.post(TRACK, known(b'"\\u0000"'))).status == 200
    assert gateway.publisher.published[0].key == b"\x00"


async def test_ten_megabytes_are_too_large(gateway: Gateway) -> None:
    async def chunks() -> Any:
        for _ in range(10):
            yield b" " * MIB

    headers = {"X-API-Key": PUBLISHABLE, "Content-Type": "application/json"}
    for data in (io.BytesIO(b" " * (10 * MIB)), chunks()):
        async with gateway.session.post(gateway.url + BATCH, data=data, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (413, "TOO_LARGE")
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_an_event_over_its_limit_is_refused_by_name_and_one_at_it_is_not(gateway: Gateway) -> None:
    limit = 524_288
    frame = len(unknown(b'""'))
    fits = unknown(b'"' + b"x" * (limit - frame) + b'"')
    over = unknown(b'"' + b"x" * (limit - frame + 1) + b'"')
    answer = await gateway.post(TRACK, over)
    assert (answer.status, answer.body["code"]) == (413, "TOO_LARGE")
    assert answer.body["error"] == "event is larger than 524288 bytes"
    answer = await gateway.post(BATCH, b'{"events":[' + VIEW + b"," + over + b"]}")
    assert answer.body == {"ok": True, "accepted": 1, "errors": ["events[1]: event is larger than 524288 bytes"]}
    assert [each.value for each in gateway.publisher.of("ecommerce.rejected")] == [None, None]
    assert (await gateway.post(TRACK, fits)).status == 200
    assert gateway.publisher.of("ecommerce.events.acme")[-1].value == fits


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/html", "nonsense"])
async def test_other_content_types_are_refused(gateway: Gateway, kind: str) -> None:
    answer = await gateway.post(TRACK, VIEW, headers={"Content-Type": kind})
    assert (answer.status, answer.body["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "Application/JSON; charset=utf-8"])
async def test_json_and_plain_text_are_taken(gateway: Gateway, kind: str) -> None:
    assert (await gateway.post(TRACK, VIEW, headers={"Content-Type": kind})).status == 200


COMPRESSED = {
    "gzip": gzip.compress(VIEW),
    "deflate": zlib.compress(VIEW),
    "zstd": zstandard.compress(VIEW),
    "br": brotli.compress(VIEW),
}


@pytest.mark.parametrize("encoding", COMPRESSED)
async def test_each_encoding_is_taken_whole_and_refused_otherwise(gateway: Gateway, encoding: str) -> None:
    body = COMPRESSED[encoding]
    headers = {"Content-Encoding": encoding}
    assert (await gateway.post(TRACK, body, headers=headers)).status == 200
    assert gateway.publisher.published[0].value == VIEW
    for faulty in (body[:-1], body[: len(body) // 2], body + b"behind", VIEW, b""):
        answer = await gateway.post(TRACK, faulty, headers=headers)
        assert (answer.status, answer.body["code"]) == (400, "BAD_ENCODING"), faulty
    assert len(gateway.publisher.published) == 1
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(b" " * (100 * MIB))),
        ("deflate", zlib.compress(b" " * (100 * MIB))),
        ("zstd", zstandard.compress(b" " * (100 * MIB))),
        ("br", brotli.compress(b" " * (100 * MIB), quality=5)),
    ],
    ids=["gzip", "deflate", "zstd", "br"],
)
async def test_a_decompression_bomb_is_refused(gateway: Gateway, encoding: str, bomb: bytes) -> None:
    answer = await gateway.post(TRACK, bomb, headers={"Content-Encoding": encoding})
    assert (answer.status, answer.body["code"]) == (413, "TOO_LARGE")


async def test_encodings_may_be_stacked_and_unknown_ones_are_named(gateway: Gateway) -> None:
    twice = zlib.compress(gzip.compress(VIEW))
    assert (await gateway.post(TRACK, twice, headers={"Content-Encoding": "gzip, deflate"})).status == 200
    raw = zlib.compressobj(wbits=-15)
    assert (
        await gateway.post(TRACK, raw.compress(VIEW) + raw.flush(), headers={"Content-Encoding": "deflate"})
    ).status == 200
    assert (await gateway.post(TRACK, VIEW, headers={"Content-Encoding": "identity"})).status == 200
    answer = await gateway.post(TRACK, VIEW, headers={"Content-Encoding": "lzma"})
    assert (answer.status, answer.body["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("key", [None, "", "wrong", "tolk_pub_acmE"])
async def test_without_a_valid_key_nothing_is_kept(gateway: Gateway, key: str | None) -> None:
    for path, body in ((TRACK, VIEW), (TRACK, b"{}"), (BATCH, b'{"events":[{}]}')):
        answer = await gateway.post(path, body, key=None, headers={} if key is None else {"X-API-Key": key})
        assert (answer.status, answer.body["code"]) == (401, "INVALID_KEY")
        assert not key or key not in answer.body["error"]
    answer = await gateway.post(TRACK, b'{"event_type":"view_cart","apiKey":["tolk_pub_acme"]}', key=None)
    assert answer.status == 401
    assert not gateway.publisher.published


@pytest.mark.parametrize("value", [PUBLISHABLE, SECRET])
async def test_both_kinds_of_keys_may_send_in_either_header(gateway: Gateway, value: str) -> None:
    for headers in ({"X-API-Key": value}, {"Authorization": f"Bearer {value}"}, {"Authorization": f"bearer  {value}"}):
        assert (await gateway.post(TRACK, VIEW, key=None, headers=headers)).status == 200


async def test_other_paths_and_methods(gateway: Gateway) -> None:
    for path in ("/", "/v1/api/analytics/ecommerce/", "/v1/api/analytics/ecommerce/tracks", TRACK + "/"):
        answer = await gateway.post(path, VIEW)
        assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        async with gateway.session.request(method, gateway.url + TRACK) as response:
            assert (response.status, (await response.json())["code"]) == (405, "METHOD_NOT_ALLOWED")
            assert response.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST " + TRACK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST " + TRACK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST " + TRACK.encode() + b" HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["no HTTP", "version", "both lengths", "negative length", "long header"],
)
async def test_what_is_not_http_is_answered_in_json_too(gateway: Gateway, sent: bytes) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert orjson.loads(body)["code"] == "BAD_REQUEST"
    assert not gateway.publisher.published


async def test_a_request_that_breaks_off_publishes_nothing(gateway: Gateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {TRACK} HTTP/1.1\r\nHost: x\r\nX-API-Key: {PUBLISHABLE}\r\nContent-Length: {len(VIEW) + 1}\r\n\r\n".encode()
        + VIEW
    )
    writer.write_eof()
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    await writer.wait_closed()
    assert not gateway.publisher.published
    assert (await gateway.post(TRACK, VIEW)).status == 200
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_more_bytes_in_flight_than_the_limit_are_refused(
    start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.assembly.MAX_IN_FLIGHT_BYTES", len(VIEW) + RECORD_BYTES)
    gateway = await start()
    gateway.publisher.held = []
    first = asyncio.ensure_future(gateway.post(TRACK, VIEW))
    await gateway.publisher.hold(1)
    answer = await gateway.post(TRACK, VIEW)
    assert (answer.status, answer.body["code"]) == (503, "OVERLOADED")
    assert int(answer.headers["Retry-After"]) >= 1
    gateway.publisher.held.pop().set_result(None)
    assert (await first).status == 200
    gateway.publisher.held = None
    assert (await gateway.post(TRACK, VIEW)).status == 200


@given(
    st.one_of(
        st.binary(max_size=200), st.builds(known, st.binary(max_size=20)), st.builds(unknown, st.binary(max_size=20))
    )
)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_makes_the_decoders_fail_otherwise_than_by_refusing(body: bytes) -> None:
    statuses = set[int]()
    reads: list[Callable[[], Events]] = [
        lambda: decode.track(body, max_event_bytes=1000),
        lambda: decode.batch(b'{"events":[' + body + b"]}", max_events=100, max_event_bytes=1000),
        lambda: decode.batch(body, max_events=100, max_event_bytes=1000),
    ]
    for read in reads:
        try:
            events = read()
        except Refusal as refusal:
            statuses.add(refusal.status)
            continue
        for value in events.good.values:
            assert value in body or b'"apiKey"' in body
            orjson.loads(value)
    assert statuses <= {400}


async def test_no_secret_and_no_event_reaches_the_log(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    await gateway.post(TRACK, known(b'"visible-user"'), key=SECRET)
    await gateway.post(TRACK, known(b"[1]"), key=SECRET)
    await gateway.post(TRACK, VIEW, key="tolk_sec_wrong")
    printed = "".join(capsys.readouterr())
    assert printed.count("request_id=") == 3
    assert not any(text in printed for text in (SECRET, "tolk_sec_wrong", "visible-user", "view_cart"))


async def test_an_origin_that_is_not_allowed_is_refused(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(
        storefront("acme", origins=["https://shop.acme.example"]), storefront("beta", origins=["https://beta.example"])
    )
    for origin, status in (
        ("https://shop.acme.example", 200),
        ("https://evil.example", 403),
        ("https://beta.example", 403),
        ("null", 403),
    ):
        answer = await gateway.post(TRACK, VIEW, headers={"Origin": origin})
        assert answer.status == status
        assert status == 200 or (
            answer.body["code"] == "ORIGIN_NOT_ALLOWED" and "Access-Control-Allow-Origin" not in answer.headers
        )
    assert (await gateway.post(TRACK, VIEW)).status == 200
    assert len(gateway.publisher.published) == 2
