"""A storefront that is parked, with a large backlog: the others do not feel it, memory stays bounded, and it loses no place (G4, G6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from consumers.assignments import Assignments
from schemas.topics import events_topic
from tests.consumers.sink import OK, Got, Say, Sink, until
from tests.consumers.town import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.consumers.town import Builder, Forwarding

EVENTS = 8_000
KEYS = "abcdefgh"
SOON_SECONDS = 2.0
"""Far below the time in which anything of the parked one happens; on a quiet machine it takes a twentieth of it."""

pytestmark = pytest.mark.parametrize("builder", ["embedded"], indirect=True)

USED_UP = Say(403, {"error": "No", "code": "USAGE_EXCEEDED"})


def paused(forwarding: Forwarding, storefront: str, reason: str) -> bool:
    labels = {"storefront": storefront, "reason": reason}
    return forwarding.process.metrics.registry.get_sample_value("sluice_forwarder_paused", labels) == 1


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """How many records of a storefront are read and unfinished, in this process."""
    found: list[Assignments] = []

    class Remembered(Assignments):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr("consumers.service.Assignments", Remembered)

    def count(storefront: str) -> int:
        topic = events_topic(storefront)
        trackers = found[-1].trackers.items()
        return sum(tracker.span for partition, tracker in trackers if partition.topic == topic)

    return count


def stopwatch(sink: Sink) -> dict[str, float]:
    """When each event arrived first."""
    arrived: dict[str, float] = {}

    def answer(got: Got) -> Say:
        now = asyncio.get_running_loop().time()
        for name in got.names:
            arrived.setdefault(name, now)
        return OK

    sink.answer = answer
    return arrived


async def test_the_others_deliver_as_soon_as_ever_while_one_of_three_rests_on_a_large_backlog(
    builder: Builder, in_memory: Callable[[str], int]
) -> None:
    town = await builder.town(storefronts=3)
    parked, *others = town.names
    town.sinks[parked].answer = lambda _got: USED_UP
    backlog = [f"{key}{number}" for number in range(EVENTS // len(KEYS)) for key in KEYS]
    for start in range(0, EVENTS, 2_000):
        await town.accept(*backlog[start : start + 2_000], storefront=parked)
    arrived = {name: stopwatch(town.sinks[name]) for name in others}
    loop = asyncio.get_running_loop()
    async with town.forwarder() as forwarding:
        await until(lambda: paused(forwarding, parked, "quota"))
        accepted: dict[str, float] = {}
        for number in range(20):
            name = f"{KEYS[number % len(KEYS)]}{number}"
            accepted[name] = loop.time()
            await asyncio.gather(*(town.accept(name, storefront=other) for other in others))
            await asyncio.sleep(0.02)
        for other in others:
            await until(lambda other=other: len(arrived[other]) == len(accepted), seconds=SOON_SECONDS)  # type: ignore[misc]
            slowest = max(arrived[other][name] - accepted[name] for name in accepted)
            assert slowest < SOON_SECONDS
        assert 0 < in_memory(parked) < EVENTS // 2, "no more of it is read than its share of the memory holds"
        balances = await town.balances()
        assert (balances[parked].waiting, balances[parked].unaccounted) == (EVENTS, 0)
        assert forwarding.reasons() == {}, "a storefront that rests is no reason to call the process unready"

    # Nothing of it was lost by resting, nor by a restart meanwhile.
    town.sinks[parked].answer = lambda _got: OK
    before = len(town.sinks[parked].got)
    async with town.forwarder():

        async def balanced() -> bool:
            balance = (await town.balances())[parked]
            return balance.waiting == 0 and balance.balanced

        await eventually(balanced)
    names = [name for names in town.sinks[parked].names[before:] for name in names]
    for key in KEYS:
        first = list(dict.fromkeys(int(name[1:]) for name in names if name[0] == key))
        assert first == list(range(EVENTS // len(KEYS)))
