"""What is wanted of the forwarding of one storefront, changed on the topic `commands`."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import msgspec

from broker.interface import Fenced, UnknownTopic
from runtime.errors import OperatorError
from schemas.commands import StorefrontCommand, commanded_storefront, storefront_key
from schemas.topics import COMMANDS, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Broker

_TURNS: Final = 20
_PAUSE: Final = 0.05
"""How many seconds longer one waits at most after each turn that another one took."""


async def change(
    broker: Broker, storefront: str, changed: Callable[[StorefrontCommand], StorefrontCommand]
) -> StorefrontCommand:
    """Write what `changed` makes of the present command for a storefront, and return it; nothing is written where nothing changes.

    Whoever does so at the same moment, a person or a forwarder, loses nothing: `changed` is then called again, with what
    the other one wrote. Waits until it is durable. Raises BrokerError, OperatorError.
    """
    for turn in range(1, _TURNS + 1):
        try:
            return await _change(broker, storefront, changed)
        except Fenced:
            await asyncio.sleep(random.uniform(0, turn * _PAUSE))  # noqa: S311  # it keeps two apart, and guards nothing
    raise OperatorError(f"others change what is wanted of {storefront} all the time; try again")


async def _change(
    broker: Broker, storefront: str, changed: Callable[[StorefrontCommand], StorefrontCommand]
) -> StorefrontCommand:
    key = storefront_key(storefront)
    partition = partition_of(key, await broker.partitions(COMMANDS))
    # Whoever starts after us fences us: between reading and writing there is nobody else.
    publisher = await broker.transactional(f"sluice-commands-{key.decode()}")
    try:
        present = decoded(storefront, await _last(broker, partition, key))
        wanted = changed(present)
        if wanted != present:
            async with publisher.transaction() as transaction:
                await transaction.publish(COMMANDS, partition, [(key, msgspec.json.encode(wanted), ())])
        return wanted
    finally:
        await publisher.close()


async def _last(broker: Broker, partition: int, key: bytes) -> bytes | None:
    value = None
    async for record in broker.read(COMMANDS, partition=partition):
        if record.key == key:
            value = record.value
    return value


async def read_commands(broker: Broker) -> dict[str, StorefrontCommand]:
    """Return what is wanted of each storefront of which anybody ever said anything. Raises Unavailable, OperatorError."""
    found: dict[str, StorefrontCommand] = {}
    try:
        async for record in broker.read(COMMANDS):
            storefront = commanded_storefront(record.key)
            if storefront is not None:
                found[storefront] = decoded(storefront, record.value)
    except UnknownTopic:
        return found
    return found


def decoded(storefront: str, value: bytes | None) -> StorefrontCommand:
    """Return a command as it stands in its record; without one nothing is wanted but to go on. Raises OperatorError."""
    try:
        return StorefrontCommand() if value is None else msgspec.json.decode(value, type=StorefrontCommand)
    except msgspec.MsgspecError as error:
        raise OperatorError(f"the present command for {storefront} cannot be read: {error}") from error
