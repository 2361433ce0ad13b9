"""Having exports pulled once more, now, and looking at what came of it: the demo's side of the scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from cli import sums
from cli.progress import bar
from cli.pulled import Overview, Pulled
from cli.stand_in import exports_of, overview_of
from schemas.commands import ExportCommand, command_key, commanded_export
from schemas.ledger import ACCOUNT_PREFIX, AccountState, ExportState
from schemas.topics import COMMANDS, LEDGER, metrics_topic, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from rich.console import Console

    from broker.interface import Broker, Record
    from runtime.clock import Clock
    from runtime.settings import Settings, StorefrontSettings

PATIENCE_SECONDS = 20.0
"""How long pulls may take until the demo says what is wrong and waits no more."""


class Pulls:
    """The exports at the sandbox. Life: made → `again` → `results`, `overview`, as often as one likes."""

    def __init__(self, settings: Settings, storefront: StorefrontSettings, broker: Broker, clock: Clock) -> None:
        self._exports = {export.name: export for export in exports_of(settings)}
        self._sources = {account.name: account.source for account in settings.accounts}
        self._overview = overview_of(settings, storefront)
        self._broker = broker
        self._clock = clock
        self._states: dict[str, ExportState] = {}
        self._accounts: dict[str, AccountState] = {}
        self._paused: set[str] = set()
        self._wanted = ""
        self._wanted_at = 0.0

    def __len__(self) -> int:
        """Return how many exports there are."""
        return len(self._exports)

    async def again(self, console: Console) -> None:
        """Ask for a pull of every export that is not paused, and wait until all have begun and succeeded after this call, or cannot.

        Returns after `PATIENCE_SECONDS` at the latest; `results` tells. Raises BrokerError.
        """
        self._wanted, self._wanted_at = uuid4().hex, self._clock.now()
        await self._ask()
        with (
            bar(console, "pulling", len(self._exports), "exports") as shown,
            contextlib.suppress(TimeoutError),  # each result tells what was not done in time
        ):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._until_settled(shown)

    async def results(self) -> list[Pulled]:
        """Return what came of each. Raises BrokerError."""
        found = []
        for name, export in self._exports.items():
            rows = await self._rows(name)
            state = self._states.get(name)
            succeeded = _unix(state.succeeded) if state is not None else 0.0
            found.append(
                Pulled(
                    name,
                    self._sources[export.account],
                    export.dataset,
                    rows=len(rows),
                    restated=sum(row["revision"] - 1 for row in rows.values()),
                    age=max(0.0, self._clock.now() - succeeded) if succeeded else None,
                    fault=self._fault(name),
                    paused=name in self._paused,
                )
            )
        return found

    async def overview(self) -> Overview | None:
        """Return what the overview export says of all that was ever delivered; None when there is no such export, or it
        rests. Raises BrokerError.
        """
        export = self._overview
        if export is None or export.name in self._paused:
            return None
        rows = await self._rows(export.name)
        figures = [sums.of_fields(row["metrics"]) for row in rows.values()]
        return Overview(export.name, reduce(sums.Sums.plus, figures) if figures else None)

    async def _ask(self) -> None:
        """Write the wish down, beside whatever else is wanted of each."""
        commands = dict.fromkeys(self._exports, ExportCommand())
        async for record in self._broker.read(COMMANDS):
            name = commanded_export(record.key)
            if name in commands:
                value = record.value
                commands[name] = ExportCommand() if value is None else msgspec.json.decode(value, type=ExportCommand)
        self._paused = {name for name, command in commands.items() if command.state == "paused"}
        partitions = await self._broker.partitions(COMMANDS)
        publisher = await self._broker.publisher()
        try:
            for name, command in commands.items():
                if name not in self._paused:
                    key, value = command_key(name), msgspec.json.encode(replace(command, run=self._wanted))
                    await publisher.publish(COMMANDS, partition_of(key, partitions), [(key, value, ())])
        finally:
            await publisher.close()

    async def _until_settled(self, shown: Callable[[int, int], None]) -> None:
        settled = len(self._paused)
        shown(settled, settled)
        records = cast("AsyncGenerator[Record]", self._broker.read(LEDGER, follow=True))
        async with aclosing(records) as reading:
            async for record in reading:
                self._note(record)
                settled = sum(self._settled(name) for name in self._exports)
                shown(settled, settled)
                if settled == len(self._exports):
                    return

    def _note(self, record: Record) -> None:
        name = (record.key or b"").decode()
        if record.value is None:
            return
        if name in self._exports:
            self._states[name] = msgspec.json.decode(record.value, type=ExportState)
        elif name.startswith(ACCOUNT_PREFIX):
            account = name.removeprefix(ACCOUNT_PREFIX)
            self._accounts[account] = msgspec.json.decode(record.value, type=AccountState)

    def _settled(self, name: str) -> bool:
        if name in self._paused:
            return True
        state = self._states.get(name)
        return state is not None and (self._done(state) or (state.run == self._wanted and state.status != "active"))

    def _done(self, state: ExportState) -> bool:
        """Say whether a pull has succeeded that began after it was wanted."""
        return state.run == self._wanted and _unix(state.due) >= self._wanted_at

    def _fault(self, name: str) -> str:
        state = self._states.get(name)
        if name in self._paused or (state is not None and self._done(state)):
            return ""
        account = self._accounts.get(self._exports[name].account, AccountState())
        reason = account.reason or ("" if state is None else state.reason)
        return reason or f"not pulled within {PATIENCE_SECONDS:g} s"

    async def _rows(self, name: str) -> Mapping[str, Any]:
        """Return an export's rows as its topic has them now, by key."""
        export = self._exports[name]
        topic = metrics_topic(self._sources[export.account], export.dataset)
        rows: dict[str, Any] = {}
        mine = partition_of(name.encode(), await self._broker.partitions(topic))
        async for record in self._broker.read(topic, partition=mine):
            key = (record.key or b"").decode()
            if json.loads(key)[0] != name:
                continue
            rows.pop(key, None)
            if record.value is not None:
                rows[key] = json.loads(record.value, parse_float=Decimal)
        return rows


def _unix(written: str) -> float:
    """Return a time of the ledger in Unix seconds; 0 for none."""
    return datetime.fromisoformat(written).timestamp() if written else 0.0
