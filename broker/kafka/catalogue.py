"""What publishers must know of a topic before they hand anything over: whether it is there, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.kafka.admin import Admin


class TopicFacts(NamedTuple):
    """How many partitions a topic has and how large a batch, and so a record, it takes, in bytes."""

    partitions: int
    max_message_bytes: int


class Catalogue:
    """Facts about topics, asked for once and kept until they prove wrong."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._known: dict[str, TopicFacts] = {}

    def known(self, topic: str) -> TopicFacts | None:
        """Return what is known already. Does not wait."""
        return self._known.get(topic)

    def learn(self, topic: str, partitions: int, settings: Mapping[str, str]) -> TopicFacts:
        """Keep what was found out about a topic, whose Kafka settings these are."""
        facts = self._known[topic] = TopicFacts(partitions, int(settings["max.message.bytes"]))
        return facts

    def forget(self, topic: str) -> None:
        """Ask again next time: something was not as thought."""
        self._known.pop(topic, None)

    async def load(self, topic: str) -> TopicFacts:
        """Return what is known, asking where nothing is. Raises UnknownTopic, and Unavailable when the cluster cannot be asked."""
        known = self._known.get(topic)
        if known is None:
            partitions = (await self._admin.find([topic]))[topic]
            settings = (await self._admin.settings([topic]))[topic]
            known = self.learn(topic, len(partitions), settings)
        return known
