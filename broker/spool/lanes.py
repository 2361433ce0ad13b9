"""How a spool names its lanes: by topic and partition count, so that a topic which grew begins anew and what it had before drains."""

from __future__ import annotations

from typing import Final

from schemas.topics import MIB, TopicSpec

GROUP: Final = "spool"
_MAX_MESSAGE_BYTES: Final = 4 * MIB


def lane_spec(topic: str, partitions: int) -> TopicSpec:
    """Return the spool's own topic for a topic of so many partitions: what is drained goes within seconds."""
    return TopicSpec(f"{topic}/{partitions}", partitions, "delete", 0, _MAX_MESSAGE_BYTES, held_by=GROUP)


def place_of(name: str) -> tuple[str, int]:
    """Return of which topic, of how many partitions, one of the spool's own topics is."""
    topic, _, count = name.rpartition("/")
    return topic, int(count)
