"""The balance of G7: what was accepted is delivered, dead-lettered or waiting, and what is not is unaccounted for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from consumers.offsets.tally import Tally
from schemas.topics import FORWARDER_GROUP, events_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Broker, Commit, LogRange
    from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of the events that one storefront's gateways accepted, in records; all of it from durable state.

    accepted = delivered + dead_lettered + waiting, unless something is unaccounted for.
    """

    storefront: str
    accepted: int
    delivered: int
    dead_lettered: int
    waiting: int
    unaccounted: int

    @property
    def balanced(self) -> bool:
        """Whether nothing is unaccounted for."""
        return self.unaccounted == 0


async def balance(
    broker: Broker, settings: Settings, spooled: Mapping[str, int] = MappingProxyType({})
) -> list[Balance]:
    """Return the balance of every configured storefront, in the order of the configuration. Waits for the broker. `spooled`: records of
    topics that wait in a gateway's spool; look there first, for what drains meanwhile is then counted twice, and not missed.

    Raises UnknownTopic when a storefront's topic does not exist, Unavailable.
    """
    topics = [events_topic(each.name) for each in settings.storefronts]
    # The commits first: whatever is appended in between is then waiting, and no end lies before its commit.
    commits = await broker.committed(FORWARDER_GROUP, topics)
    ranges = await broker.log_ranges(topics)
    balances = []
    for each in settings.storefronts:
        topic = events_topic(each.name)
        parts = [
            of_partition(each.name, ranges[partition], commits.get(partition))
            for partition in ranges
            if partition.topic == topic
        ]
        balances.append(_sum(each.name, parts, spooled.get(topic, 0)))
    return balances


def of_partition(storefront: str, log: LogRange, commit: Commit | None) -> Balance:
    """Return the balance of one partition.

    Without a commit everything waits that the log holds. Of what stands before a commit whose metadata is no tally
    (somebody else's) nobody can say what became: all of it is unaccounted for.

    What a commit says to be finished above it counts as waiting until the commit passes it: only so much finds room there, so
    what is said may also be less than before, and an older forwarder would send it again.
    """
    offset = log.start if commit is None else commit.offset
    tally = Tally(offset) if commit is None else tally_of(commit, log)
    uncounted = abs(tally.delivered + tally.dead_lettered - (offset - tally.base))
    # Expired before they were forwarded; or gone from the end, together with the log that was committed to.
    lost = max(0, log.start - offset) + max(0, offset - log.end)
    return Balance(
        storefront,
        accepted=log.end - tally.base,
        delivered=tally.delivered,
        dead_lettered=tally.dead_lettered,
        waiting=max(0, log.end - offset),
        unaccounted=uncounted + lost,
    )


def tally_of(commit: Commit, log: LogRange) -> Tally:
    """Return the tally of a commit; one that has none has counted nothing since the log's start."""
    try:
        return Tally.decode(commit.metadata)
    except ValueError:
        return Tally(min(log.start, commit.offset))


def _sum(storefront: str, parts: list[Balance], spooled: int) -> Balance:
    return Balance(
        storefront,
        accepted=sum(part.accepted for part in parts) + spooled,
        delivered=sum(part.delivered for part in parts),
        dead_lettered=sum(part.dead_lettered for part in parts),
        waiting=sum(part.waiting for part in parts) + spooled,
        unaccounted=sum(part.unaccounted for part in parts),
    )
