"""An oracle for publishing: callers that never stop, what each of them was told, and whether the log agrees."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.interface import NotAcknowledged, Unavailable
from tests.broker.log_contents import message
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Publisher, Record


@dataclass
class Callers:
    """So many callers for each partition of a topic; each publishes one record after the other, the next when it was
    answered.
    """

    publisher: Publisher
    topic: str
    partitions: int
    each: int = 5
    acknowledged: dict[int, list[bytes]] = field(default_factory=dict)
    unavailable: set[bytes] = field(default_factory=set)
    in_doubt: set[bytes] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    def start(self) -> Callers:
        for partition in range(self.partitions):
            self.acknowledged[partition] = []
            self._tasks += [asyncio.create_task(self._call(partition, n)) for n in range(self.each)]
        return self

    def count(self) -> int:
        """How many records were acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    async def until_more(self, count: int) -> None:
        """Wait until so many more are acknowledged, in every partition."""
        wanted = {partition: len(values) + count for partition, values in self.acknowledged.items()}
        await eventually(
            lambda: all(len(values) >= wanted[partition] for partition, values in self.acknowledged.items()),
            f"{count} more acknowledgements in every partition",
        )

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    def check(self, log: Sequence[Record]) -> None:
        """Assert that the log has what was acknowledged, in each caller's order at first arrival, and nothing that it surely
        has not.
        """
        values = [record.value for record in log if record.value is not None]
        assert not self.unavailable & set(values)
        for partition, acknowledged in self.acknowledged.items():
            arrivals = list(dict.fromkeys(record.value or b"" for record in log if record.partition == partition))
            assert set(acknowledged) <= set(arrivals)
            for caller in range(self.each):
                mine = [int(value.split(b".")[1]) for value in arrivals if value.startswith(b"%d:" % caller)]
                assert mine == sorted(mine)

    async def _call(self, partition: int, caller: int) -> None:
        number = 0
        while not self._stopping:
            value = b"%d:%d.%d" % (caller, partition, number)
            number += 1
            try:
                await self.publisher.publish(self.topic, partition, [message(value)])
            except NotAcknowledged:
                self.in_doubt.add(value)
            except Unavailable:
                self.unavailable.add(value)
                await asyncio.sleep(0.01)
            else:
                self.acknowledged[partition].append(value)
