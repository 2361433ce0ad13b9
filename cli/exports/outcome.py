"""What became of a pull or a backfill that was asked for, judged by what the ledger tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cli.exports.wording import counted
from cli.printable import printable
from scheduler.coverage import Coverage
from scheduler.export_work import unix

if TYPE_CHECKING:
    from cli.exports.book import Book, Entry
    from schemas.commands import Backfill
    from schemas.ledger import AccountState, ExportState, Span

DAY_SECONDS: Final = 86_400


class Outcome(NamedTuple):
    """Whether it came to what was wanted, and how, in words for the one who asked."""

    good: bool
    text: str


class Pull:
    """A run of `export`, commanded with `nonce`. Life: made → `judge` after every record, until that gives an outcome."""

    def __init__(self, export: str, nonce: str) -> None:
        self.export = export
        self._nonce = nonce
        self._obeyed: Entry | None = None

    @property
    def is_obeyed(self) -> bool:
        """Whether its owner took it up."""
        return self._obeyed is not None

    def judge(self, book: Book) -> Outcome | None:
        """Return how it ended, as far as `book` tells; None while it goes on.

        An attempt that failed is an end, although it will be tried again: whoever waits should hear of it.
        """
        entry = book.entry(self.export)
        if entry is not None and self._obeyed is None and entry.state.run == self._nonce:
            self._obeyed = entry
        if entry is None or self._obeyed is None:
            return None
        # A pull that was under way when this one was asked for began earlier than the owner obeyed.
        if unix(entry.state.due) * 1000 >= self._obeyed.written_at:
            return Outcome(good=True, text=f"pulled; {counted(entry.state.rows)}")
        fault = self._fault(entry.state, self._obeyed.state, book.accounts.get(entry.state.account))
        return None if fault is None else Outcome(good=False, text=fault)

    def _fault(self, state: ExportState, before: ExportState, account: AccountState | None) -> str | None:
        """Return why it did not come about, in words; None while it may. `before`: the state when it was taken up."""
        if state.cancel != before.cancel:
            return "cancelled"
        if state.status == "paused":
            return "paused before it was pulled"
        if state.status == "stopped":
            return _stopped(self.export, state)
        if account is not None and account.parked:
            return _parked(state.account, account)
        return _retried(state) if state.failures and state.attempted != before.attempted else None


class History:
    """A backfill of `export` that is under way. Life: made → `judge` after every record, until that gives an outcome.

    `cancels`: the nonces of cancels that came before it. `seconds` is how much time it spans, `done` how much of that is
    published: what was asked for, widened to whole buckets.
    """

    def __init__(self, export: str, backfill: Backfill, cancels: set[str]) -> None:
        self.export = export
        self.is_obeyed = False
        self.seconds = 0
        self.done = 0
        self._id = backfill.id
        self._cancels = cancels

    def judge(self, book: Book) -> Outcome | None:
        """Return how it ended, as far as `book` tells; None while it goes on."""
        state = book.state(self.export)
        if state is None:
            return None
        if state.cancel not in self._cancels:
            return Outcome(good=False, text="cancelled")
        self.is_obeyed = self.is_obeyed or self._id in state.backfills
        if not self.is_obeyed:
            return None
        task = next((task for task in state.tasks if task.id == self._id), None)
        if task is None:
            self.done = self.seconds
            return Outcome(good=True, text=f"done; {counted(state.rows)}")
        self.seconds = _seconds([task.asked])
        self.done = self.seconds - _seconds(task.left)
        return Outcome(good=False, text=_stopped(self.export, state)) if state.status == "stopped" else None

    def hindrance(self, book: Book) -> str | None:
        """Return why it does not get on at present, in words; None while it does."""
        state = book.state(self.export)
        if state is None:
            return None
        account = book.accounts.get(state.account)
        if state.status == "paused":
            return f"paused; it goes on after `sluice exports resume {self.export}`"
        if account is not None and account.parked:
            return _parked(state.account, account)
        if state.failures:
            return _retried(state)
        return printable(state.reason) if state.held is not None else None


def _stopped(export: str, state: ExportState) -> str:
    return f"stopped: {printable(state.reason)}; `sluice exports resume {export}` asks the vendor again"


def _retried(state: ExportState) -> str:
    return f"failed: {printable(state.reason)}; it is tried again at {state.retry_at}"


def _parked(name: str, account: AccountState) -> str:
    return f"its account {name} is parked ({account.parked}): {printable(account.reason)}; it is probed at {account.probe_at}"


def _seconds(spans: list[Span]) -> int:
    windows = Coverage.decode(spans).windows()
    return round(sum((window.end - window.start).total_seconds() for window in windows))
