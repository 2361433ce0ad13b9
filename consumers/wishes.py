"""What is wanted of the forwarding of each storefront, as it stands on the topic `commands` and as it changes."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

from broker.interface import BrokerError
from consumers.steering import decoded
from runtime.errors import OperatorError, one_line
from schemas.commands import commanded_storefront
from schemas.topics import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker, Record
    from runtime.clock import Clock
    from schemas.commands import StorefrontCommand

RETRY_SECONDS: Final = 1.0


class Wishes:
    """Hears of the command for each storefront as it stands, then of each that comes, once, in the order in which they were written.

    Life: `read`, so that nothing is sent that nobody wants → `follow`, until cancelled. `heard` is called for each.
    """

    def __init__(
        self,
        broker: Broker,
        heard: Callable[[str, StorefrontCommand], None],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._broker = broker
        self._heard = heard
        self._clock = clock
        self._log = log
        self._taken: dict[int, int] = {}

    async def read(self) -> None:
        """Hear of what stands there now, of each storefront the last. Waits for all of it. Raises Unavailable, UnknownTopic."""
        # Not of what was before: a storefront that was resumed long ago is not paused for a moment at every start.
        last: dict[str, StorefrontCommand] = {}
        async for record in self._broker.read(COMMANDS):
            self._take(record, last.__setitem__)
        for storefront, command in last.items():
            self._heard(storefront, command)

    async def follow(self) -> None:
        """Hear of what comes, for ever; a log that is away is asked again every second."""
        fault: str | None = None
        while True:
            # From the beginning, because nobody knows where reading ended; what was heard is passed over.
            records = cast("AsyncGenerator[Record]", self._broker.read(COMMANDS, follow=True))
            try:
                async with aclosing(records):
                    async for record in records:
                        self._take(record, self._heard)
                        fault = None
            except BrokerError as error:
                if str(error) != fault:
                    self._log.warning("commands cannot be read", error=one_line(error))
                fault = str(error)
                await self._clock.sleep(RETRY_SECONDS)

    def _take(self, record: Record, heard: Callable[[str, StorefrontCommand], None]) -> None:
        if record.offset <= self._taken.get(record.partition, -1):
            return
        self._taken[record.partition] = record.offset
        storefront = commanded_storefront(record.key)
        if storefront is None:
            return
        try:
            command = decoded(storefront, record.value)
        except OperatorError as error:
            # What was wanted before stays: to go on, or to rest, on the strength of what nobody can read would be a guess.
            self._log.error("a command cannot be read", storefront=storefront, error=one_line(error))
            return
        heard(storefront, command)
