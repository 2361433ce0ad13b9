"""Two vendors whose answers have the size that they are told to have, streamed. `python -m bench.large_vendor PORT`.

Whatever stands before a vendor's own path says how it answers: `/<gzip or plain>/<kB for each bucket>/…`. Answers have the shapes of seeds
000 and 003 and are the same every time, until `GET /restate` has all numbers be others. `GET /sent` tells how many bytes the answers had
since the last time, before compression.
"""

from __future__ import annotations

import asyncio
import random
import sys
import zlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import uvloop
from aiohttp import web

from schemas.profitmetrics import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VARIANTS = 16
"""So many buckets differ in their numbers; then they come again."""
CHANNELS = 10
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COMPARED = timedelta(days=7)
_WRITE_BYTES = 256 * 1024


class LargeVendor:
    """Answers everything."""

    def __init__(self) -> None:
        self._restated = 0
        self._sent = 0
        self._catalogue = orjson.dumps([{"label": label, "value": name} for label, name in NAMES.items()])

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.path == "/restate":
            self._restated += 1
            return web.Response(text="ok")
        if request.path == "/sent":
            sent, self._sent = self._sent, 0
            return web.Response(text=str(sent))
        _, encoding, size, *_, dataset = request.path.split("/")
        if dataset == "metrics":
            return web.Response(body=self._catalogue, content_type="application/json")
        if dataset == "reports":
            reports = orjson.loads(await request.read())["reports"]
            pieces = _reports(reports, int(size) * 1024, self._restated)
        else:
            first, last = (date.fromisoformat(request.query[name]) for name in ("start", "end"))
            pieces = _series(first, last, int(size) * 1024, self._restated)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        pieces = self._counted(pieces)
        if encoding == "gzip":
            response.headers["Content-Encoding"] = "gzip"
            pieces = _gzipped(pieces)
        await response.prepare(request)
        for piece in _joined(pieces):
            await response.write(piece)
        await response.write_eof()
        return response

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._sent += len(piece)
            yield piece


def _reports(reports: Sequence[dict[str, object]], size: int, seed: int) -> Iterator[bytes]:
    names: list[str] = reports[0]["metrics"]  # type: ignore[assignment]  # as the API has it
    data = [_data(names, size, seed * VARIANTS + variant) for variant in range(VARIANTS)]
    yield b'{"success":true,"data":{"reports":['
    for index, report in enumerate(reports):
        period: dict[str, str] = report["period"]  # type: ignore[assignment]  # as the API has it
        start, end = (datetime.fromisoformat(period[name]) for name in ("fromIncl", "toExcl"))
        yield (b"," if index else b"") + b'{"id":%s,"metrics":[' % orjson.dumps(report["id"])
        comma = b""
        at = start
        while at < end:
            times = at.isoformat().encode(), (at - COMPARED).isoformat().encode()
            yield comma + b'{"timestamp":"%s","compareTimestamp":"%s","data":' % times
            yield data[int(at.replace(tzinfo=UTC).timestamp()) // 3600 % VARIANTS]
            yield b"}"
            comma = b","
            at += HOUR
        yield b"]}"
    yield b"]}}"


def _data(names: Sequence[str], size: int, seed: int) -> bytes:
    """Return a bucket's values of these metrics with what each compares; by channel, for as many of them as fill it."""
    chance = random.Random(seed)  # noqa: S311 - the same answers every time
    data: dict[str, object] = {name: {"value": _compared(chance)} for name in names}
    left = size - len(orjson.dumps(data))
    for name in reversed(data):
        if left <= 0:
            break
        data[name] = {"value": {f"Channel {number}": _compared(chance) for number in range(CHANNELS)}}
        left -= len(orjson.dumps(data[name]))
    return orjson.dumps(data)


def _compared(chance: random.Random) -> dict[str, float]:
    now, before = chance.randrange(10_000_000) / 100, chance.randrange(1, 10_000_000) / 100
    difference = round(now - before, 2)
    return {
        "value": now,
        "compareValue": before,
        "valueDiff": difference,
        "percentageDiff": round(difference / before * 100, 2),
    }


def _series(first: date, last: date, size: int, seed: int) -> Iterator[bytes]:
    variants = [_fields(size, seed * VARIANTS + variant) for variant in range(VARIANTS)]
    yield b'{"days":%d,"series":[' % ((last - first).days + 1)
    comma = b""
    day = first
    while day <= last:
        yield comma + b'{"date":"%s",' % day.isoformat().encode()
        yield variants[day.toordinal() % VARIANTS]
        comma = b","
        day += DAY
    yield b"]}"


def _fields(size: int, seed: int) -> bytes:
    """Return a day's fields without the opening brace: what the seed names, and as much text as makes its size."""
    chance = random.Random(seed)  # noqa: S311 - the same answers every time
    text = chance.randbytes(size // 2).hex()
    return orjson.dumps({"revenue": chance.randrange(10_000_000) / 100, "orders": 7, "text": text})[1:]


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield stream.compress(piece)
    yield stream.flush()


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WRITE_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


async def serve(port: int) -> None:
    """Serve until killed."""
    runner = web.ServerRunner(web.Server(LargeVendor().handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
