"""`sluice send FILE`: NDJSON through a gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import click
import orjson
from rich.console import Console

from cli import ndjson, summary
from cli.client import Client
from cli.options import json_option, with_settings
from cli.outcome import Outcome
from cli.progress import bar
from cli.sender import Sender
from runtime.addresses import url_of
from runtime.clock import SystemClock
from runtime.errors import OperatorError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.settings import Settings, StorefrontSettings


@dataclass(frozen=True, slots=True)
class Destination:
    """A gateway and how to send to it. `patience`: seconds a batch may stay without an answer."""

    url: str
    key: str
    batch_size: int = 100
    batch_bytes: int = 1024 * 1024
    concurrency: int = 4
    patience: float = 60


async def send_file(descriptor: int, destination: Destination, outcome: Outcome, console: Console) -> None:
    """Send the NDJSON of an open file, with a progress bar on `console`; `outcome` is true at any moment, however this ends.

    Raises OperatorError when events stay without an answer.
    """
    clock = SystemClock()
    async with aiohttp.ClientSession() as session:
        client = Client(session, destination.url, destination.key, clock, destination.patience)
        with bar(console, "sending", _size(descriptor)) as shown:
            sender = Sender(
                client,
                outcome,
                batch_size=destination.batch_size,
                batch_bytes=destination.batch_bytes,
                concurrency=destination.concurrency,
                answered=lambda: shown(outcome.answered_bytes, outcome.taken - outcome.unanswered),
            )
            try:
                await sender.send(ndjson.pieces(descriptor))
            except* OperatorError as failures:
                first = sender.first_unanswered()
                raise OperatorError(f"{one_line(failures)}; the first line without an answer is {first}") from None


def _size(descriptor: int) -> int | None:
    """How many bytes there are to send; None for a pipe."""
    found = os.fstat(descriptor)
    return found.st_size if stat.S_ISREG(found.st_mode) else None


@click.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@with_settings
@click.option("--url", help="The gateway. Default: the configured one.")
@click.option("--storefront", metavar="NAME", help="Whose key to send with. Default: the first storefront.")
@click.option("--key", help="The key to send with. Default: the storefront's first publishable key.")
@click.option("--batch-size", type=click.IntRange(1, 1000), default=100, show_default=True, help="Events in a request.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at a time.")
@click.option(
    "--timeout", type=click.FloatRange(1), default=60, show_default=True, help="Seconds to try for an answer."
)
@click.option("--strict", is_flag=True, help="Exit 1 also when events are refused.")
@json_option
def command(
    settings: Settings,
    file: str,
    url: str | None,
    storefront: str | None,
    key: str | None,
    batch_size: int,
    concurrency: int,
    timeout: float,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Send the events of FILE (NDJSON, one event per line; - is the standard input) through a gateway.

    The order of events with the same key (user_id, else cart_id, else transaction_id) is kept; with --concurrency 1,
    that of all. What gets no answer is tried again until --timeout: 429 and 503 after what Retry-After says.

    Exits 0 when every event got its answer, accepted or refused; 1 when not.
    """
    destination = Destination(
        url=url or url_of(settings.gateway.host, settings.gateway.port),
        key=key or publishable_key(chosen(settings, storefront)),
        batch_size=batch_size,
        batch_bytes=settings.gateway.max_body_bytes,
        concurrency=concurrency,
        patience=timeout,
    )
    sys.exit(asyncio.run(_run(file, destination, strict=strict, as_json=as_json)))


def chosen(settings: Settings, name: str | None) -> StorefrontSettings:
    """Return the storefront of that name, or the first. Raises OperatorError when there is none."""
    if not settings.storefronts:
        raise OperatorError("no storefront is configured; give --url and --key")
    if name is None:
        return settings.storefronts[0]
    found = next((storefront for storefront in settings.storefronts if storefront.name == name), None)
    if found is None:
        names = ", ".join(storefront.name for storefront in settings.storefronts)
        raise OperatorError(f"no storefront is called {name}; there are: {names}")
    return found


def publishable_key(storefront: StorefrontSettings) -> str:
    """Return the key to send with. Raises OperatorError when the storefront has no publishable one."""
    if not storefront.publishable_keys:
        raise OperatorError(f"storefront {storefront.name} has no publishable key; give --key")
    return storefront.publishable_keys[0].get_secret_value()


async def _run(file: str, destination: Destination, *, strict: bool, as_json: bool) -> int:
    clock = SystemClock()
    outcome = Outcome()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # we run in one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    started = clock.monotonic()
    interrupted = False
    try:
        with _opened(file) as descriptor:
            await send_file(descriptor, destination, outcome, Console(file=sys.stderr))
    except asyncio.CancelledError:
        interrupted = True
        click.echo("sluice: interrupted", err=True)
    finally:
        _print(outcome, clock.monotonic() - started, as_json=as_json)
    return int(interrupted or outcome.unanswered > 0 or (strict and outcome.refused_total > 0))


@contextmanager
def _opened(file: str) -> Iterator[int]:
    if file == "-":
        yield sys.stdin.fileno()
        return
    with open(file, "rb", buffering=0) as opened:  # noqa: PTH123  # unbuffered, and a pipe opens as well as a file
        yield opened.fileno()


def _print(outcome: Outcome, seconds: float, *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(summary.as_json(outcome, seconds)))
        return
    for line in summary.as_text(outcome, seconds):
        click.echo(line)
