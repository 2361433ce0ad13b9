"""One account at work: whose turn it is, what is asked together, and what becomes of a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from broker.interface import BrokerError
from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable
from scheduler.export_work import text, unix
from scheduler.lease import NotOwner
from scheduler.question import Question
from scheduler.turns import Turns
from schemas.ledger import AccountState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.clock import Clock
    from scheduler.backoffs import Backoffs
    from scheduler.budget import Budget
    from scheduler.cache import Change
    from scheduler.delivery import Delivery
    from scheduler.export_work import ExportWork
    from scheduler.ledger import Ledger
    from scheduler.report import Report
    from scheduler.sources.interface import Answer, Source
    from schemas.commands import ExportCommand
    from schemas.ledger import ExportState, VendorJob

MOST_TOGETHER: Final = 20
"""How many exports go into one request at most, where the vendor takes several."""
LONGEST_WAIT: Final = 60.0
"""After so many seconds turns are looked at again whatever was planned: clocks are set, machines sleep."""


class AccountWork:
    """The exports of one account, at most `concurrency` requests at a time. Life: made → `run` until cancelled.

    `obey` may be called meanwhile. Whatever the ledger raises comes out of `run`: the partition has to be taken over anew.
    """

    def __init__(
        self,
        works: Sequence[ExportWork],
        source: Source,
        budget: Budget,
        ledger: Ledger,
        delivery: Delivery,
        backoffs: Backoffs,
        clock: Clock,
        report: Report,
    ) -> None:
        self.account = works[0].plan.account
        self._works = {work.plan.name: work for work in works}
        self._source = source
        self._budget = budget
        self._ledger = ledger
        self._delivery = delivery
        self._backoffs = backoffs
        self._clock = clock
        self._report = report
        self._turns = Turns()
        self._wake = asyncio.Event()
        self._pulls: set[asyncio.Task[None]] = set()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._rests_until = 0.0
        self._probing = False

    @property
    def exports(self) -> Iterable[str]:
        """Their names."""
        return self._works.keys()

    async def run(self) -> None:
        """Pull whatever is due until cancelled. Raises BrokerError, and NotOwner when ownership is in doubt."""
        for work in self._works.values():
            self._plan(work)
        async with asyncio.TaskGroup() as pulls:
            while True:
                group = self._take() if len(self._pulls) < self.account.concurrency else []
                if group:
                    self._begin(group, pulls)
                else:
                    await self._sleep()

    async def obey(self, name: str, command: ExportCommand) -> None:
        """Do what the command line wants of an export, and say so in the ledger. Raises BrokerError."""
        work = self._works[name]
        before = work.state
        wanted = work.obey(command)
        if wanted is None:
            return
        cancelled = wanted.cancel != before.cancel or wanted.status == "paused"
        task = self._under_way.pop(name, None) if cancelled else None
        if task is not None:
            # It stays busy until the ledger has the command: nobody begins it once more meanwhile.
            task.cancel()
            await asyncio.wait([task])
            wanted = work.obey(command) or work.state
        await self._write(work, wanted)
        work.obeyed(before)
        if task is not None:
            work.busy = False
        if wanted.status == "active" and before.status == "stopped":
            await self._unpark()
        self._plan(work)

    def _begin(self, group: Sequence[ExportWork], pulls: asyncio.TaskGroup) -> None:
        task = pulls.create_task(self._pull(group))
        self._pulls.add(task)
        before = [self._ledger.exports.get(work.plan.name) for work in group]
        for work in group:
            self._under_way[work.plan.name] = task

        def ended(task: asyncio.Task[None]) -> None:
            self._pulls.discard(task)
            for work, known in zip(group, before, strict=True):
                written = self._ledger.exports.get(work.plan.name)
                if written is not None and written is not known:
                    # A pull that was cancelled meanwhile has not heard of it.
                    work.state = written
                if self._under_way.get(work.plan.name) is task:
                    del self._under_way[work.plan.name]
                    work.busy = False
                    self._plan(work)

        task.add_done_callback(ended)

    def _take(self) -> list[ExportWork]:
        """Return who is to be asked for now, in one request if they are several."""
        now = self._clock.now()
        if now < self._rests_until or self._probing:
            return []
        parked = self._state().parked
        if parked and now < unix(self._state().probe_at):
            return []
        name = self._turns.take(now)
        if name is None:
            return []
        self._probing = bool(parked)
        first = self._works[name]
        first.busy = True
        group = [first]
        key = None if parked else self._key(first, now)
        apart: list[ExportWork] = []
        while key is not None and len(group) < MOST_TOGETHER and len(apart) < MOST_TOGETHER:
            name = self._turns.take(now)
            if name is None:
                break
            other = self._works[name]
            other.busy = True
            (group if self._key(other, now) == key else apart).append(other)
        for other in apart:
            other.busy = False
            self._plan(other)
        return group

    def _key(self, work: ExportWork, now: float) -> Any:
        if work.needs_beginning or (step := work.next(now)) is None:
            return None
        question = Question(work, step, now, self._keep_job)
        try:
            return self._source.together(question.asks[0])
        finally:
            question.close()

    async def _pull(self, group: Sequence[ExportWork]) -> None:
        """Ask for the next step of each, and publish what comes. A failure is put down in the ledger, each in its own state."""
        began = self._clock.monotonic()
        questions: list[Question] = []
        try:
            for work in group:
                if (refreshed := work.refreshed(self._clock.now())) is not None:
                    await self._write(work, refreshed)
                if await self._knows_its_beginning(work) and (step := work.next(self._clock.now())) is not None:
                    questions.append(Question(work, step, self._clock.now(), self._keep_job))
            if questions:
                outcomes = await self._ask(questions)
                await self._unpark_after(outcomes)
                for question in questions:
                    await self._settle(question, [outcomes.pop(0) for _ in question.asks], began)
        finally:
            self._probing = False
            for question in questions:
                question.close()

    async def _ask(self, questions: Sequence[Question]) -> list[Answer | PullError]:
        asks = [ask for question in questions for ask in question.asks]
        sinks = [sink for question in questions for sink in question.sinks]
        try:
            return list(await self._source.pull(asks, sinks))
        except (NotOwner, BrokerError):
            raise
        except PullError as error:
            return [error for _ in asks]
        except Exception as error:  # noqa: BLE001 - a fault of ours, or a vendor that answers as nobody thought: the others go on
            self._report.broke(questions[0].work.plan, error)
            return [Retryable(f"the answer could not be read: {type(error).__name__}") for _ in asks]

    async def _settle(self, question: Question, outcomes: Sequence[Answer | PullError], began: float) -> None:
        work = question.work
        change: Change | None = None
        try:
            error = await question.settle(outcomes)
            if error is None:
                change = await self._delivery.publish(question, self._account_now)
        except (ExportRefused, Retryable) as unpublished:
            error = unpublished
        if error is not None:
            await self._fail(work, error)
            self._report.failed(work, question.step.window, error, self._clock.monotonic() - began)
        elif change is None:
            self._report.held(work, question, self._clock.monotonic() - began)
        else:
            self._report.pulled(question, change, self._clock.monotonic() - began)

    async def _fail(self, work: ExportWork, error: PullError) -> None:
        now, state = self._clock.now(), work.state
        match error:
            case Parked(kind=kind):
                if now < unix(self._state().probe_at):
                    return  # another export's part of the same call, or of one under way beside it, has parked the account
                probes = self._state().probes + 1
                probe_at = text(now + self._backoffs.probe(probes))
                since = self._state().since or text(now)
                parked = replace(
                    self._account_now(), parked=kind, reason=str(error), since=since, probe_at=probe_at, probes=probes
                )
                await self._ledger.write({}, {self.account.name: parked})
                return
            case AccountRefused():
                active = [each for each in self._works.values() if each.state.status == "active"]
                states = {each.plan.name: each.failed(now, str(error), None) for each in active}
                await self._ledger.write(states, {self.account.name: self._account_now()})
                for each in active:
                    each.state = states[each.plan.name]
                    self._turns.drop(each.plan.name)
                    if not each.busy:  # who is asked for now is told of by who asked
                        self._report.failed(each, None, error, 0.0)
                return
            case ExportRefused():
                changed = work.failed(now, str(error), None)
            case _:
                asked = error.retry_after if isinstance(error, Retryable) else None
                wait = max(asked or 0.0, self._backoffs.retry(state.failures + 1))
                if isinstance(error, Retryable) and error.whole_account:
                    self._rests_until = now + wait
                changed = work.failed(now, str(error), wait)
        await self._write(work, changed)

    async def _knows_its_beginning(self, work: ExportWork) -> bool:
        """Ask the vendor for its beginning where the export needs it; False when that failed, which is then put down."""
        if not work.needs_beginning:
            return True
        question = Question(work, work.opening(self._clock.now()), self._clock.now(), self._keep_job)
        try:
            work.begins(await self._source.beginning(question.asks[0]))
        except PullError as error:
            await self._fail(work, error)
            self._report.failed(work, None, error, 0.0)
            return False
        finally:
            question.close()
        return True

    async def _keep_job(self, work: ExportWork, job: VendorJob) -> None:
        await self._write(work, replace(work.state, job=job))

    async def _unpark_after(self, outcomes: Sequence[Answer | PullError]) -> None:
        if self._state().parked and not any(isinstance(outcome, Parked) for outcome in outcomes):
            await self._unpark()

    async def _unpark(self) -> None:
        if self._state().parked:
            free = replace(self._account_now(), parked="", reason="", since="", probe_at="", probes=0)
            await self._ledger.write({}, {self.account.name: free})
        self._wake.set()

    async def _write(self, work: ExportWork, state: ExportState) -> None:
        await self._ledger.write({work.plan.name: state}, {self.account.name: self._account_now()})
        work.state = state

    def _state(self) -> AccountState:
        return self._ledger.accounts.get(self.account.name) or AccountState()

    def _account_now(self) -> AccountState:
        """Return the account's state with what was spent of its month until now."""
        spent = self._budget.spent
        return replace(self._state(), month=spent.month, requests=spent.requests)

    def _plan(self, work: ExportWork) -> None:
        """Give an export its next turn, if it has any."""
        ready = work.ready(self._clock.now())
        if ready is None:
            self._turns.drop(work.plan.name)
        else:
            at, regular = ready
            self._turns.set(work.plan.name, at, regular=regular)
        self._wake.set()

    async def _sleep(self) -> None:
        """Wait for the next turn, where there is a place for it, or for something to change."""
        self._wake.clear()
        if len(self._pulls) >= self.account.concurrency:
            await self._wake.wait()
            return
        now = self._clock.now()
        next_at = self._turns.next_at()
        wait = LONGEST_WAIT if next_at is None else min(LONGEST_WAIT, next_at - now)
        state = self._state()
        if state.parked:
            wait = max(wait, unix(state.probe_at) - now)
        wait = min(LONGEST_WAIT, max(wait, self._rests_until - now, 0.001))
        timer = asyncio.create_task(self._clock.sleep(wait))
        timer.add_done_callback(lambda timer: None if timer.cancelled() else self._wake.set())
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
