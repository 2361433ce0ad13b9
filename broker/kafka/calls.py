"""One call of `publish`, and the batch that carries calls to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from broker.interface import NotAcknowledged, RecordTooLarge, Stranded, Unavailable
from broker.kafka.batch import open_batch

if TYPE_CHECKING:
    import asyncio
    from collections import deque
    from collections.abc import Sequence

    from broker.interface import BrokerError, Message

BATCH_BYTES = 512 * 1024
"""How much one batch gathers before compression. A single record may be larger: it then travels alone."""

HEADER_BYTES = 64 * 1024
"""The headers of a record are less than this: what a gateway says of a sender, what an API says of an event."""
RECORD_OVERHEAD = 512
"""What a record takes beside its value: six headers, and the objects that carry it."""

_bound = DefaultRecordBatchBuilder.estimate_size_in_bytes


def record_sizes(messages: Sequence[Message]) -> list[int]:
    """Return how large a batch of each of these records alone is at most, before compression."""
    # One loop and no call of our own in it: this is done for every record there is.
    return [_bound(key, value, headers if type(headers) is list else list(headers)) for key, value, headers in messages]


def weight(messages: Sequence[Message], limit: int) -> tuple[int, int]:
    """Return roughly how many bytes these records are together, and how large the largest is at most: 0 where that is surely below `limit`,
    for to look at every header costs as much as to write it down.
    """
    lengths = [len(message[1] or b"") for message in messages]
    longest = max(lengths, default=0)
    # A key is part of its event, and no longer.
    largest = 0 if 2 * longest + HEADER_BYTES < limit else max(record_sizes(messages), default=0)
    return sum(lengths) + RECORD_OVERHEAD * len(messages), largest


def record_bytes(message: Message) -> int:
    """Return `record_sizes` of one."""
    return record_sizes((message,))[0]


class Call:
    """Messages of one `publish`, in order; `future` is the caller's.

    The first `taken` messages went on board of a batch, `acknowledged` of them are durable; `handed` once any may have been
    written. `size` counts against what may wait. `begun` and `deadline` are on the monotonic clock. `checked`: no message
    is larger than the topic takes. A call is `waiting` in its lane until its last message is taken, and `flying` while a
    batch carries some of them.

    Its `count` messages are let go when all of them stand in one batch, and read back from there if that is not written: what
    waits for an acknowledgement is kept once, and many small objects are freed while the processor has them at hand. It makes
    a tenth of the time of an event in a batch.
    """

    __slots__ = (
        "_messages",
        "acknowledged",
        "begun",
        "checked",
        "count",
        "deadline",
        "flying",
        "future",
        "handed",
        "size",
        "taken",
        "waiting",
    )

    def __init__(
        self,
        messages: Sequence[Message],
        size: int,
        future: asyncio.Future[None],
        begun: float,
        deadline: float,
        *,
        checked: bool,
    ) -> None:
        self._messages: Sequence[Message] | None = messages
        self.count = len(messages)
        self.size = size
        self.future = future
        self.begun = begun
        self.deadline = deadline
        self.checked = checked
        self.taken = 0
        self.acknowledged = 0
        self.handed = False
        self.waiting = True
        self.flying = False

    @property
    def messages(self) -> Sequence[Message]:
        """What the caller handed over."""
        if self._messages is None:
            raise RuntimeError("the messages stand in a batch")
        return self._messages

    def unload(self) -> None:
        """Let go of the messages: all of them stand in one batch."""
        self._messages = None

    def reload(self, messages: Sequence[Message]) -> None:
        """Take the messages back, if they were let go."""
        if self._messages is None:
            self._messages = messages

    def fail(self, error: BrokerError) -> None:
        """Tell the caller, unless it was told before or gave up."""
        if not self.future.done():
            # One of its own for each caller: an error collects the traceback of whoever meets it.
            self.future.set_exception(type(error)(*error.args))

    def strand(self) -> Stranded:
        """Give the caller's future away, with the messages that are not acknowledged. To the lane the call is then answered."""
        future, self.future = self.future, self.future.get_loop().create_future()
        self.future.cancel()
        return Stranded(self.messages[self.acknowledged :], future)

    def expire(self, where: str, why: str | None) -> None:
        """Tell the caller that its time is up: in doubt, or surely not written."""
        seconds = f"{self.deadline - self.begun:g} s" + (f": {why}" if why else "")
        if self.handed:
            self.fail(NotAcknowledged(f"{where}: no acknowledgement within {seconds}"))
        else:
            self.fail(Unavailable(f"{where}: could not be handed to Kafka within {seconds}"))


class Part(NamedTuple):
    """The messages of a call, from `start` up to `stop`, that a batch carries."""

    call: Call
    start: int
    stop: int


class Flight:
    """A batch on its way since `since`. `begun`: when the oldest call in it was made; `deadline`: when that one's time is up."""

    __slots__ = ("_hold", "begun", "deadline", "outcome", "parts", "since")

    def __init__(self, parts: list[Part], hold: Hold, since: float) -> None:
        self.parts = parts
        self._hold = hold
        self.since = since
        self.begun = parts[0].call.begun
        self.deadline = parts[0].call.deadline
        self.outcome: asyncio.Future[Any] | None = None

    def board(self, call: Call) -> bool:
        """Take a call that comes late, while the batch waits for its connection; return whether all of it is on board."""
        if not call.checked:
            return False
        stop = self._hold.take(call)
        if stop:
            self.parts.append(Part(call, 0, stop))
            call.taken = stop
            call.handed = call.flying = True
        call.waiting = stop < call.count
        return not call.waiting

    def reload(self) -> None:
        """Give the calls their messages back."""
        self._hold.give_back(self.parts)

    def abandon(self, error: Exception) -> None:
        """Stop waiting for the acknowledgement."""
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_exception(error)


class Hold:
    """A batch being filled. It takes `BATCH_BYTES`, or less where `limit`, which is what the topic takes, is less; a single
    record may be larger. `timestamp`: milliseconds since the epoch.
    """

    def __init__(self, producer: Any, limit: int, timestamp: int) -> None:
        self.batch = open_batch(producer)
        self._timestamp = timestamp
        # The batch itself minds its size, but not the topic's limit where that is smaller.
        self._room = limit if limit < BATCH_BYTES else None

    def take(self, call: Call) -> int:
        """Take a call's messages, which it lets go if there is room for all; return the index of the first that found none."""
        stop = self.load(call.messages, 0)
        if stop == call.count:
            call.unload()
        return stop

    def give_back(self, parts: Sequence[Part]) -> None:
        """Give the calls that let go of their messages these back. `parts`: all that it holds, in their order."""
        messages = self.batch.messages()
        at = 0
        for call, start, stop in parts:
            call.reload(messages[at : at + stop - start])
            at += stop - start

    def load(self, messages: Sequence[Message], start: int) -> int:
        """Take messages from `start` on; return the index of the first that found no room."""
        if self._room is None:
            return start + self.batch.fill(messages[start:] if start else messages, self._timestamp)
        return start + self._load_within(messages[start:], self._room)

    def _load_within(self, messages: Sequence[Message], room: int) -> int:
        taken = 0
        for message in messages:
            size = record_bytes(message)
            if (size > room and self.batch.record_count() > 0) or not self.batch.fill((message,), self._timestamp):
                break
            room -= size
            taken += 1
        self._room = room
        return taken


class Gathering:
    """A batch that is filled while its calls come: a message is still in the processor's caches then, and a third cheaper to write
    down than when its batch departs.

    It holds the calls that wait, from the first on, or it is of no use: `depart` tells. Whoever has no more use for it says `give_up`:
    the calls have let go of their messages.
    """

    def __init__(self, producer: Any, limit: int, timestamp: int) -> None:
        self.hold = Hold(producer, limit, timestamp)
        self._limit = limit
        self._parts: list[Part] = []
        self._full = False

    def add(self, call: Call) -> None:
        """Take a call's messages, as far as there is room: nothing more after the first that found none."""
        if self._full:
            return
        stop = self.hold.take(call) if call.checked else 0
        if stop:
            self._parts.append(Part(call, 0, stop))
        self._full = stop < call.count

    def depart(self, waiting: deque[Call], limit: int) -> list[Part]:
        """Return what the batch carries, its calls then being under way; nothing when the calls or the limit are no longer those it was
        filled with.
        """
        parts = self._parts
        if (
            limit != self._limit
            or not parts
            or not waiting
            or waiting[0] is not parts[0].call
            or any(call.future.done() or call.taken for call, _, _ in parts)
        ):
            self.give_up()
            return []
        for call, _, stop in parts:
            call.taken = stop
            call.handed = call.flying = True
        return parts

    def give_up(self) -> None:
        """Give the calls their messages back; it takes no more."""
        if self._parts:
            self.hold.give_back(self._parts)
        self._parts = []
        self._full = True


def board(waiting: deque[Call], hold: Hold, limit: int) -> list[Part]:
    """Fill `hold` from the calls that wait; return what it carries.

    A call with a record above `limit` fails with RecordTooLarge. Those calls, and the ones that were answered meanwhile,
    are left waiting with their future done.
    """
    parts: list[Part] = []
    for call in waiting:
        if call.future.done() or not (call.checked or _check(call, limit)):
            continue
        start = call.taken
        stop = hold.load(call.messages, start)
        if stop > start:
            parts.append(Part(call, start, stop))
            call.taken = stop
            call.handed = call.flying = True
        if stop < call.count:
            break
    return parts


def _check(call: Call, limit: int) -> bool:
    largest = max(map(record_bytes, call.messages), default=0)
    if largest > limit:
        call.fail(RecordTooLarge(f"a record of up to {largest} bytes; its topic takes {limit}"))
        return False
    call.checked = True
    return True
