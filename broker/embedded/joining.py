"""Joining a group: the parts of a subscription, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

from broker.embedded.membership import Membership
from broker.embedded.ownership import Ownership
from broker.embedded.prefetch import Prefetch
from broker.embedded.presence import Presence
from broker.embedded.subscription import EmbeddedSubscription
from broker.embedded.wake import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from broker.embedded.catalogue import Topic
    from broker.embedded.directory import LogFile
    from broker.embedded.parts import Parts
    from broker.interface import RebalanceListener


async def join_group(
    parts: Parts,
    group: str,
    topics: Sequence[str],
    listener: RebalanceListener,
    closed: Callable[[EmbeddedSubscription], None],
) -> EmbeddedSubscription:
    """Return a new member, which begins to join. With topics of both files it is a member of two groups of one name, one in each file.
    Raises UnknownTopic, Unavailable.
    """
    by_file: defaultdict[LogFile, list[Topic]] = defaultdict(list)
    for topic in await parts.catalogue.find(dict.fromkeys(topics)):
        by_file[topic.file].append(topic)
    fifo = await parts.wakeups.open()
    loop, stirred = asyncio.get_running_loop(), asyncio.Event()

    def stir() -> None:
        # The thread may outlive the loop by a moment.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stirred.set)

    presence = Presence(parts.timing, parts.clock)
    memberships = {
        file: Membership(parts, file, group, [topic.id for topic in its_topics], fifo, presence, stir)
        for file, its_topics in by_file.items()
    }
    names = {
        file: {
            partition: name
            for topic in its_topics
            for partition, name in zip(topic.ids, topic.partitions(), strict=True)
        }
        for file, its_topics in by_file.items()
    }
    prefetch = Prefetch(parts.readers, stirred.set)

    def woken(marks: Collection[int]) -> None:
        prefetch.woken(marks)
        if GROUPS in marks:
            for membership in memberships.values():
                membership.nudge()

    def left(subscription: EmbeddedSubscription) -> None:
        parts.wakeups.unlisten(woken)
        closed(subscription)

    ownership = Ownership(memberships, names, listener, prefetch, presence)
    subscription = EmbeddedSubscription(
        group=group,
        memberships=memberships,
        ownership=ownership,
        prefetch=prefetch,
        presence=presence,
        writers=parts.writers,
        stirred=stirred,
        log=parts.log,
        closed=left,
    )
    parts.wakeups.listen(woken)
    for membership in memberships.values():
        membership.start()
    return subscription
