"""What is let in when there is not room for all: requests, bytes, a storefront's rate, and when the others may come again."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.interface import Full, NotAcknowledged, SpoolFull
from gateway.backlog import LONGEST_SECONDS, Backlog, seconds
from gateway.errors import Refusal
from gateway.limits import RECORD_BYTES, InFlight, Stay, TokenBucket
from runtime.clock import ManualClock
from runtime.metrics import Metrics
from tests.gateway.conftest import BATCH, TRACK, storefront
from tests.gateway.wire import HEAD, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Answer, Gateway

VIEW = b'{"event_type":"view_cart"}'
NAMES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def in_flight(max_bytes: int = 1000, max_requests: int = 100) -> InFlight:
    return InFlight(max_bytes, max_requests, Metrics(), ManualClock())


def fill(room: InFlight, name: str, size: int) -> list[Stay]:
    """Let a storefront have as many requests of `size` bytes as it may."""
    stays: list[Stay] = []
    while True:
        try:
            stay = room.enter(name)
        except Refusal:
            return stays
        try:
            stay.weigh(size)
        except Refusal:
            stay.leave()
            return stays
        stays.append(stay)


def test_a_flood_of_bytes_leaves_the_others_their_share() -> None:
    room = in_flight()
    flood = fill(room, "flood", 10)
    assert 700 < 10 * len(flood) <= 750
    assert 10 * len(fill(room, "other", 10)) > 100
    assert fill(room, "third", 10)
    with pytest.raises(Refusal) as refused:
        flood[0].weigh(20)
    assert (refused.value.code, refused.value.status) == ("OVERLOADED", 503)
    for stay in flood:
        stay.leave()
    assert 10 * len(fill(room, "flood", 10)) > 500


def test_a_flood_of_requests_leaves_the_others_their_share() -> None:
    room = in_flight()
    assert len(fill(room, "flood", 0)) == 75
    assert len(fill(room, "other", 0)) > 10
    assert len(fill(room, "third", 0)) > 1


def test_while_there_is_plenty_no_share_binds() -> None:
    room = in_flight()
    stay = room.enter("only")
    stay.weigh(700)
    assert room.free_bytes == 300
    stay.leave()
    assert room.free_bytes == 1000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400), st.integers(0, 400)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_whole_is_never_exceeded_and_all_of_it_comes_back(steps: list[tuple[str, int, int]]) -> None:
    room = in_flight(max_requests=20)
    stays: list[Stay] = []
    for name, first, second in steps:
        try:
            stay = room.enter("" if first % 2 else name)
        except Refusal:
            if stays:
                stays.pop(0).leave()
            continue
        stays.append(stay)
        for size in (first, second):
            try:
                stay.weigh(size)
            except Refusal:
                break
            stay.belongs_to(name)
        assert 0 <= room.free_bytes <= 1000
        assert 0 <= room.free_requests <= 20
    for stay in stays:
        stay.leave()
    assert (room.free_bytes, room.free_requests) == (1000, 20)
    assert all(room.share(name).bytes == room.share(name).requests == 0 for name in ("", *"abc"))


async def test_retry_after_follows_the_pace_at_which_it_drains() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    backlog.gone = 10**9  # what went before tells nothing of how fast it goes under load
    assert backlog.wait(64_000) == 1
    wait = 0.0
    for _ in range(8):
        await clock.advance(0.5)
        backlog.gone += 4_000
        wait = backlog.wait(64_000)
    assert wait == pytest.approx(8)
    for _ in range(20):
        await clock.advance(0.5)
        backlog.gone += 16_000
        wait = backlog.wait(64_000)
    assert wait == pytest.approx(2)
    assert backlog.wait(10) == 1


async def test_retry_after_grows_while_nothing_goes_and_has_an_end() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    waits = [backlog.wait(1000)]
    for _ in range(40):
        await clock.advance(1)
        waits.append(backlog.wait(1000))
    assert waits == sorted(waits)
    assert waits[0] == 1
    assert waits[10] == pytest.approx(10)
    assert waits[-1] == LONGEST_SECONDS
    backlog.gone += 1000
    await clock.advance(3)
    assert backlog.wait(1000) == LONGEST_SECONDS  # so it went until now
    wait = 0.0
    for _ in range(3):
        await clock.advance(3)
        backlog.gone += 6000
        wait = backlog.wait(1000)
    assert wait == 1
    await clock.advance(60)
    assert backlog.wait(10**9) == 1  # long after, nothing is known again


def test_retry_after_is_at_least_a_second_and_spread() -> None:
    assert {seconds(0) for _ in range(100)} == {1}
    spread = {seconds(20) for _ in range(300)}
    assert min(spread) >= 20
    assert max(spread) <= 31
    assert len(spread) > 5


async def test_a_limit_shows_in_every_answer_where_there_is_one(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(storefront("acme", events_per_second=200), storefront("free"))
    clock = gateway.process.clock
    assert isinstance(clock, ManualClock)

    async def post(path: str, body: Any, **headers: str) -> tuple[Answer, list[int]]:
        answer = await gateway.post(path, body, headers=headers)
        return answer, [int(answer.headers[name]) for name in NAMES]

    assert (await post(TRACK, VIEW))[1] == [200, 199, 1]
    assert (await post(TRACK, b"{}"))[1] == [200, 198, 1]
    many = {"events": [{"event_type": "view_cart"}] * 100}
    answer, standing = await post(BATCH, many, Origin="https://shop.example")
    assert standing == [200, 98, 1]
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert all(name in exposed for name in (*NAMES, "Retry-After"))
    answer, standing = await post(BATCH, many, Origin="https://shop.example")
    assert (answer.status, answer.body["code"], standing) == (429, "RATE_LIMITED", [200, 98, 1])
    assert int(answer.headers["Retry-After"]) >= 1
    await clock.advance(1)
    assert (await post(BATCH, many))[1] == [200, 100, 1]
    unlimited = await gateway.post(TRACK, VIEW, key="tolk_pub_free")
    assert unlimited.status == 200
    assert not any(name in unlimited.headers for name in NAMES)


async def test_a_bucket_says_when_it_is_full_again() -> None:
    clock = ManualClock()
    bucket = TokenBucket(10, clock, burst=100)
    assert bucket.standing() == (100, 100, 0)
    bucket.take(95)
    assert bucket.standing() == (100, 5, 10)
    with pytest.raises(Refusal) as refused:
        bucket.take(55)
    assert refused.value.retry_after is not None
    assert 5 <= refused.value.retry_after <= 9
    await clock.advance(4)
    assert bucket.standing() == (100, 45, 6)


async def test_one_storefronts_flood_leaves_another_its_way(
    start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.assembly.MAX_IN_FLIGHT_REQUESTS", 8)
    gateway = await start(storefront("acme"), storefront("other"))
    gateway.publisher.held = []
    flood = [asyncio.create_task(gateway.post(TRACK, VIEW)) for _ in range(20)]
    await gateway.publisher.hold(6)
    done, waiting = await asyncio.wait(flood, return_when=asyncio.ALL_COMPLETED, timeout=0.3)
    assert (len(done), len(waiting)) == (14, 6)
    assert {task.result().body["code"] for task in done} == {"OVERLOADED"}
    assert all(int(task.result().headers["Retry-After"]) >= 1 for task in done)
    other = asyncio.create_task(gateway.post(TRACK, VIEW, key="tolk_pub_other"))
    by_beacon = b'{"event_type":"view_cart","apiKey":"tolk_pub_other"}'
    beacon = asyncio.create_task(gateway.post(TRACK, by_beacon, key=None))
    for future in await gateway.publisher.hold(8):
        future.set_result(None)
    assert {(await task).status for task in (*waiting, other, beacon)} == {200}
    gateway.publisher.held = None
    assert (await gateway.post(TRACK, VIEW)).status == 200


async def test_small_events_weigh_as_much_as_their_records(
    start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.assembly.MAX_IN_FLIGHT_BYTES", 100 * RECORD_BYTES)
    gateway = await start()
    assert (await gateway.post(BATCH, {"events": [{"event_type": "view_cart"}] * 90})).status == 200
    answer = await gateway.post(BATCH, {"events": [{"event_type": "view_cart"}] * 100})
    assert (answer.status, answer.body["code"]) == (503, "OVERLOADED")
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0
    labels = {"storefront": "acme", "event_type": "view_cart", "result": "unavailable"}
    assert gateway.metric("sluice_gateway_events_total", **labels) == 100


async def test_what_waits_to_be_sent_takes_no_room_and_what_came_does(gateway: Gateway) -> None:
    async with wire(gateway) as sender:
        await sender.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 5000)
        async with asyncio.timeout(5):
            while not gateway.metric("sluice_gateway_in_flight_bytes"):  # noqa: ASYNC110 - a gauge wakes nobody
                await asyncio.sleep(0.01)
        assert gateway.metric("sluice_gateway_in_flight_bytes") == 5000
    async with asyncio.timeout(5):
        while gateway.metric("sluice_gateway_in_flight_bytes"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    body = gzip.compress(VIEW)
    assert (await gateway.post(TRACK, body, headers={"Content-Encoding": "gzip"})).status == 200
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


@pytest.mark.parametrize(
    ("error", "code", "least"),
    [
        (Full("much waits"), "OVERLOADED", 1),
        (NotAcknowledged("late"), "NOT_DURABLE", 1),
        (SpoolFull("full"), "SPOOL_FULL", 10),
    ],
    ids=["full", "late", "spool"],
)
async def test_what_cannot_be_stored_says_when_to_come_again(
    gateway: Gateway, error: Exception, code: str, least: int
) -> None:
    gateway.publisher.fails = error  # type: ignore[assignment] # all three are a BrokerError
    clock = gateway.process.clock
    assert isinstance(clock, ManualClock)
    waits = []
    for _ in range(6):
        answer = await gateway.post(TRACK, VIEW)
        assert (answer.status, answer.body["code"]) == (503, code)
        waits.append(int(answer.headers["Retry-After"]))
        await clock.advance(5)
    assert all(wait >= least for wait in waits)
    assert waits[-1] >= max(least, 20)  # nothing was acknowledged for 25 s
