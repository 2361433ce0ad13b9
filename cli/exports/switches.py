"""`sluice exports pause|resume|cancel`: what an operator does by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn
from uuid import uuid4

import click
from msgspec.structs import replace

from cli.exports.desk import Wish, steer
from cli.exports.names import configured
from cli.options import with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.settings import Settings

_FAREWELL: Final = "interrupted; `sluice exports list` shows what is wanted, and whether it is obeyed"


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
def pause(settings: Settings, names: Sequence[str]) -> None:
    """Pull nothing more of these exports until they are resumed.

    What is being pulled is given up; what is left of backfills is kept.
    """
    wanted = Wish(
        change=lambda command: replace(command, state="paused"),
        obeyed=lambda state: state.status == "paused",
        done="paused",
        asked="asked to pause",
    )
    _make(settings, names, wanted)


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
def resume(settings: Settings, names: Sequence[str]) -> None:
    """Pull these exports again.

    Those that are paused, and those that a permanent fault stopped: their vendor is asked anew.
    """
    nonce = uuid4().hex
    wanted = Wish(
        change=lambda command: replace(command, state="active", resume=nonce),
        obeyed=lambda state: state.resume == nonce,
        done="resumed",
        asked="asked to resume",
    )
    _make(settings, names, wanted)


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
def cancel(settings: Settings, names: Sequence[str]) -> None:
    """End what is under way of these exports.

    What is being pulled, and what is left of backfills and refreshes. They stay as active as they are: the next regular
    pull comes when it is due.
    """
    nonce = uuid4().hex
    wanted = Wish(
        change=lambda command: replace(command, cancel=nonce, backfills=[]),
        obeyed=lambda state: state.cancel == nonce,
        done="cancelled",
        asked="asked to cancel",
    )
    _make(settings, names, wanted)


def _make(settings: Settings, names: Sequence[str], wanted: Wish) -> NoReturn:
    exports = configured(settings, names)
    steer(settings, exports, lambda desk: desk.make([export.name for export in exports], wanted), _FAREWELL)
