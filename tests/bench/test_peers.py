"""The Go gateway judges as ours does and writes the same records: else a ratio between the two would say nothing."""

from __future__ import annotations

import asyncio
import io
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bench.peers.build import SOURCES, VARIANTS, command
from bench.processes import running
from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import BrokerSettings
from schemas.currencies import CURRENCIES
from schemas.topics import REJECTED, events_spec, events_topic, rejected_spec
from tests.bench.bodies import batches, events
from tests.broker.backend import quiet_log
from tests.gateway.conftest import BATCH, PARTITIONS, TRACK, storefront
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from broker.interface import Broker
    from tests.gateway.conftest import Gateway
    from tests.kafka.fixtures import RunningKafka

VIEW = b'{"event_type":"view_cart"}'
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024
PIECE_BYTES = 10_000
PARSERS_OWN_WORDS = re.compile(r"(body is not valid JSON|event cannot be read): .*", re.DOTALL)
REQUEST_ID = re.compile(rb"[0-9a-f]{32}(?=-\d+$)")


class Answered(NamedTuple):
    """What a sender sees, but for the words that are the JSON parser's own."""

    status: int
    content_type: str
    body: Any


class Kept(NamedTuple):
    """A record, but for what no two have in common: the request's id and the time, and the partition when there is no key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def place(self) -> tuple[object, ...]:
        """Return what a list of records is sorted by: those of one key stay in their order, those without have none."""
        return (self.topic, self.key) if self.key else (self.topic, b"", self.value, self.headers)


class Both:
    """Our gateway and a Go gateway, serving the same storefront."""

    def __init__(self, ours: Gateway, url: str, broker: Broker, name: str) -> None:
        self._ours = ours
        self._urls = (ours.url, url)
        self._broker = broker
        self._name = name
        self._requests: set[bytes] = set()
        self.key = f"tolk_pub_{name}"

    async def answers(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, in_pieces: bool = False
    ) -> tuple[Answered, Answered]:
        """Send the same to both: our answer, and Go's. In pieces: without a length."""
        sent = JSON | {"X-API-Key": self.key} if headers is None else headers
        mine, theirs = await asyncio.gather(*(self._answer(url + path, body, sent, in_pieces) for url in self._urls))
        return mine, theirs

    async def _answer(self, url: str, body: bytes, headers: Mapping[str, str], in_pieces: bool) -> Answered:  # noqa: FBT001 - named where it is said
        data = pieces(body) if in_pieces else io.BytesIO(body)
        async with self._ours.session.post(url, data=data, headers=headers) as response:
            self._requests.add(response.headers["X-Request-Id"].encode())
            return Answered(response.status, response.content_type, in_our_words(await response.json()))

    async def kept(self) -> tuple[list[Kept], list[Kept]]:
        """What ours published until now, and what Go did; each in the order of its key."""
        topic = events_topic(self._name)
        mine = [
            (each.topic, each.partition, each.key, each.value, each.headers) for each in self._ours.publisher.published
        ]
        read = [record async for record in self._broker.read(topic)]
        read += [record async for record in self._broker.read(REJECTED) if record.key == self._name.encode()]
        theirs = [(each.topic, each.partition, each.key, each.value, dict(each.headers)) for each in read]
        return self._comparable(mine), self._comparable(theirs)

    def _comparable(
        self, records: Iterable[tuple[str, int, bytes | None, bytes | None, dict[str, bytes]]]
    ) -> list[Kept]:
        found = []
        for topic, partition, key, value, headers in records:
            request = headers.pop("client_request", None) or REQUEST_ID.match(headers["ce_id"])
            if request is not None:
                assert (request if isinstance(request, bytes) else request[0]) in self._requests
            assert ("ce_time" in headers) is (topic != REJECTED)
            headers.pop("ce_time", None)
            told = [(name, comparable_header(name, text)) for name, text in headers.items()]
            found.append(Kept(topic, partition if key and topic != REJECTED else None, key, value, told))
        return sorted(found, key=Kept.place)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body by and by."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


def comparable_header(name: str, text: bytes) -> bytes:
    """Return a header's value without what differs from one gateway to another."""
    if name == "reason":
        return PARSERS_OWN_WORDS.sub(r"\1", text.decode()).encode()
    return REQUEST_ID.sub(b"", text) if name == "ce_id" else text


def in_our_words(answer: Any) -> Any:
    """Return an answer without the words of a JSON parser."""
    if isinstance(answer, str):
        return PARSERS_OWN_WORDS.sub(r"\1", answer)
    if isinstance(answer, list):
        return [in_our_words(each) for each in answer]
    if isinstance(answer, dict):
        return {name: in_our_words(value) for name, value in answer.items()}
    return answer


@pytest.fixture(params=VARIANTS)
async def both(
    request: pytest.FixtureRequest,
    go_gateways: Mapping[str, Path],
    kafka: RunningKafka,
    start: Callable[..., Awaitable[Gateway]],
    tmp_path: Path,
) -> AsyncIterator[Both]:
    """Ours and Go's, by each of Go's JSON libraries."""
    name = f"peer-{uuid.uuid4().hex[:8]}"
    settings = BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=1)
    [port] = free_ports(1)
    started = command(
        go_gateways[request.param],
        port=port,
        bootstrap_servers=kafka.bootstrap_servers,
        storefront=name,
        key=f"tolk_pub_{name}",
    )
    async with open_broker(settings, Metrics(), quiet_log(), SystemClock()) as broker:
        await broker.ensure_topics([events_spec(name, PARTITIONS), rejected_spec(PARTITIONS)])
        with running(started, tmp_path / "go.log", ready=port):
            yield Both(await start(storefront(name)), f"http://127.0.0.1:{port}", broker, name)


async def test_each_body_is_judged_and_kept_alike(both: Both) -> None:
    different = []
    for path, bodies in ((TRACK, events()), (BATCH, batches())):
        for body in bodies:
            mine, theirs = await both.answers(path, body)
            if mine != theirs:
                different.append(f"{path} {body[:200]!r}\n  ours {mine}\n  Go's {theirs}")
    assert not different, "\n".join(different)
    our_records, their_records = await both.kept()
    assert len(our_records) > 500
    assert their_records == our_records


async def test_keys_are_known_alike(both: Both) -> None:
    in_body = VIEW[:-1] + b',"note": 1.10 ,"apiKey":"%b"}' % both.key.encode()
    heads = [
        JSON,
        JSON | {"X-API-Key": ""},
        JSON | {"X-API-Key": "wrong"},
        JSON | {"Authorization": f"bearer  {both.key}"},
        JSON | {"Authorization": f"Basic {both.key}"},
        JSON | {"X-API-Key": both.key, "Authorization": "Bearer wrong"},
        {"X-API-Key": both.key, "Content-Type": "text/plain;charset=UTF-8"},
        {"X-API-Key": both.key, "Content-Type": "text/html"},
    ]
    bodies = [
        VIEW,
        in_body,
        in_body.replace(b"view", b"look"),
        VIEW[:-1] + b',"apiKey":null}',
        VIEW[:-1] + b',"apiKey":[]}',
    ]
    for headers in heads:
        for path in (TRACK, BATCH, "/v1/api/analytics/ecommerce/elsewhere"):
            for body in bodies:
                sent = body if path == TRACK else b'{"events":[%b],"apiKey":"%b"}' % (VIEW, both.key.encode())
                mine, theirs = await both.answers(path, sent, headers)
                assert mine == theirs, (path, sent, headers)
    our_records, their_records = await both.kept()
    assert their_records == our_records


async def test_a_body_whose_length_is_not_said_is_taken_alike(both: Both) -> None:
    for body in (VIEW, VIEW[:-1], b" " * MIB + VIEW):
        mine, theirs = await both.answers(TRACK, body, in_pieces=True)
        assert mine == theirs


def test_the_currencies_are_ours() -> None:
    assert frozenset((SOURCES / "currencies.txt").read_text().split()) == CURRENCIES
