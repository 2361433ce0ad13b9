"""All that is known of one export: its configuration, what its owner reports, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias
from zoneinfo import ZoneInfo

from scheduler.buckets import day_start
from scheduler.coverage import Coverage
from scheduler.export_work import REFRESH, instant, unix
from scheduler.plan import Window
from scheduler.schedule import Schedule, jitter
from schemas.ledger import AccountState, ExportState

if TYPE_CHECKING:
    from datetime import date

    from cli.exports.book import Book
    from runtime.settings import AccountSettings, ExportSettings, Settings
    from schemas.commands import Backfill, ExportCommand

Condition: TypeAlias = Literal[
    "not configured",
    "new",
    "stopped",
    "paused",
    "parked",
    "held back",
    "retrying",
    "backfilling",
    "refreshing",
    "catching up",
    "active",
]


@dataclass(frozen=True, slots=True)
class View:
    """One export. `export` None: it is not configured (any more). `known`: whether a scheduler ever had it; `state` and
    `account_state` are empty where none had, `account` is None where it is not configured.
    """

    name: str
    export: ExportSettings | None
    account: AccountSettings | None
    known: bool
    state: ExportState
    account_state: AccountState
    command: ExportCommand | None

    @property
    def source(self) -> str:
        """Its vendor."""
        return self.state.source if self.account is None else self.account.source

    @property
    def dataset(self) -> str:
        """The vendor's name of what it pulls."""
        return self.state.dataset if self.export is None else self.export.dataset

    @property
    def account_name(self) -> str:
        """The account it belongs to."""
        return self.state.account if self.export is None else self.export.account

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which its days are."""
        return ZoneInfo("UTC") if self.export is None else self.export.timezone

    @property
    def condition(self) -> Condition:
        """What it is about, in a word or two: whatever an operator should know first."""
        if self.export is None:
            return "not configured"
        if not self.known:
            return "new"
        return self._doing if self.state.status == "active" else self.state.status

    @property
    def _doing(self) -> Condition:
        if self.account_state.parked:
            return "parked"
        if self.state.held is not None:
            return "held back"
        if self.state.failures:
            return "retrying"
        if self.state.tasks:
            return "refreshing" if all(task.id == REFRESH for task in self.state.tasks) else "backfilling"
        return "catching up" if self.gaps else "active"

    @property
    def wanted(self) -> Literal["active", "paused"] | None:
        """What the command line wants of it while its owner has not obeyed; None when it has."""
        wanted = "active" if self.command is None else self.command.state
        return wanted if (wanted == "paused") != (self.state.status == "paused") else None

    @property
    def reason(self) -> str:
        """Why it does not get on, or failed last; empty when all is fine."""
        return self.account_state.reason if self.condition == "parked" else self.state.reason

    @property
    def covered(self) -> list[Window]:
        """What was pulled of its history, in UTC, the earliest first."""
        return Coverage.decode(self.state.covered).windows()

    @property
    def gaps(self) -> list[Window]:
        """What of its history is wanted and still to be pulled, up to the end of what is, in UTC."""
        spans, begin = self.covered, self.state.begin
        if not spans or not begin:
            return []
        wanted = [instant(unix(begin))]
        if self.export is not None and self.export.since is not None:
            wanted.append(day_start(self.export.since, self.zone).astimezone(UTC))
        return Coverage.decode([*self.state.covered, *self.state.lacking]).gaps(Window(min(wanted), spans[-1].end))

    @property
    def waiting(self) -> list[Backfill]:
        """The backfills that are asked for and that its owner has not taken up."""
        asked = [] if self.command is None else self.command.backfills
        return [each for each in asked if each.id not in self.state.backfills]

    def next_due(self, now: float) -> float | None:
        """Return when it is asked for next, in Unix seconds, `now` at the earliest; None while it rests until somebody acts."""
        if self.export is None or self.state.status != "active":
            return None
        due = unix(self.state.retry_at)
        if self.state.due and not due:
            schedule = Schedule.of(self.export)
            late = jitter(self.name, schedule)
            due = (schedule.after(instant(unix(self.state.due)) - late) + late).timestamp()
        probe_at = unix(self.account_state.probe_at) if self.account_state.parked else 0.0
        return max(now, due, probe_at)

    def days(self, window: Window) -> tuple[date, date]:
        """Return the first and the last day of a window, in the export's zone."""
        last = window.end.astimezone(UTC) - timedelta(microseconds=1)
        return window.start.astimezone(self.zone).date(), last.astimezone(self.zone).date()

    def age(self, now: float) -> float | None:
        """Return how many seconds ago it was pulled well; None when it never was."""
        return now - unix(self.state.succeeded) if self.state.succeeded else None


def views(settings: Settings, book: Book, commands: dict[str, ExportCommand]) -> list[View]:
    """Return every configured export, in their order, and after them those that only the ledger knows."""
    exports = {export.name: export for export in settings.exports}
    accounts = {account.name: account for account in settings.accounts}
    found = []
    for name in [*exports, *(name for name in sorted(book.exports) if name not in exports)]:
        export, heard = exports.get(name), book.state(name)
        state = heard or ExportState(account="", source="", dataset="")
        account = state.account if export is None else export.account
        found.append(
            View(
                name,
                export,
                accounts.get(account),
                known=heard is not None,
                state=state,
                account_state=book.accounts.get(account) or AccountState(),
                command=commands.get(name),
            )
        )
    return found
