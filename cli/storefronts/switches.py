"""`sluice storefronts pause|resume`: the operator's hand brake on forwarding."""

from __future__ import annotations

import asyncio
import getpass
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

import click
from msgspec.structs import replace

from broker.startup import require
from cli import log
from cli.options import with_settings
from consumers.steering import change
from runtime.clock import SystemClock
from runtime.errors import OperatorError
from schemas.commands import StorefrontCommand
from schemas.topics import commands_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.settings import Settings


class NoSuchStorefront(OperatorError):
    """The command line names a storefront that is not configured."""

    exit_code: ClassVar[int] = 2


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--why", default="", metavar="TEXT", help="What for: `sluice storefronts list` and the log tell it.")
@with_settings
def pause(settings: Settings, names: Sequence[str], *, why: str) -> None:
    """Forward nothing more of these storefronts until they are resumed.

    Events are accepted as ever and wait in their topic. Every forwarder obeys within a second, one that starts later before
    it sends anything; requests that are out come to their end.
    """
    known(settings, names)
    since = datetime.fromtimestamp(SystemClock().now(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def paused(command: StorefrontCommand) -> StorefrontCommand:
        if command.state == "paused":
            return command
        return replace(command, state="paused", by=_who(), why=why, since=since)

    asyncio.run(_change(settings, names, paused, "paused"))


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
def resume(settings: Settings, names: Sequence[str]) -> None:
    """Forward these storefronts again.

    Those that are paused, and those that came to their limit of dead letters: as many more are then allowed as at the start.
    """
    known(settings, names)
    nonce = uuid4().hex
    asyncio.run(_change(settings, names, lambda _: StorefrontCommand(resume=nonce), "resumed"))


def known(settings: Settings, names: Sequence[str]) -> None:
    """Take note that these storefronts are configured. Raises NoSuchStorefront, which names those that are."""
    there = [each.name for each in settings.storefronts]
    for name in names:
        if name not in there:
            raise NoSuchStorefront(f"no storefront is called {name}; there are: {', '.join(there)}")


async def _change(
    settings: Settings, names: Sequence[str], changed: Callable[[StorefrontCommand], StorefrontCommand], done: str
) -> None:
    async with log.opened(settings) as broker:
        spec = commands_spec(settings.broker.partitions)
        require(await broker.ensure_topics([spec], create=settings.broker.create_topics))
        for name in dict.fromkeys(names):
            await change(broker, name, changed)
            click.echo(f"{name}: {done}")


def _who() -> str:
    """Return who pauses, as far as the system knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
