"""What is wanted of exports, read from the topic `commands` and changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from broker.interface import UnknownTopic
from runtime.errors import OperatorError
from schemas.commands import ExportCommand, command_key, commanded_export
from schemas.topics import COMMANDS, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Broker, Record
    from schemas.commands import Backfill
    from schemas.ledger import ExportState


class _Written(NamedTuple):
    offset: int
    value: bytes | None


class Steering:
    """Changes what is wanted of one export at a time, and of that only what is meant."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def present(self, export: str) -> ExportCommand:
        """Return what is wanted of an export now. Raises BrokerError, OperatorError."""
        key = command_key(export)
        partition = partition_of(key, await self._broker.partitions(COMMANDS))
        written = await self._written(key, partition, -1)
        return _decoded(export, written[-1].value) if written else ExportCommand()

    async def change(
        self, export: str, state: ExportState | None, change: Callable[[ExportCommand], ExportCommand]
    ) -> ExportCommand:
        """Write what `change` makes of the present command, without the backfills that are finished by `state`; return it.

        `change` may be called again, with what somebody else wrote at the same moment: neither's wish is lost. Nothing is
        written where nothing changes. Waits until it is durable. Raises BrokerError, OperatorError.
        """
        key = command_key(export)
        partition = partition_of(key, await self._broker.partitions(COMMANDS))
        publisher = await self._broker.publisher()
        try:
            written = await self._written(key, partition, -1)
            offset, present = written[-1] if written else (-1, None)
            while True:
                command = _decoded(export, present)
                wanted = change(_without_finished(command, state))
                if wanted == command:
                    return command
                ours = msgspec.json.encode(wanted)
                await publisher.publish(COMMANDS, partition, [(key, ours, ())])
                since = await self._written(key, partition, offset)
                if not _is_overlooked(since, ours):
                    return wanted
                offset = since[-1].offset
                present = next(value for _, value in reversed(since) if value != ours)
        finally:
            await publisher.close()

    async def _written(self, key: bytes, partition: int, after: int) -> list[_Written]:
        return [
            _Written(record.offset, record.value)
            async for record in self._broker.read(COMMANDS, partition=partition)
            if record.key == key and record.offset > after
        ]


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


def _is_overlooked(since: list[_Written], ours: bytes) -> bool:
    """Say whether somebody wrote between what was read and `ours`. Whoever wrote after it will see that, and do the same."""
    return bool(since) and since[0].value != ours
