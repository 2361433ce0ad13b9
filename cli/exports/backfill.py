"""`sluice exports backfill NAME --from DAY --to DAY`: history fetched once more."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import click
from msgspec.structs import replace
from pydantic_core import PydanticCustomError
from rich.console import Console

from cli.exports.desk import Patience, steer
from cli.exports.names import Misused, configured
from cli.exports.outcome import DAY_SECONDS, History
from cli.options import with_exports
from cli.progress import bar
from runtime import spans
from runtime.clock import SystemClock
from scheduler.portfolio import plans
from schemas.commands import Backfill

if TYPE_CHECKING:
    from cli.exports.desk import Desk
    from cli.exports.outcome import Outcome
    from runtime.settings import Settings
    from scheduler.plan import Plan
    from schemas.commands import ExportCommand

EARLIEST: Final = date(2000, 1, 1)
"""No vendor has anything older, and a mistyped year should not cost a thousand requests."""
_FAREWELL: Final = (
    "interrupted; the backfill goes on: the same command shows its progress again, "
    "`sluice exports cancel {name}` gives it up"
)


class Period(NamedTuple):
    """Days in the export's zone, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        """Return it for a reader."""
        return f"{self.first} to {self.last}"


@click.command
@click.argument("name")
@with_exports
@click.option("--from", "first", required=True, metavar="DAY", help="The first day, in the export's time zone.")
@click.option("--to", "last", required=True, metavar="DAY", help="The last day, which is part of it.")
@click.option("--wait/--no-wait", default=True, help="Whether to show how far it is until it ends. Default: --wait.")
def command(settings: Settings, name: str, *, first: str, last: str, wait: bool) -> None:
    """Fetch days once more, whatever was fetched of them.

    The newest come first. Ctrl-C leaves it running; the same command once more looks on again, and begins nothing anew
    before it is done. The exit code is 1 when it was cancelled or the export stopped.
    """
    exports = configured(settings, [name])
    plan = next(plan for plan in plans(settings) if plan.name == name)
    today = datetime.fromtimestamp(SystemClock().now(), UTC).astimezone(plan.shape.zone).date()
    asked = period(plan, first, last, today)
    console = Console(file=sys.stderr)
    steer(settings, exports, lambda desk: backfill(desk, name, asked, console, wait=wait), _FAREWELL.format(name=name))


def period(plan: Plan, first: str, last: str, today: date) -> Period:
    """Return the days from `first` to `last`, ISO dates as given with --from and --to, for the export of `plan`.

    `today`: in the export's zone. Raises Misused, which names the option, for what cannot be fetched.
    """
    name, shape = plan.name, plan.shape
    if not shape.has_history:
        dated = plan.export.lookback.kind != "query"
        why = "each pull replaces all of it" if dated else "its dates stand in its query"
        raise Misused(f"{name} has no days to fetch again: {why}; `sluice exports run {name}` pulls it")
    asked = Period(_day("--from", first), _day("--to", last))
    if asked.first < EARLIEST:
        raise Misused(f"--from: {asked.first} is before {EARLIEST}, the earliest day that can be asked for")
    if asked.last < asked.first:
        raise Misused(f"--to: {asked.last} is before --from, {asked.first}; exchange them")
    for option, day in (("--from", asked.first), ("--to", asked.last)):
        if day > today:
            raise Misused(f"{option}: {day} lies in the future; today is {today} in {shape.zone.key}")
    return asked


def _day(option: str, given: str) -> date:
    try:
        return spans.day(given)
    except PydanticCustomError as error:
        raise Misused(f"{option}: {given!r} {error.message()}") from None


async def backfill(desk: Desk, name: str, asked: Period, console: Console, *, wait: bool) -> int:
    """Ask for the days, or find out that they are under way, and return the exit code; the bar goes to `console`.

    Waits until the owner took it up, with `wait` for the end. Raises BrokerError, OperatorError.
    """
    new = Backfill(id=uuid4().hex, start=asked.first.isoformat(), end=asked.last.isoformat())
    state = desk.watch.book.state(name)

    def change(command: ExportCommand) -> ExportCommand:
        there = any((each.start, each.end) == (new.start, new.end) for each in command.backfills)
        return command if there else replace(command, backfills=[*command.backfills, new])

    wanted = await desk.change(name, change)
    ours = next(each for each in wanted.backfills if (each.start, each.end) == (new.start, new.end))
    click.echo(f"{name}: backfill of {asked} {'asked for' if ours.id == new.id else 'is asked for already'}")
    if not wait:
        if await desk.unheeded({name: lambda state: ours.id in state.backfills}):
            await desk.hint([name])
        return 0
    cancels = {wanted.cancel, "" if state is None else state.cancel}
    return await _ended(desk, History(name, ours, cancels), console)


async def _ended(desk: Desk, history: History, console: Console) -> int:
    """Show how far the backfill is until it ends; return the exit code."""
    patience, book = Patience(desk), desk.watch.book
    while (outcome := history.judge(book)) is None and not history.is_obeyed:
        await patience.step([history.export])
    if outcome is None:
        outcome = await _shown(desk, history, console)
    click.echo(f"{history.export}: {outcome.text}")
    return 0 if outcome.good else 1


async def _shown(desk: Desk, history: History, console: Console) -> Outcome:
    book, told = desk.watch.book, None
    days = f"of {history.seconds // DAY_SECONDS:,} days"
    with bar(console, history.export, history.seconds, days) as shown:
        while (outcome := history.judge(book)) is None:
            shown(history.done, history.done // DAY_SECONDS)
            hindrance = history.hindrance(book)
            if hindrance is not None and hindrance != told:
                console.print(f"{history.export}: {hindrance}", markup=False, highlight=False, soft_wrap=True)
            told = hindrance
            await desk.watch.step(None)
        shown(history.done, history.done // DAY_SECONDS)
    return outcome
