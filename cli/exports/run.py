"""`sluice exports run NAME...`: a pull by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
from msgspec.structs import replace

from cli.exports.desk import Patience, Wish, steer
from cli.exports.names import configured
from cli.exports.outcome import Pull
from cli.options import with_settings
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.exports.desk import Desk
    from runtime.settings import Settings

_FAREWELL: Final = "interrupted; what was asked for goes on, and `sluice exports list` shows what comes of it"


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings
@click.option(
    "--wait", is_flag=True, help="Wait for the pulls to end and say what came of them; exit 1 when one failed."
)
def command(settings: Settings, names: Sequence[str], *, wait: bool) -> None:
    """Pull these exports now, whatever their schedule says.

    One that a permanent fault stopped is asked for again; one that is paused has to be resumed first.
    """
    exports = configured(settings, names)
    steer(settings, exports, lambda desk: run(desk, [export.name for export in exports], wait=wait), _FAREWELL)


async def run(desk: Desk, names: Sequence[str], *, wait: bool) -> int:
    """Ask for a pull of each export; return the exit code. Raises OperatorError for one that is paused, BrokerError."""
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
    return await _ended(desk, [Pull(name, nonce) for name in names])


async def _ended(desk: Desk, pulls: list[Pull]) -> int:
    """Tell of each pull how it ended, as soon as it did; return the exit code, 1 when one did not end well."""
    patience = Patience(desk)
    code = 0
    while True:
        for pull in tuple(pulls):
            if (outcome := pull.judge(desk.watch.book)) is not None:
                click.echo(f"{pull.export}: {outcome.text}")
                code = code if outcome.good else 1
                pulls.remove(pull)
        if not pulls:
            return code
        await patience.step(obeyed=all(pull.is_obeyed for pull in pulls))
