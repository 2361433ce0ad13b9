"""Whatever is sent to the real process: never a 5xx, always an answer in JSON within a second, and the gateway goes on."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, NamedTuple

import brotli
import pytest
import zstandard

from schemas.topics import events_topic
from tests.chaos.client import BATCH, TRACK
from tests.e2e.storefront import Storefront, arrived, event

if TYPE_CHECKING:
    import aiohttp

    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

SECONDS = 1.0
MIB = 1024 * 1024
VIEW = b'{"event_type":"view_cart"}'


class Broken(NamedTuple):
    body: bytes
    status: int
    code: str
    path: str = TRACK
    encoding: str = ""
    content_type: str = "application/json"


def _known(text: bytes) -> bytes:
    return b'{"event_type":"view_cart","user_id":' + text + b"}"


def _unknown(text: bytes) -> bytes:
    return b'{"event_type":"view_cart","anything":' + text + b"}"


INPUTS = {
    "empty": Broken(b"", 400, "INVALID_JSON"),
    "broken JSON": Broken(b'{"event_type":', 400, "INVALID_JSON"),
    "broken JSON in a batch": Broken(b'{"events":[' + VIEW + b",]}", 400, "INVALID_JSON", BATCH),
    "wrong type": Broken(_known(b"[1]"), 400, "INVALID_EVENT"),
    "no object": Broken(b"[]", 400, "INVALID_EVENT"),
    "no events": Broken(b'{"events":{}}', 400, "INVALID_EVENT", BATCH),
    "101 events": Broken(b'{"events":[' + b",".join([VIEW] * 101) + b"]}", 400, "TOO_MANY_EVENTS", BATCH),
    "0x00, known": Broken(_known(b'"\x00"'), 400, "INVALID_JSON"),
    "0x00, unknown": Broken(_unknown(b'"\x00"'), 400, "INVALID_JSON"),
    "lone surrogate, known": Broken(_known(b'"\\ud800"'), 400, "INVALID_JSON"),
    "lone surrogate, unknown": Broken(_unknown(b'"\\udfff"'), 400, "INVALID_JSON"),
    "bad UTF-8, known": Broken(_known(b'"\xff"'), 400, "INVALID_JSON"),
    "bad UTF-8, unknown": Broken(_unknown(b'"\xc3\x28"'), 400, "INVALID_JSON"),
    "deep nesting": Broken(_unknown(b"[" * 100_000 + b"]" * 100_000), 400, "INVALID_JSON"),
    "deep nesting in a batch": Broken(b'{"events":[' + b'{"a":' * 100_000, 400, "INVALID_JSON", BATCH),
    "10 MB": Broken(b" " * (10 * MIB), 413, "TOO_LARGE"),
    "10 MB unpacked": Broken(gzip.compress(b" " * (10 * MIB)), 413, "TOO_LARGE", encoding="gzip"),
    "wrong encoding": Broken(VIEW, 400, "BAD_ENCODING", encoding="gzip"),
    "truncated gzip": Broken(gzip.compress(VIEW)[:-1], 400, "BAD_ENCODING", encoding="gzip"),
    "truncated deflate": Broken(zlib.compress(VIEW)[:-1], 400, "BAD_ENCODING", encoding="deflate"),
    "truncated zstd": Broken(zstandard.compress(VIEW)[:-1], 400, "BAD_ENCODING", encoding="zstd"),
    "truncated br": Broken(brotli.compress(VIEW)[:-1], 400, "BAD_ENCODING", encoding="br"),
    "unknown encoding": Broken(VIEW, 415, "UNSUPPORTED_MEDIA_TYPE", encoding="lzma"),
    "unknown type": Broken(VIEW, 415, "UNSUPPORTED_MEDIA_TYPE", content_type="image/png"),
    "huge exponent, known": Broken(b'{"event_type":"spend_credits","revenue":1e999}', 400, "INVALID_EVENT"),
    "huge exponent, unknown": Broken(_unknown(b"1e999"), 400, "INVALID_EVENT"),
    "huge number": Broken(_unknown(b"9" * 400), 400, "INVALID_EVENT"),
    "NaN, known": Broken(b'{"event_type":"spend_credits","revenue":NaN}', 400, "INVALID_JSON"),
    "NaN, unknown": Broken(_unknown(b"NaN"), 400, "INVALID_JSON"),
}


@pytest.mark.parametrize("shared_world", ["embedded"], indirect=True)
async def test_broken_input_is_refused_and_leaves_no_trace(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    storefront = Storefront(world, world.shop("broken"), session)
    for name, sent in INPUTS.items():
        headers = {"Content_Type": sent.content_type} | ({"Content_Encoding": sent.encoding} if sent.encoding else {})
        answer = await storefront.post(sent.path, sent.body, seconds=SECONDS, **headers)
        assert (answer.status, answer.body["code"]) == (sent.status, sent.code), name
        assert answer.body["error"], name

    assert (await storefront.track(event(1, "ada"))).status == 200
    assert [each.number for each in await arrived(upstream, storefront.shop, 1)] == [1]
    topic = events_topic(storefront.shop.name)
    async with world.broker() as broker:
        assert [each.value async for each in broker.read(topic)] == [event(1, "ada")]
    assert world.role("gateway").unready() == {}
