"""Where a command steers exports from: it writes what is wanted, and sees what the owner reports."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import click

from broker.startup import require
from cli import log
from cli.exports.book import Watch, watching
from cli.exports.steering import Steering
from schemas.topics import LEDGER, SCHEDULER_GROUP, commands_spec, ledger_spec, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from broker.interface import Broker
    from runtime.settings import ExportSettings, Settings
    from schemas.commands import ExportCommand
    from schemas.ledger import ExportState

PATIENCE: Final = 5.0
"""For how many seconds nobody need obey: an owner does so at once, a new one once it has taken over."""
HINT: Final = "no scheduler obeyed within {seconds:g} s; what is wanted stays written until one does: {whose}"
_NONE: Final = "none is a member of the group {group}; start `sluice scheduler`, with this configuration"
_SOME: Final = (
    "{members} in the group {group}, and the owner of {accounts} should have; does it run with this configuration?"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one short command wants: it is obeyed at once or not at all.

    `change`: of the present command. `obeyed`: how the ledger shows that it was done. `done` and `asked` are what is told
    of an export where it was, and where it was not yet.
    """

    change: Callable[[ExportCommand], ExportCommand]
    obeyed: Callable[[ExportState], bool]
    done: str
    asked: str


@dataclass(frozen=True, slots=True)
class Desk:
    """The ledger to look at and the commands to change. `accounts`: of each export; `schedulers` asks how many there are. `patience`:
    after how many seconds without obedience that is told.
    """

    watch: Watch
    steering: Steering
    accounts: Mapping[str, str]
    schedulers: Callable[[], Awaitable[int]]
    patience: float = PATIENCE

    async def change(self, export: str, change: Callable[[ExportCommand], ExportCommand]) -> ExportCommand:
        """Return what is wanted of an export after `change`. Raises BrokerError, OperatorError."""
        return await self.steering.change(export, self.watch.book.state(export), change)

    async def make(self, names: Iterable[str], wish: Wish) -> int:
        """Write the wish for each export and tell in a line each what became of it; return the exit code, 0 also when nobody
        obeys. Raises BrokerError, OperatorError.
        """
        for name in names:
            await self.change(name, wish.change)
        unheeded = await self.unheeded(dict.fromkeys(names, wish.obeyed))
        for name in names:
            click.echo(f"{name}: {wish.asked if name in unheeded else wish.done}")
        if unheeded:
            await self.hint(unheeded)
        return 0

    async def unheeded(self, wanted: Mapping[str, Callable[[ExportState], bool]]) -> list[str]:
        """Wait until the state of each export holds what is `wanted`; return those where it does not in time.

        Raises BrokerError, OperatorError.
        """
        deadline = _time() + self.patience
        while unheeded := [name for name, holds in wanted.items() if not self._does(name, holds)]:
            if not await self.watch.step(max(0.0, deadline - _time())):
                return unheeded
        return []

    async def hint(self, names: Iterable[str]) -> None:
        """Tell that nobody obeys for these exports, and who should. Raises BrokerError."""
        found = await self.schedulers()
        if found:
            accounts = sorted({self.accounts[name] for name in names})
            whose = _SOME.format(
                members="one is" if found == 1 else f"{found} are",
                group=SCHEDULER_GROUP,
                accounts=f"the account{'s' if len(accounts) > 1 else ''} {', '.join(accounts)}",
            )
        else:
            whose = _NONE.format(group=SCHEDULER_GROUP)
        click.echo(f"sluice: {HINT.format(seconds=self.patience, whose=whose)}", err=True)

    def _does(self, export: str, holds: Callable[[ExportState], bool]) -> bool:
        state = self.watch.book.state(export)
        return state is not None and holds(state)


class Patience:
    """Waits for the ledger to change, for `timeout` seconds in all (None: for ever), and tells once when nobody obeys for too long."""

    def __init__(self, desk: Desk, timeout: float | None = None) -> None:
        self._desk = desk
        self._hint_at: float | None = _time() + desk.patience
        self._end = math.inf if timeout is None else _time() + timeout

    async def step(self, unheeded: Collection[str]) -> bool:
        """Wait for the next record of the ledger; False when the time is up. `unheeded`: exports that nobody took up yet. Raises
        BrokerError, OperatorError.
        """
        if not unheeded:
            self._hint_at = None
        until = min(self._end, math.inf if self._hint_at is None else self._hint_at)
        if await self._desk.watch.step(None if until == math.inf else max(0.0, until - _time())):
            return True
        if until == self._end:
            return False
        self._hint_at = None
        await self._desk.hint(unheeded)
        return True


def steer(
    settings: Settings, exports: Sequence[ExportSettings], work: Callable[[Desk], Awaitable[int]], farewell: str
) -> NoReturn:
    """Do `work` at a desk for these exports and exit with the code that it returns.

    SIGINT and SIGTERM end it with `farewell` on stderr, and 1: nobody knows yet what comes of it. Raises BrokerError,
    MissingTopics and what `work` raises.
    """
    sys.exit(asyncio.run(_until_interrupted(settings, exports, work, farewell)))


async def _until_interrupted(
    settings: Settings, exports: Sequence[ExportSettings], work: Callable[[Desk], Awaitable[int]], farewell: str
) -> int:
    async def working() -> int:
        async with at_desk(settings, exports) as desk:
            return await work(desk)

    task = asyncio.ensure_future(working())
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
        click.echo(f"sluice: {farewell}", err=True)
        return 1


@asynccontextmanager
async def at_desk(settings: Settings, exports: Sequence[ExportSettings]) -> AsyncIterator[Desk]:
    """Open the log for steering `exports`; the topics are made where they are missing. Raises BrokerError, MissingTopics."""
    async with log.opened(settings) as broker:
        await _ensure_topics(broker, settings)
        count = await broker.partitions(LEDGER)
        partitions = {partition_of(export.account.encode(), count) for export in exports}
        one = partitions.pop() if len(partitions) == 1 else None
        async with watching(broker, one) as watch:
            accounts = {export.name: export.account for export in exports}
            yield Desk(watch, Steering(broker), accounts, partial(broker.members, SCHEDULER_GROUP))


async def _ensure_topics(broker: Broker, settings: Settings) -> None:
    count, create = settings.broker.partitions, settings.broker.create_topics
    require(await broker.ensure_topics([ledger_spec(count), commands_spec(count)], create=create))


def _time() -> float:
    return asyncio.get_running_loop().time()
