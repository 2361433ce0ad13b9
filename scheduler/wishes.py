"""What the command line wants of exports, as it stands on the topic `commands`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from broker.interface import BrokerError
from runtime.errors import one_line
from schemas.commands import ExportCommand, commanded_export
from schemas.topics import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker, Record
    from runtime.clock import Clock

RETRY_SECONDS = 2.0


class Wishes:
    """The latest command for each export. Life: made → `follow` until cancelled, which calls `heard` for each that comes."""

    def __init__(self, broker: Broker, clock: Clock, log: FilteringBoundLogger) -> None:
        self._broker = broker
        self._clock = clock
        self._log = log
        self._commands: dict[str, ExportCommand] = {}

    def of(self, export: str) -> ExportCommand | None:
        """Return what is wanted of `export`; None when nobody ever said."""
        return self._commands.get(export)

    async def follow(self, heard: Callable[[str, ExportCommand], Awaitable[None]]) -> None:
        """Read commands from the beginning and for ever; a log that is away is asked again."""
        while True:
            try:
                async with aclosing(self._records()) as records:
                    async for record in records:
                        await self._take(record, heard)
            except BrokerError as error:
                self._log.warning("commands cannot be read", reason=one_line(error))
                await self._clock.sleep(RETRY_SECONDS)

    async def _records(self) -> AsyncGenerator[Record]:
        async for record in self._broker.read(COMMANDS, follow=True):
            yield record

    async def _take(self, record: Record, heard: Callable[[str, ExportCommand], Awaitable[None]]) -> None:
        export = commanded_export(record.key)
        if export is None:
            return
        try:
            command = ExportCommand() if record.value is None else msgspec.json.decode(record.value, type=ExportCommand)
        except msgspec.MsgspecError as error:
            self._log.error("a command cannot be read", export=export, reason=one_line(error))
            return
        self._commands[export] = command
        await heard(export, command)
