"""`sluice tail TOPIC`: prints records as they arrive."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from broker.interface import UnknownTopic
from cli import log, record_text
from cli.options import json_option, with_settings
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Record
    from runtime.settings import Settings


@click.command
@click.argument("topic")
@with_settings
@click.option("--from-beginning", is_flag=True, help="Print what is there already, too.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="End after N records.")
@json_option
def command(settings: Settings, topic: str, *, from_beginning: bool, most: int | None, as_json: bool) -> None:
    """Print the records of TOPIC as they arrive, until Ctrl-C.

    A line shows the time, partition:offset, key, event type or reason, and the value, cut to the terminal's width.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    show = record_text.as_json if as_json else lambda record: record_text.as_text(record, width)
    try:
        asyncio.run(_tail(settings, topic, show, from_beginning=from_beginning, most=most))
    except UnknownTopic:
        from cli import catalogue  # noqa: PLC0415  # it brings every room with it, and is seldom wanted

        meant = " or ".join(catalogue.near(settings, topic))
        cure = f"did you mean {meant}?" if meant else "`sluice topics ensure` lists the topics"
        raise OperatorError(f"there is no topic {topic}; {cure}") from None
    except BrokenPipeError:
        # Whoever read this has seen enough (`| head`). Python must not find the pipe broken once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _tail(
    settings: Settings, topic: str, show: Callable[[Record], bytes], *, from_beginning: bool, most: int | None
) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # we run in one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with log.opened(settings) as broker:
            records = broker.read(topic, from_beginning=from_beginning, follow=True)
            async with aclosing(records) as reading:  # type: ignore[type-var]  # read is an async generator
                seen = 0
                async for record in reading:
                    sys.stdout.buffer.write(show(record) + b"\n")
                    sys.stdout.buffer.flush()
                    seen += 1
                    if seen == most:
                        return
    except asyncio.CancelledError:
        return  # Ctrl-C is the usual end of it
