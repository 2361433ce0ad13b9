"""The demo's side of the scheduler: the exports are pulled once more, now, and looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec.structs import replace

from cli.demo.stand_in import exports_of, overview_of
from cli.demo.sums import Sums, of_fields
from cli.exports.book import Book, watching
from cli.exports.outcome import Pull
from cli.exports.steering import Steering, read_wishes
from cli.progress import bar
from scheduler.export_work import unix
from schemas.topics import metrics_topic, partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from broker.interface import Broker
    from cli.exports.outcome import Outcome
    from runtime.clock import Clock
    from runtime.settings import ExportSettings, Settings, StorefrontSettings

PATIENCE_SECONDS = 20.0
"""How long pulls may take until the demo says what is wrong and waits no more."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One export. `rows`: how many its topic has now; `restated`: how often one of those was published anew since its first
    time; `age`: how many seconds ago the last pull succeeded, None when none did; `fault`: why it was not pulled when
    the demo wanted it, empty when it was, or is paused.
    """

    name: str
    source: str
    dataset: str
    rows: int
    restated: int
    age: float | None
    fault: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """What the export `name` says of all that was ever delivered; `sums` None when it has no row."""

    name: str
    sums: Sums | None


@dataclass(frozen=True, slots=True)
class Exports:
    """What came of one round of pulls. `overview`: None where no export tells it, or that rests; `hopeless`: whether another
    round would change nothing, because nobody pulls, or a vendor refuses for good.
    """

    pulled: Sequence[Pulled]
    overview: Overview | None
    hopeless: bool


class Pulls:
    """The exports at the sandbox. Life: made → `again`, as often as one likes."""

    def __init__(self, settings: Settings, storefront: StorefrontSettings, broker: Broker, clock: Clock) -> None:
        self._exports = exports_of(settings)
        self._sources = {account.name: account.source for account in settings.accounts}
        self._overview = overview_of(settings, storefront)
        self._broker = broker
        self._clock = clock

    def __len__(self) -> int:
        """Return how many exports there are."""
        return len(self._exports)

    async def again(self, console: Console) -> Exports:
        """Ask for a pull of every export that is not paused, wait until each has succeeded or failed, and return what came of it.

        Waits `PATIENCE_SECONDS` at most. Raises BrokerError, OperatorError.
        """
        wishes = await read_wishes(self._broker)
        paused = {name for name, wish in wishes.items() if wish.state == "paused"}
        nonce = uuid4().hex
        pulls = [Pull(export.name, nonce) for export in self._exports if export.name not in paused]
        outcomes, book = await self._ended(pulls, nonce, console)
        rows = {export.name: await self._rows(export) for export in self._exports}
        states = [book.state(pull.export) for pull in pulls]
        return Exports(
            [self._pulled(export, book, rows[export.name], outcomes) for export in self._exports],
            self._told(rows, paused),
            hopeless=None in outcomes.values() or any(state and state.status == "stopped" for state in states),
        )

    async def _ended(
        self, pulls: Sequence[Pull], nonce: str, console: Console
    ) -> tuple[Mapping[str, Outcome | None], Book]:
        """Write down that each pull is wanted; return how it ended, None where it did not in time, and the ledger then."""
        steering = Steering(self._broker)
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        async with watching(self._broker, None) as watch:
            for pull in pulls:
                state = watch.book.state(pull.export)
                await steering.change(pull.export, state, lambda command: replace(command, run=nonce))
            with bar(console, "pulling", len(pulls), "exports") as shown:
                while True:
                    outcomes = {pull.export: pull.judge(watch.book) for pull in pulls}
                    ended = sum(outcome is not None for outcome in outcomes.values())
                    shown(ended, ended)
                    patience = max(0.0, deadline - self._clock.monotonic())
                    if ended == len(pulls) or not await watch.step(patience):
                        return outcomes, watch.book

    def _pulled(
        self, export: ExportSettings, book: Book, rows: Mapping[str, Any], outcomes: Mapping[str, Outcome | None]
    ) -> Pulled:
        state = book.state(export.name)
        succeeded = 0.0 if state is None else unix(state.succeeded)
        return Pulled(
            export.name,
            self._sources[export.account],
            export.dataset,
            rows=len(rows),
            restated=sum(row["revision"] - 1 for row in rows.values()),
            age=max(0.0, self._clock.now() - succeeded) if succeeded else None,
            fault=_fault(outcomes[export.name]) if export.name in outcomes else "",
            paused=export.name not in outcomes,
        )

    def _told(self, rows: Mapping[str, Mapping[str, Any]], paused: set[str]) -> Overview | None:
        export = self._overview
        if export is None or export.name in paused:
            return None
        figures = [of_fields(row["metrics"]) for row in rows[export.name].values()]
        return Overview(export.name, reduce(Sums.plus, figures) if figures else None)

    async def _rows(self, export: ExportSettings) -> Mapping[str, Any]:
        """Return an export's rows as its topic has them now, by key."""
        topic = metrics_topic(self._sources[export.account], export.dataset)
        mine = partition_of(export.name.encode(), await self._broker.partitions(topic))
        rows: dict[str, Any] = {}
        async for record in self._broker.read(topic, partition=mine):
            key = (record.key or b"").decode()
            if json.loads(key)[0] != export.name:
                continue
            rows.pop(key, None)
            if record.value is not None:
                rows[key] = json.loads(record.value, parse_float=Decimal)
        return rows


def _fault(outcome: Outcome | None) -> str:
    """Return why a pull did not come about; empty when it did."""
    if outcome is None:
        return f"it did not end within {PATIENCE_SECONDS:g} s"
    return "" if outcome.good else outcome.text
