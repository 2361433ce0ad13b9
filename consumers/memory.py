"""What a forwarder leaves beside a committed offset for whoever has the partition next: its tally, and what is finished above it.

It is the tally's JSON with more fields. Whoever knows only the tally (`sluice audit`, an older forwarder) reads on as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from consumers.runs import Runs, pack, unpack
from consumers.tally import Tally

if TYPE_CHECKING:
    from broker.interface import Commit, LogRange

METADATA_BYTES: Final = 4_000
"""What a broker takes beside an offset."""

MOST_OFFSETS: Final = 1_000_000
"""No forwarder is further ahead of its commit: what tells of more is damaged, and must not fill the memory."""

_FIELD: Final = len(',"at":9223372036854775807,"above":')


class Memory(Tally, frozen=True):
    """A tally, and what is known besides.

    `at`: the offset that all of it was written beside. Somebody who moves an offset by hand, or copies groups from one
    cluster to another, may keep what stood beside it: at any other place it means nothing.
    `above`: what became of the offsets from `at` on, as the tracker's marks.
    """

    at: Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET
    above: Runs | msgspec.UnsetType = msgspec.UNSET


def beside(offset: int, tally: Tally, marks: bytes, room: int = METADATA_BYTES) -> str:
    """Return what to write beside a commit of `offset`: the tally and, of the `marks` from `offset` on, as many as `room` bytes take."""
    said = tally.encode()
    above = pack(marks, room - len(said) - _FIELD)
    if above is None:
        return said
    memory = Memory(tally.base, tally.delivered, tally.dead_lettered, at=offset, above=above)
    return msgspec.json.encode(memory).decode()


def finished_above(commit: Commit, log: LogRange) -> bytes:
    """Return the marks of the offsets from the commit on, up to the last that is finished.

    Nothing is taken for finished that the log does not hold. Empty when nothing is said of it, or not of this place, or when
    the metadata is no tally at all. Raises ValueError when what is said cannot be read: then all above the commit is to be sent again.
    """
    try:
        Tally.decode(commit.metadata)
    except ValueError:
        return b""
    try:
        memory = msgspec.json.decode(commit.metadata, type=Memory)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"what stands beside the offset cannot be read: {error}") from error
    if isinstance(memory.above, msgspec.UnsetType) or memory.at != commit.offset:
        return b""
    return unpack(memory.above, max(0, min(MOST_OFFSETS, log.end - commit.offset)))
