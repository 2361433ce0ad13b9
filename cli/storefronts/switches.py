"""`sluice storefronts pause|resume`: the operator's hand brake on forwarding."""

from __future__ import annotations

import asyncio
import getpass
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import click
from msgspec.structs import replace

from broker.startup import require
from cli import log
from cli.exports.names import no_such
from cli.options import with_settings
from cli.printable import printable
from consumers.steering import change
from runtime.clock import SystemClock
from schemas.commands import StorefrontCommand
from schemas.topics import commands_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.settings import Settings


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

    def done(before: StorefrontCommand) -> str:
        if before.state != "paused":
            return "paused"
        what_for = f": {before.why}" if before.why else ""
        return f"was paused already, by {before.by or 'somebody'} at {before.since or 'some time'}{what_for}"

    asyncio.run(_change(settings, names, paused, done))


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
def resume(settings: Settings, names: Sequence[str]) -> None:
    """Forward these storefronts again.

    Those that are paused, and those that came to their limit of dead letters: as many more are then allowed as at the start.
    """
    known(settings, names)
    nonce = uuid4().hex

    def done(before: StorefrontCommand) -> str:
        if before.parked is not None:
            return "resumed; its dead letters are counted anew"
        return "resumed" if before.state == "paused" else "was not paused; its dead letters are counted anew"

    asyncio.run(_change(settings, names, lambda _: StorefrontCommand(resume=nonce), done))


def known(settings: Settings, names: Sequence[str]) -> None:
    """Take note that these storefronts are configured. Raises Misused, which says what was probably meant."""
    there = [each.name for each in settings.storefronts]
    for name in names:
        if name not in there:
            raise no_such("storefront", name, there)


async def _change(
    settings: Settings,
    names: Sequence[str],
    changed: Callable[[StorefrontCommand], StorefrontCommand],
    done: Callable[[StorefrontCommand], str],
) -> None:
    """Change them one after the other, and tell `done` of what stood there before."""
    before = StorefrontCommand()

    def noted(present: StorefrontCommand) -> StorefrontCommand:
        nonlocal before
        before = present
        return changed(present)

    async with log.opened(settings) as broker:
        spec = commands_spec(settings.broker.partitions)
        require(await broker.ensure_topics([spec], create=settings.broker.create_topics))
        for name in dict.fromkeys(names):
            await change(broker, name, noted)
            click.echo(printable(f"{name}: {done(before)}"))


def _who() -> str:
    """Return who pauses, as far as the system knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
