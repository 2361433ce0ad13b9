"""One partition of the ledger that this process owns, with the accounts whose names fall into it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.interface import BrokerError
from runtime.errors import one_line
from scheduler.account_work import AccountWork
from scheduler.budget import Budget, MonthSpent
from scheduler.caller import Caller
from scheduler.delivery import Delivery
from scheduler.export_work import ExportWork
from scheduler.lease import NotOwner
from scheduler.ledger import taken_over
from scheduler.schedule import Schedule
from scheduler.sources.catalogue import vendor_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import aiohttp
    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker
    from runtime.clock import Clock
    from scheduler.backoffs import Backoffs
    from scheduler.lease import Lease
    from scheduler.ledger import Ledger
    from scheduler.plan import Plan
    from scheduler.report import Report
    from scheduler.sources.interface import Source
    from scheduler.wishes import Wishes
    from schemas.commands import ExportCommand


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every estate of a process works with. `partitions`: by topic, as pinned at the start; `directory`: for caches."""

    broker: Broker
    partitions: Mapping[str, int]
    session: aiohttp.ClientSession
    wishes: Wishes
    lease: Lease
    backoffs: Backoffs
    report: Report
    directory: Path
    clock: Clock
    log: FilteringBoundLogger


class Estate:
    """Works on the accounts of one partition. Life: made → `run` until cancelled.

    When anything makes ownership or the ledger doubtful, all of it is dropped and taken over anew.
    """

    def __init__(self, partition: int, plans: Sequence[Plan], surroundings: Surroundings) -> None:
        self._partition = partition
        self._plans = plans
        self._around = surroundings
        self._ledger: Ledger | None = None
        self._by_export: dict[str, AccountWork] = {}
        self._doubt: asyncio.Future[None] | None = None
        self._reason: str | None = "not taken over yet"
        self._taken_over = self._given_up = False

    def fault(self) -> str | None:
        """Return why nothing is pulled, in an operator's words; None while it is."""
        return self._reason

    def give_up(self) -> None:
        """Ask nothing from now on, abort what is being written: the partition is about to go to another, or has gone. Cancel `run`
        next. Does not wait.
        """
        # Until its cancellation has come down to a request that is about to be sent, that would be.
        self._given_up = True
        if self._ledger is not None:
            self._ledger.give_up()

    async def run(self) -> None:
        """Take the partition over and work on it, again and again, until cancelled."""
        around, failures = self._around, 0
        while True:
            try:
                # In a task of its own: a failing task group may leave its task counted as cancelled for good (before Python 3.13).
                await asyncio.create_task(self._own())
            except* (BrokerError, NotOwner) as group:
                failures = 1 if self._taken_over else failures + 1
                self._reason = one_line(_first(group))
            _raise_if_cancelled()
            around.log.warning("ledger to be taken over again", partition=self._partition, reason=self._reason)
            await around.clock.sleep(around.backoffs.takeover(failures))

    async def heard(self, name: str, command: ExportCommand) -> None:
        """Do what the command line wants of an export, if it is one of these."""
        work, doubt = self._by_export.get(name), self._doubt
        if work is None or doubt is None:
            return  # whoever takes the partition over asks what is wanted
        try:
            await work.obey(name, command)
        except BrokerError as error:
            if not doubt.done():
                doubt.set_exception(error)

    async def _own(self) -> None:
        around = self._around
        self._taken_over = False
        # Whoever was replaced unawares would fence the rightful owner.
        await around.lease.taken_up()
        async with taken_over(around.broker, self._partition, around.directory) as ledger:
            self._taken_over = True
            await self._work(ledger)

    async def _work(self, ledger: Ledger) -> None:
        sources: list[Source] = []
        doubt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            works = [self._account(plans, ledger, sources) for plans in _by_account(self._plans)]
            self._ledger, self._doubt = ledger, doubt
            self._by_export = {name: work for work in works for name in work.exports}
            self._around.log.info("ledger taken over", partition=self._partition, exports=len(self._by_export))
            self._reason = None
            async with asyncio.TaskGroup() as group:
                group.create_task(self._around.lease.run_out())
                group.create_task(_outcome(doubt))
                for work in works:
                    group.create_task(work.run())
                for name, work in self._by_export.items():
                    if (command := self._around.wishes.of(name)) is not None:
                        await work.obey(name, command)
        finally:
            self._ledger, self._doubt, self._by_export = None, None, {}
            if not doubt.cancel() and not doubt.cancelled():
                doubt.exception()  # it may have come too late for anybody to ask
            for source in sources:
                await source.close()

    def _may_ask(self) -> None:
        if self._given_up:
            raise NotOwner("this process was told to give the account up")
        self._around.lease.check()

    def _account(self, plans: Sequence[Plan], ledger: Ledger, sources: list[Source]) -> AccountWork:
        around, account = self._around, plans[0].account
        vendor = vendor_of(account.source)
        assert vendor is not None  # noqa: S101  # a plan has one
        state = ledger.accounts.get(account.name)
        spent = None if state is None else MonthSpent(state.month, state.requests)
        budget = Budget(
            account.requests_per_minute, account.requests_per_month, account.concurrency, around.clock, spent
        )
        credentials = vendor.credentials(account)
        caller = Caller(
            account,
            budget,
            credentials,
            around.session,
            around.log,
            around.clock,
            may_ask=self._may_ask,
            directory=around.directory,
        )
        source = vendor.open(account, caller)
        sources.append(source)
        now = around.clock.now()
        works = [ExportWork(plan, *_schedules(plan), ledger.exports.get(plan.name), now) for plan in plans]
        for work in works:
            around.report.took_over(work)
        delivery = Delivery(ledger, around.partitions, around.clock)
        return AccountWork(works, source, budget, ledger, delivery, around.backoffs, around.clock, around.report)


def _by_account(plans: Sequence[Plan]) -> list[list[Plan]]:
    found: dict[str, list[Plan]] = {}
    for plan in plans:
        found.setdefault(plan.account.name, []).append(plan)
    return list(found.values())


def _schedules(plan: Plan) -> tuple[Schedule, Schedule | None]:
    refresh = plan.export.refresh
    return Schedule.of(plan.export), None if refresh is None else Schedule(
        expression=refresh, zone=plan.export.timezone
    )


async def _outcome(future: asyncio.Future[None]) -> None:
    await future


def _raise_if_cancelled() -> None:
    """Raise what is lost when a task that is waited for fails as it is cancelled along: that whoever waits was cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
