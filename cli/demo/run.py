"""`sluice up --demo`: a day of shop traffic through the gateway, followed to the ingestion API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from cli import send
from cli.demo import sums
from cli.demo.days import Days
from cli.demo.pulls import Pulls
from cli.demo.stand_in import storefront_of
from cli.demo.verdict import Verdict
from cli.outcome import Outcome
from cli.progress import bar
from consumers.audit import balance
from runtime.addresses import url_of
from runtime.errors import OperatorError
from schemas.topics import DEAD_LETTERS, events_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rich.console import Console

    from broker.interface import Broker, Record
    from consumers.audit import Balance
    from runtime.clock import Clock
    from runtime.settings import Settings

LOOK_SECONDS = 0.2
QUIET_SECONDS = 60.0
"""When so long nothing is delivered that waits, the demo says so and waits no more."""
SETTLE_SECONDS = 5.0
"""How long the ingestion API may take to compute what it has already taken."""
API_SECONDS = 30.0
MOST_PULLS = 3
"""How often the exports are pulled until they agree: a pull may fail, and others may go on sending meanwhile."""


class Demo:
    """One run of it. `folder` keeps its days; to `broker` it writes what it wants of the exports, nothing else."""

    def __init__(self, settings: Settings, broker: Broker, folder: Path, console: Console, clock: Clock) -> None:
        self._settings = settings
        self._storefront = storefront_of(settings)
        self._broker = broker
        self._folder = folder
        self._console = console
        self._clock = clock
        self._pulls = Pulls(settings, self._storefront, broker, clock)

    async def run(self) -> bool:
        """Send a day, wait until it is delivered, show what came out, and return whether everything agrees.

        What fails is shown, not raised.
        """
        days = Days.open(self._folder)
        elsewhere = await self._elsewhere(days)
        day = await asyncio.to_thread(days.begin)
        outcome = Outcome()
        began = self._clock.monotonic()
        self._console.print(
            f"day {day.number}: {day.figures.sent:,} events of a made-up shop go through the gateway, "
            f"{day.figures.refused.total():,} of them faulty …"
        )
        try:
            with day.file.open("rb", buffering=0) as file:
                await send.send_file(file.fileno(), self._gateway(), outcome, self._console)
            days.complete(day)
        except OperatorError as error:
            self._console.print(f"sending stopped: {error}", style="bold red")
        delivered = await self._delivered()
        self._console.print(f"… and on to the ingestion API: {self._clock.monotonic() - began:.1f} s")
        verdict = Verdict(day.figures, outcome, delivered, sums.of_figures(days.sent()), elsewhere=elsewhere)
        await self._compare(verdict, days)
        await self._pull(verdict, days)
        self._console.print()
        verdict.print(self._console, f"day {day.number}")
        return verdict.balanced

    def _gateway(self) -> send.Destination:
        gateway = self._settings.gateway
        return send.Destination(
            url_of(gateway.host, gateway.port),
            send.publishable_key(self._storefront),
            batch_size=min(100, gateway.max_batch_events),
            batch_bytes=gateway.max_body_bytes,
        )

    async def _delivered(self) -> Balance:
        """Wait until nothing waits for delivery, or nothing moves any more, and return the balance then."""
        found = await self._balance()
        total, moved = found.waiting, self._clock.monotonic()
        if not total:
            return found
        with bar(self._console, "delivering", total) as shown:
            while found.waiting and self._clock.monotonic() - moved < QUIET_SECONDS:
                await self._clock.sleep(LOOK_SECONDS)
                before, found = found, await self._balance()
                if found.waiting != before.waiting:
                    moved = self._clock.monotonic()
                shown(total - found.waiting, max(0, total - found.waiting))
        return found

    async def _balance(self) -> Balance:
        balances = await balance(self._broker, self._settings)
        return next(each for each in balances if each.storefront == self._storefront.name)

    async def _compare(self, verdict: Verdict, days: Days) -> None:
        """Fill in what the log and the ingestion API say, as soon as they agree or the time for that is over."""
        deadline = self._clock.monotonic() + SETTLE_SECONDS
        while True:
            try:
                verdict.api = await self._overview()
            except (aiohttp.ClientError, TimeoutError) as error:
                verdict.api_fault = str(error) or "no answer in time"
            verdict.other, verdict.dead = await self._other(days), await self._dead()
            verdict.balance = await self._balance()
            if verdict.arrived or self._clock.monotonic() > deadline:
                return
            await self._clock.sleep(LOOK_SECONDS)

    async def _pull(self, verdict: Verdict, days: Days) -> None:
        """Have the exports pulled once more, so that they know of all that was delivered, and fill in what they say."""
        if not self._pulls:
            return
        for _ in range(MOST_PULLS):
            verdict.exports = await self._pulls.again(self._console)
            if not verdict.balanced:
                await self._compare(verdict, days)
            if verdict.balanced or verdict.exports.hopeless:
                return

    async def _dead_letters(self) -> AsyncIterator[Record]:
        name = self._storefront.name.encode()
        async for record in self._broker.read(DEAD_LETTERS):
            if dict(record.headers).get("storefront") == name:
                yield record

    async def _elsewhere(self, days: Days) -> sums.Sums:
        """Return what the ingestion API has that did not come through this log: what was sent to it directly, or ran on
        another log before. Whatever it lacks is not made up for: that will not balance.
        """
        await self._delivered()  # what an earlier run left waiting
        try:
            found = await self._overview()
        except (aiohttp.ClientError, TimeoutError):
            return sums.Sums()  # it is asked again, and told, at the end
        known = sums.of_figures(days.sent()).plus(await self._other(days)).plus(await self._dead(), -1)
        return found.plus(known, -1).at_least_none()

    async def _other(self, days: Days) -> sums.Sums:
        """Return what the log holds that is of no complete day."""
        return await sums.of_records(self._broker.read(events_topic(self._storefront.name)), days.marks())

    async def _dead(self) -> sums.Sums:
        return await sums.of_records(self._dead_letters(), ())

    async def _overview(self) -> sums.Sums:
        ingestion = self._storefront.ingestion
        timeout = aiohttp.ClientTimeout(total=API_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await sums.of_overview(session, ingestion.url, ingestion.api_key.get_secret_value())
