"""What one export needs next: its state in the ledger, its schedule and the clock put together.

Nothing here asks or waits. Every change is a new `ExportState`, which counts once the ledger has it.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

from msgspec.structs import replace

from scheduler import history
from scheduler.coverage import Coverage
from scheduler.digests import access_digest, query_digest
from scheduler.plan import Window
from scheduler.schedule import jitter
from scheduler.windows import days, lookback, slices
from schemas.ledger import ExportState, HeldBack, Task

if TYPE_CHECKING:
    from datetime import date

    from scheduler.plan import Plan
    from scheduler.schedule import Schedule
    from schemas.commands import ExportCommand

REFRESH: Final = "refresh"
HELD_SECONDS: Final = 5.0
"""After how long an answer is asked for again under which too much would vanish."""


class Step(NamedTuple):
    """What to ask for next: whole buckets, or no dates at all. `regular`: as against history; `id`: the same while it is retried."""

    window: Window | None
    regular: bool
    id: str


class ExportWork:
    """One export between its schedule and its vendor. Times are Unix seconds where they are floats.

    `state` is what the ledger has: whoever changes it writes it there first. `busy` while a step of it is under way.
    `beginning`: the vendor's, once it was asked, for lookback "all".
    """

    def __init__(
        self, plan: Plan, schedule: Schedule, refresh: Schedule | None, state: ExportState | None, now: float
    ) -> None:
        self.plan = plan
        self.state = _adopted(plan, state)
        self.busy = False
        self.beginning: datetime | None = None
        self._schedule = schedule
        self._refresh = refresh
        self._jitter = jitter(plan.name, schedule).total_seconds()
        self._regular: deque[Step] = deque()
        self._history: Step | None = None
        self._begun = 0.0
        self._recent = 0.0
        self._refreshes = ("", math.inf)
        self._run = False
        last = unix(self.state.due)
        missed = last == 0 or schedule.missed(instant(last), instant(now)) is not None
        # Whoever takes over does not ask sooner than the last owner would have.
        self.due = max(now, unix(self.state.retry_at)) if missed else self._after(now)

    @property
    def needs_beginning(self) -> bool:
        """Whether the vendor has to say where its data begin before the next regular step can be made out."""
        return self.plan.shape.dated and self.plan.export.lookback.kind == "all" and self.beginning is None

    def ready(self, now: float) -> tuple[float, bool] | None:
        """Return from when on there is something to ask for, and whether it is regular; None while the export rests, until
        somebody changes that.
        """
        if self.busy or self.state.status != "active":
            return None
        held_off = unix(self.state.retry_at)
        if self._regular or self._run:
            return held_off, True
        if self._older(now) is not None:
            return (self.due, True) if self.due <= now else (held_off, False)
        if (refresh := self._refresh_due()) < self.due:
            return max(held_off, refresh), False
        return max(held_off, self.due), True

    def next(self, now: float) -> Step | None:
        """Return what to ask for: regular steps before history, the newest window first. None when nothing is to do."""
        if not self._regular and (self._run or now >= self.due):
            self._begin(now)
        return self._regular[0] if self._regular else self._older(now)

    def opening(self, now: float) -> Step:
        """Return the step to ask the vendor for its beginning with."""
        return Step(Window(instant(now), instant(now)), regular=True, id=uuid4().hex)

    def begins(self, day: date) -> None:
        """Take note of the vendor's first day, in the export's zone."""
        self.beginning = days(self.plan, day.isoformat(), day.isoformat()).start

    def obey(self, command: ExportCommand) -> ExportState | None:
        """Return the state that the command line wants; None when it is the present one. Call `obeyed` when the ledger has it."""
        state = self.state
        status = "paused" if command.state == "paused" else "active" if state.status == "paused" else state.status
        lifted = command.resume != state.resume or command.run != state.run
        if lifted and status == "stopped":
            status = "active"
        tasks = [] if command.cancel != state.cancel else list(state.tasks)
        for backfill in command.backfills:
            if backfill.id not in state.backfills and self.plan.shape.has_history:
                span = Coverage().with_(days(self.plan, backfill.start, backfill.end)).encode()
                tasks.append(Task(id=backfill.id, asked=span[0], left=span))
        changed = replace(
            state,
            status=status,
            reason=state.reason if status == state.status else "",
            retry_at="" if lifted else state.retry_at,
            tasks=tasks,
            # Until it has run, whoever takes over finds it due.
            due=state.due if command.run == state.run else "",
            backfills=[backfill.id for backfill in command.backfills],
            run=command.run,
            cancel=command.cancel,
            resume=command.resume,
        )
        return None if changed == state else changed

    def obeyed(self, before: ExportState) -> None:
        """Act on what the ledger now has: `before` is the state before a command."""
        if self.state.run != before.run:
            self._run = True
        if self.state.cancel != before.cancel:
            self._run = False
            self._regular.clear()

    def refreshed(self, now: float) -> ExportState | None:
        """Return the state that wants all coverage again, when that is due; else None."""
        if self._refresh is None or (self.state.refreshed and now < self._refresh_due()):
            return None
        tasks = [task for task in self.state.tasks if task.id != REFRESH]
        spans = self.state.covered
        if spans and self.state.refreshed:  # the first time only marks from when on it counts
            tasks.append(Task(id=REFRESH, asked=(spans[0][0], spans[-1][1]), left=spans))
        return replace(self.state, refreshed=text(now), tasks=tasks)

    def failed(self, now: float, reason: str, retry_in: float | None) -> ExportState:
        """Return the state after a failure: to be tried again in `retry_in` seconds, or stopped (None)."""
        return replace(
            self.state,
            status="stopped" if retry_in is None else self.state.status,
            reason=reason,
            attempted=text(now),
            failures=self.state.failures + 1,
            retry_at="" if retry_in is None else text(now + retry_in),
        )

    def held(self, now: float, held: HeldBack) -> ExportState:
        """Return the state while an answer is held back under which too much would vanish."""
        reason = f"held back: {held.vanishing} of {held.of} rows would vanish; it is asked for again"
        return replace(self.state, reason=reason, held=held, attempted=text(now), retry_at=text(now + HELD_SECONDS))

    def published(
        self, step: Step, covered: Window | None, pulled_at: datetime, rows: int, *, last: bool
    ) -> ExportState:
        """Return the state after a piece of a step is published, `last`: after all of it.

        `covered`: what the piece spans; its buckets that are over enter coverage.
        """
        now, begin = pulled_at.timestamp(), self.state.begin or (text(self._recent) if self._recent else "")
        state = history.covering(self.plan, replace(self.state, rows=rows, begin=begin), covered, pulled_at)
        if not last:
            return state
        if step.window is not None:
            state = history.settling(self.plan, state, step.window, pulled_at)
        finished = step.regular and len(self._regular) <= 1
        return replace(
            state,
            reason="",
            attempted=text(now),
            succeeded=text(now),
            due=text(self._begun) if finished else state.due,
            failures=0,
            retry_at="",
            held=None,
            job=None,
        )

    def done(self, step: Step) -> None:
        """Take a step off the list that the ledger has as published."""
        if self._regular and self._regular[0].id == step.id:
            self._regular.popleft()
        if self._history is not None and self._history.id == step.id:
            self._history = None

    def _begin(self, now: float) -> None:
        self._run = False
        self._begun = now
        self.due = self._after(now)
        plan, shape = self.plan, self.plan.shape
        windows: list[Window | None] = [None]
        if shape.dated:
            whole = lookback(plan, instant(now), self.beginning)
            if shape.resolution == "TOTAL":
                windows = [self._at_the_vendor() or whole]
            else:
                windows = [*slices(whole, plan)]
                self._recent = whole.start.timestamp()
        self._regular.extend(Step(window, regular=True, id=uuid4().hex) for window in windows)

    def _after(self, now: float) -> float:
        return self._schedule.after(instant(now - self._jitter)).timestamp() + self._jitter

    def _at_the_vendor(self) -> Window | None:
        """Return the window of the job that an earlier owner started: another one's end would not meet it."""
        if self.state.job is None or self.state.job.window is None:
            return None
        start, end = (datetime.fromisoformat(each).astimezone(self.plan.shape.zone) for each in self.state.job.window)
        return Window(start, end)

    def _refresh_due(self) -> float:
        """Return when all coverage is wanted again; never, before the export was pulled for the first time."""
        if self._refresh is None or not self.state.refreshed:
            return math.inf
        if self._refreshes[0] != self.state.refreshed:
            due = self._refresh.after(instant(unix(self.state.refreshed)))
            self._refreshes = (self.state.refreshed, due.timestamp())
        return self._refreshes[1]

    def _older(self, now: float) -> Step | None:
        """Return the newest window of history that is wanted."""
        window = None
        if self.plan.shape.has_history and not self.needs_beginning:
            window = history.newest(self.plan, self.state, lookback(self.plan, instant(now), self.beginning).start)
        if window is None:
            self._history = None
        elif self._history is None or self._history.window != window:
            self._history = Step(window, regular=False, id=uuid4().hex)
        return self._history


def instant(seconds: float) -> datetime:
    """Return a Unix time as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def text(seconds: float) -> str:
    """Return a Unix time as the ledger writes it, rounded up to milliseconds: what is read back is never earlier."""
    return (instant(seconds) + timedelta(microseconds=999)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(written: str) -> float:
    """Return a time of the ledger in Unix seconds; 0 for none."""
    return datetime.fromisoformat(written).timestamp() if written else 0.0


def _adopted(plan: Plan, state: ExportState | None) -> ExportState:
    """Return the state to go on from: without a query that is the same, nothing is covered; a new one lifts a stop."""
    query, access = query_digest(plan), access_digest(plan)
    fresh = ExportState(
        account=plan.account.name, source=plan.account.source, dataset=plan.export.dataset, query=query, access=access
    )
    if state is None:
        return fresh
    lifted = state.status == "stopped" and (state.query, state.access) != (query, access)
    state = replace(
        state,
        account=fresh.account,
        source=fresh.source,
        dataset=fresh.dataset,
        access=access,
        status="active" if lifted else state.status,
        reason="" if lifted else state.reason,
    )
    if state.query == query:
        return state
    return replace(state, query=query, covered=[], lacking=[], held=None, job=None, due="")
