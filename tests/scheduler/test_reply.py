from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import ijson
import pytest

from scheduler.errors import Retryable
from scheduler.reply import MAX_DOCUMENT_BYTES
from tests.scheduler.replies import reply

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_document() -> None:
    assert (await reply(200, {"a": [1, 2.5, None]})).document() == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", r"the answer \(200\) is empty where JSON was expected"),
        (b"<html>", r"the answer \(200, text/html\) is no JSON: "),
        (b'{"a": 1', r"the answer \(200, text/html\) is no JSON: "),
        (b'{"a": NaN}', r"the answer \(200, text/html\) is no JSON: "),
    ],
)
async def test_what_is_no_document(body: bytes, reason: str) -> None:
    with pytest.raises(Retryable, match=reason):
        (await reply(200, body, {"Content-Type": "text/html"})).document()


async def test_a_large_answer_is_read_as_a_stream(tmp_path: Path) -> None:
    large = await reply(200, b"[" + b"7," * (MAX_DOCUMENT_BYTES // 2) + b"7]", directory=tmp_path)
    with pytest.raises(Retryable, match="no document but a stream: 16777219 bytes"):
        large.document()

    def first() -> object:
        with large.open() as file:
            return next(ijson.items(file, "item"))

    assert await asyncio.to_thread(first) == 7
    large.close()


async def test_an_excerpt() -> None:
    assert (await reply(200, "é".encode() * 3)).excerpt() == "ééé"
    assert (await reply(200, "é".encode() * 3)).excerpt(3) == "é\ufffd…"
    assert (await reply(200)).excerpt() == ""


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({}, None),
        ({"Traceparent": "00-a"}, "00-a"),
        ({"CF-Ray": "b", "traceparent": "00-a"}, "b"),
        ({"X-Request-Id": "c", "CF-Ray": "b"}, "c"),
        ({"x-amzn-trace-id": "d", "x-trace-id": ""}, "d"),
    ],
)
async def test_the_trace_id(headers: dict[str, str], trace_id: str | None) -> None:
    assert (await reply(500, b"", headers)).trace_id == trace_id
