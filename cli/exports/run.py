"""`sluice exports run NAME...`: a pull by hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
from msgspec.structs import replace

from cli.exports.desk import Patience, Wish, steer
from cli.exports.names import Misused, configured
from cli.exports.outcome import Pull
from cli.options import with_settings
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.exports.desk import Desk
    from runtime.settings import Settings

_FAREWELL: Final = "interrupted; what was asked for goes on, and `sluice exports list` shows what comes of it"
_GIVEN_UP: Final = (
    "not ended within {seconds:g} s; nothing is cancelled: what was asked for goes on, "
    "and `sluice exports list` shows what comes of it"
)


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
@click.option(
    "--wait", is_flag=True, help="Wait for the pulls to end and say what came of them; exit 1 when one failed."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --wait: wait so long at most, then exit 1. Nothing is cancelled. Default: for ever.",
)
def command(settings: Settings, names: Sequence[str], *, wait: bool, timeout: float | None) -> None:
    """Pull these exports now, whatever their schedule says.

    One that a permanent fault stopped is asked for again; one that is paused has to be resumed first.
    """
    if timeout is not None and not wait:
        raise Misused("--timeout: there is nothing to wait for without --wait")
    exports = configured(settings, names)
    work = partial(run, names=[export.name for export in exports], wait=wait, seconds=timeout)
    steer(settings, exports, work, _FAREWELL)


async def run(desk: Desk, names: Sequence[str], *, wait: bool, seconds: float | None = None) -> int:
    """Ask for a pull of each export; return the exit code. `seconds`: to wait at most, None: for ever. Raises OperatorError for one that
    is paused, BrokerError.
    """
    for name in names:
        if (await desk.steering.present(name)).state == "paused":
            raise OperatorError(f"{name} is paused; `sluice exports resume {name}` comes first")
    nonce = uuid4().hex
    wanted = Wish(
        change=lambda command: replace(command, run=nonce),
        obeyed=lambda state: state.run == nonce,
        done="is being pulled",
        asked="asked for a pull",
    )
    if not wait:
        return await desk.make(names, wanted)
    for name in names:
        await desk.change(name, wanted.change)
    return await _ended(desk, [Pull(name, nonce) for name in names], seconds)


async def _ended(desk: Desk, pulls: list[Pull], seconds: float | None) -> int:
    """Tell of each pull how it ended, as soon as it did; return the exit code, 1 when one did not end well, or in time."""
    patience = Patience(desk, seconds)
    code = 0
    while True:
        for pull in tuple(pulls):
            if (outcome := pull.judge(desk.watch.book)) is not None:
                click.echo(f"{pull.export}: {outcome.text}")
                code = code if outcome.good else 1
                pulls.remove(pull)
        if not pulls:
            return code
        if not await patience.step([pull.export for pull in pulls if not pull.is_obeyed]):
            for pull in pulls:
                click.echo(f"{pull.export}: {'is being pulled' if pull.is_obeyed else 'not taken up yet'}")
            click.echo(f"sluice: {_GIVEN_UP.format(seconds=seconds or 0)}", err=True)
            return 1
