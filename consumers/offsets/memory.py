"""What a forwarder leaves beside a committed offset for whoever has the partition next: its tally, what is finished above it,
which transactions above it may have been taken, and how many dead letters its storefront had of late.

It is the tally's JSON with more fields. Whoever knows only the tally (`sluice audit`, an older forwarder) reads on as ever.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from consumers.offsets.runs import Runs, pack, unpack
from consumers.offsets.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Commit, LogRange

METADATA_BYTES: Final = 4_000
"""What a broker takes beside an offset."""

MOST_OFFSETS: Final = 1_000_000
"""No forwarder is further ahead of its commit: what tells of more is damaged, and must not fill the memory."""

SENT: Final = 1
"""A record that was sent together with a transaction which may have been taken."""
TRANSACTION: Final = 2
"""A purchase or refund that may have been taken."""

_AT: Final = len(',"at":9223372036854775807')
_ABOVE: Final = len(',"above":')
_BURIED: Final = len(',"buried":')
_DOUBTS: Final = len(',"doubts":[]')
_DOUBT: Final = len("[1700000000000,],")
_DOUBTS_SHARE: Final = 0.4
"""Of the room, what doubts may take at most."""

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Buried(NamedTuple):
    """What a storefront's limit of dead letters had counted `at` a moment, in milliseconds since the epoch: `letters` among the last
    `events`, `run` of them in a row at the end, since the resuming with the nonce `resume`.
    """

    at: _Count
    events: _Count
    letters: _Count
    run: _Count
    resume: str


class Remembered(NamedTuple):
    """What is known of the offsets from a commit on. `finished`: the tracker's marks. `doubts`: by the moment at which they were sent
    (milliseconds since the epoch), what was sent without an answer since: SENT, TRANSACTION, or 0. `buried`: None while nothing was.
    """

    finished: bytes = b""
    doubts: Mapping[int, bytes] = MappingProxyType({})
    buried: Buried | None = None


class Memory(Tally, frozen=True):
    """A tally, and what is known besides.

    `at`: the offset that all of it was written beside. Somebody who moves an offset by hand, or copies groups from one
    cluster to another, may keep what stood beside it: at any other place it means nothing.
    `above`: what became of the offsets from `at` on, as the tracker's marks. `doubts` and `buried`: see `Remembered`.
    """

    at: _Count | msgspec.UnsetType = msgspec.UNSET
    buried: Buried | msgspec.UnsetType = msgspec.UNSET
    doubts: list[tuple[_Count, Runs]] | msgspec.UnsetType = msgspec.UNSET
    above: Runs | msgspec.UnsetType = msgspec.UNSET


def beside(offset: int, tally: Tally, remembered: Remembered, room: int = METADATA_BYTES) -> str:
    """Return what to write beside a commit of `offset`: the tally and, as far as `room` bytes take it, what is `remembered`.

    What is buried comes first, then the oldest doubts, then what is finished; of these, what is nearest to `offset`.
    """
    said = tally.encode()
    room -= len(said) + _AT
    buried = remembered.buried
    if buried is not None:
        needed = len(msgspec.json.encode(buried)) + _BURIED
        buried = buried if needed <= room else None
        room -= needed if buried else 0
    doubts = _packed(remembered.doubts, int(room * _DOUBTS_SHARE) - _DOUBTS) if remembered.doubts else []
    if doubts:
        room -= len(msgspec.json.encode(doubts)) + _DOUBTS
    above = pack(remembered.finished, room - _ABOVE)
    if above is None and not doubts and buried is None:
        return said
    memory = Memory(
        tally.base,
        tally.delivered,
        tally.dead_lettered,
        offset,
        buried or msgspec.UNSET,
        doubts or msgspec.UNSET,
        above or msgspec.UNSET,
    )
    return msgspec.json.encode(memory).decode()


def remembered(commit: Commit, log: LogRange) -> Remembered:
    """Return what stands beside a commit.

    Nothing is told of offsets that the log does not hold. Nothing at all when it was written beside another offset, or when the
    metadata is no tally. Raises ValueError when it cannot be read: then all above the commit is to be sent again.
    """
    try:
        Tally.decode(commit.metadata)
    except ValueError:
        return Remembered()
    try:
        memory = msgspec.json.decode(commit.metadata, type=Memory)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"what stands beside the offset cannot be read: {error}") from error
    if memory.at != commit.offset:
        return Remembered()
    most = max(0, min(MOST_OFFSETS, log.end - commit.offset))
    finished = b"" if isinstance(memory.above, msgspec.UnsetType) else unpack(memory.above, most)
    doubts = [] if isinstance(memory.doubts, msgspec.UnsetType) else memory.doubts
    buried = None if isinstance(memory.buried, msgspec.UnsetType) else memory.buried
    return Remembered(finished, {since: marks for since, runs in doubts if (marks := unpack(runs, most))}, buried)


def _packed(doubts: Mapping[int, bytes], room: int) -> list[tuple[int, Runs]]:
    packed: list[tuple[int, Runs]] = []
    for since in sorted(doubts):
        runs = pack(doubts[since], room - _DOUBT)
        if runs is None:
            break
        packed.append((since, runs))
        room -= len(msgspec.json.encode(runs)) + _DOUBT
    return packed
