"""A load generator: `python -m bench.load PORT single|batch CONNECTIONS SECONDS`; prints one line of JSON.

Each connection sends a request, waits for its answer and sends the next. It takes as little of the machine as Python allows: requests
are made beforehand, an answer is read no further than its status and its length. Where wrk is installed, it is used instead.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import orjson
import uvloop

from bench import payloads, wrk

TRACK = "/v1/api/analytics/ecommerce/track"
BATCH = "/v1/api/analytics/ecommerce/batch"
KEY = "tolk_pub_demo"
BATCH_EVENTS = 100
DISTINCT = 64
OK = b"200"
WARM_UP_SECONDS = 1.0


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.answers = 0
        self.failures = 0
        self.latencies: list[float] = []
        self.stop = False


class Connection(asyncio.Protocol):
    """One connection of the load."""

    def __init__(self, requests: list[bytes], first: int, tally: Tally) -> None:
        self._requests = requests
        self._next = first
        self._tally = tally
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take an answer, send the next request."""
        data = self._buffer + data if self._buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._buffer = data
            return
        start = data.find(b"Content-Length: ", 0, head) + 16
        length = int(data[start : data.find(b"\r\n", start, head + 2)])
        if len(data) < head + 4 + length:
            self._buffer = data
            return
        self._buffer = b""
        tally = self._tally
        tally.answers += 1
        tally.failures += data[9:12] != OK
        tally.latencies.append(time.perf_counter() - self._sent)
        if not tally.stop:
            self._send()

    def _send(self) -> None:
        assert self._transport is not None  # noqa: S101 - connected
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()


def request(path: str, body: bytes) -> bytes:
    """Return the bytes of one request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def requests(shape: str) -> list[bytes]:
    """Return the requests of a load: single events or batches of 100."""
    if shape == "single":
        return [request(TRACK, body) for body in bodies(shape)]
    return [request(BATCH, body) for body in bodies(shape)]


def bodies(shape: str) -> list[bytes]:
    """Return the bodies of a load."""
    if shape == "single":
        return payloads.events(DISTINCT * BATCH_EVENTS)
    return [payloads.batch(payloads.events(BATCH_EVENTS, seed)) for seed in range(DISTINCT)]


def through_wrk(port: int, shape: str, connections: int, seconds: float) -> dict[str, float]:
    """Load the server through wrk, after a warm-up; returns what `run` does."""
    path = TRACK if shape == "single" else BATCH
    made = bodies(shape)[:DISTINCT]
    wrk.run(port, path, made, KEY, connections, 1)
    found = wrk.run(port, path, made, KEY, connections, seconds)
    events = 1 if shape == "single" else BATCH_EVENTS
    return {"events_per_second": found.pop("requests_per_second") * events, **found}


async def run(port: int, shape: str, connections: int, seconds: float) -> dict[str, float]:
    """Load the server on loopback for so long; returns events/s, failures and latencies in ms."""
    tally = Tally()
    made = requests(shape)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda n=n: Connection(made, n * 7 % len(made), tally), "127.0.0.1", port))[1]  # type: ignore[misc] # the lambda's default binds n
        for n in range(connections)
    ]
    await asyncio.sleep(WARM_UP_SECONDS)
    before, started = tally.answers, time.perf_counter()
    tally.latencies.clear()
    await asyncio.sleep(seconds)
    answers, elapsed = tally.answers - before, time.perf_counter() - started
    latencies = sorted(tally.latencies)
    tally.stop = True
    await asyncio.sleep(0.3)
    for client in clients:
        client.close()
    events = 1 if shape == "single" else BATCH_EVENTS
    return {
        "events_per_second": answers * events / elapsed,
        "failures": tally.failures,
        "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else 0.0,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000 if latencies else 0.0,
    }


if __name__ == "__main__":
    _, port_text, shape_text, connections_text, seconds_text = sys.argv
    asked = (int(port_text), shape_text, int(connections_text), float(seconds_text))
    result = through_wrk(*asked) if wrk.is_installed() else uvloop.run(run(*asked))
    print(orjson.dumps(result).decode())
