"""What is wanted of exports, read from the topic `commands` and changed there."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from broker.interface import Fenced, UnknownTopic
from runtime.errors import OperatorError
from schemas.commands import ExportCommand, command_key, commanded_export
from schemas.topics import COMMANDS, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Broker, Record
    from schemas.commands import Backfill
    from schemas.ledger import ExportState

_TURNS: Final = 20
_PAUSE: Final = 0.05
"""How many seconds longer one waits at most after each turn that another one took."""


class Steering:
    """Changes what is wanted of one export at a time, and of that only what is meant."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def present(self, export: str) -> ExportCommand:
        """Return what is wanted of an export now. Raises BrokerError, OperatorError."""
        key, value = command_key(export), None
        async for record in self._broker.read(COMMANDS, partition=await self._partition(key)):
            if record.key == key:
                value = record.value
        return _decoded(export, value)

    async def change(
        self, export: str, state: ExportState | None, change: Callable[[ExportCommand], ExportCommand]
    ) -> ExportCommand:
        """Write what `change` makes of the present command, without the backfills that are finished by `state`; return it.

        Nobody who does so at the same moment loses a wish: `change` is then called again, with what the other one wrote.
        Nothing is written where nothing changes. Waits until it is durable. Raises BrokerError, OperatorError.
        """
        for turn in range(1, _TURNS + 1):
            try:
                return await self._change(export, state, change)
            except Fenced:
                await asyncio.sleep(random.uniform(0, turn * _PAUSE))  # noqa: S311  # it keeps two apart, and guards nothing
        raise OperatorError(f"others change what is wanted of {export} all the time; try again")

    async def _change(
        self, export: str, state: ExportState | None, change: Callable[[ExportCommand], ExportCommand]
    ) -> ExportCommand:
        # Whoever starts after us fences us: between reading and writing there is nobody else.
        publisher = await self._broker.transactional(f"sluice-commands-{export}")
        try:
            present = await self.present(export)
            wanted = change(_without_finished(present, state))
            if wanted != present:
                key = command_key(export)
                async with publisher.transaction() as transaction:
                    message = (key, msgspec.json.encode(wanted), ())
                    await transaction.publish(COMMANDS, await self._partition(key), [message])
            return wanted
        finally:
            await publisher.close()

    async def _partition(self, key: bytes) -> int:
        return partition_of(key, await self._broker.partitions(COMMANDS))


def _without_finished(command: ExportCommand, state: ExportState | None) -> ExportCommand:
    """Return a command without the backfills that its export's owner took up and has done with."""
    return replace(command, backfills=[each for each in command.backfills if not _is_finished(each, state)])


def _is_finished(backfill: Backfill, state: ExportState | None) -> bool:
    """Say whether the ledger has taken a backfill up, and nothing of it is left."""
    if state is None or backfill.id not in state.backfills:
        return False
    return all(task.id != backfill.id for task in state.tasks)


async def read_wishes(broker: Broker) -> dict[str, ExportCommand]:
    """Return what is wanted of each export of which anybody ever said anything. Raises Unavailable, OperatorError."""
    found: dict[str, ExportCommand] = {}
    try:
        async for record in broker.read(COMMANDS):
            _take(record, found)
    except UnknownTopic:
        return found
    return found


def _take(record: Record, found: dict[str, ExportCommand]) -> None:
    export = commanded_export(record.key)
    if export is not None:
        found[export] = _decoded(export, record.value)


def _decoded(export: str, value: bytes | None) -> ExportCommand:
    try:
        return ExportCommand() if value is None else msgspec.json.decode(value, type=ExportCommand)
    except msgspec.MsgspecError as error:
        raise OperatorError(f"the present command of {export} cannot be read: {error}") from error
