"""The records of the dead-letter topic as they are read again: letters, and what settles them (RECORDS §1)."""

from __future__ import annotations

import re
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from consumers.letters.dead_letters import ADDED
from schemas import cloudevents
from schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from broker.interface import Message, Record

SETTLES: Final = "settles"
OUTCOME: Final = "outcome"
REPLAYED_FROM: Final = "replayed_from"
"""The header of a replayed event: which dead letter it was."""

_PLACE: Final = re.compile(rf"(?:{re.escape(DEAD_LETTERS)}/)?([0-9]{{1,9}})/([0-9]{{1,18}})")


class Settled(StrEnum):
    """What became of a dead letter: the header `outcome` of the record that settles it."""

    REPLAYED = auto()
    DISCARDED = auto()
    USER_DELETED = auto()


class Place(NamedTuple):
    """Where a record of the dead-letter topic stands."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return it as a person writes it."""
        return f"{self.partition}/{self.offset}"

    @property
    def full(self) -> str:
        """The place with its topic, as `settles` has it."""
        return f"{DEAD_LETTERS}/{self}"

    @staticmethod
    def read(text: str) -> Place | None:
        """Return the place that `text` names, with the topic or without; None when it names none."""
        match = _PLACE.fullmatch(text)
        return None if match is None else Place(int(match[1]), int(match[2]))


class Origin(NamedTuple):
    """Where an event stood before it was dead-lettered. A forwarder that was killed may have dead-lettered one twice."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return it as places are written."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Letter(NamedTuple):
    """A dead letter. `error`: the API's words. `kind`: the event's type, like `purchase`. `attempts`: in how many requests it was sent."""

    record: Record
    place: Place
    origin: Origin
    storefront: str
    reason: str
    error: str
    kind: str
    attempts: int

    @property
    def is_deletion(self) -> bool:
        """Whether it is no event, but the wish that a user is forgotten."""
        return cloudevents.DELETION_TYPE_HEADER in self.record.headers

    def event(self) -> Message:
        """Return the event as it was accepted, to be published again."""
        headers = [header for header in self.record.headers if header[0] not in ADDED and header[0] != REPLAYED_FROM]
        headers.append((REPLAYED_FROM, self.place.full.encode()))
        return self.record.key, self.record.value, headers


class Settlement(NamedTuple):
    """That a dead letter needs nobody any more. `at`: when that was written, in Unix milliseconds."""

    settles: Place
    outcome: str
    at: int


def read_letter(record: Record) -> Letter | Settlement | None:
    """Return what a record of the dead-letter topic is; None when nobody can say: Sluice did not write it."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    if SETTLES in headers:
        place = Place.read(headers[SETTLES])
        return None if place is None else Settlement(place, headers.get(OUTCOME, ""), record.timestamp)
    try:
        origin = Origin(headers["original_topic"], int(headers["original_partition"]), int(headers["original_offset"]))
        return Letter(
            record,
            Place(record.partition, record.offset),
            origin,
            headers["storefront"],
            headers["reason"],
            headers["error"],
            headers.get(cloudevents.TYPE, "").removeprefix(cloudevents.TYPE_PREFIX),
            int(headers["attempts"]),
        )
    except (KeyError, ValueError):
        return None


def settlement(key: bytes | None, place: Place, outcome: Settled) -> Message:
    """Return the record that settles the dead letter with this key at `place`; it belongs into the same partition."""
    return key, b"", [(SETTLES, place.full.encode()), (OUTCOME, outcome.encode())]
