"""Has an export pulled now, as the command line does, without waiting for it: `python -m bench.say_run CONFIG EXPORT NONCE`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import structlog
import uvloop

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.config import load
from runtime.metrics import Metrics
from schemas.commands import ExportCommand, command_key
from schemas.topics import COMMANDS, partition_of


async def say(config: Path, export: str, nonce: str) -> None:
    """Say it."""
    settings = load(config)
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    async with open_broker(settings.broker, Metrics(), log, SystemClock()) as broker:
        publisher = await broker.publisher()
        key = command_key(export)
        partition = partition_of(key, await broker.partitions(COMMANDS))
        await publisher.publish(COMMANDS, partition, [(key, msgspec.json.encode(ExportCommand(run=nonce)), ())])
        await publisher.close()


if __name__ == "__main__":
    uvloop.run(say(Path(sys.argv[1]), *sys.argv[2:]))
