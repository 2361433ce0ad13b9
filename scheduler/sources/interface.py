"""What a vendor is to the scheduler: something that checks exports, and answers asks with rows.

`Vendor` is what is known without a connection, `Source` an account at work. A source knows requests and answers; schedules,
windows, coverage, retries, budgets, change detection and publishing are the scheduler's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from runtime.cross_checks import Conflict
    from runtime.settings import AccountSettings, ExportSettings
    from runtime.toml_lines import Path
    from scheduler.caller import Caller
    from scheduler.credentials import Credentials
    from scheduler.errors import PullError
    from scheduler.plan import Plan, Shape, Window
    from schemas.exports import Flag, Number, Scalar


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a vendor, for one export.

    `window`: whole buckets in the export's zone, except that the last may still be running (`window.end` is that bucket's end,
    which is then after `now`); None where the shape is not dated. A time-axis shape may span many buckets, another exactly one;
    TOTAL has its real span. `compare`: the same buckets earlier, only where configured. `query`: the vendor's own request body,
    with one value where the configuration splits a list (as a list of that one value). `dimensions`: what the split says, to be
    put in every row. `id`: the same across retries of a pull. `job`: the handle of a vendor job that an earlier owner
    started for this very ask, to be taken up again; `keep_job` makes a handle durable before polling begins.
    """

    plan: Plan
    window: Window | None
    compare: Window | None
    query: Mapping[str, Any]
    dimensions: Mapping[str, Scalar]
    now: datetime
    id: str
    job: Mapping[str, Any] | None
    keep_job: Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Found:
    """One row of an answer, before the scheduler adds what it knows itself.

    `bucket`: from its start to the next bucket's start, in the export's zone, also where the period cut it short; None for
    TOTAL and NONE. `metrics`: what the vendor sent as a number or null; what it did not send is not there; what it answered with
    "N/A" stands in `unavailable`. `attributes`: JSON values. `compare`: with what the row compares, where it does.
    """

    bucket: Window | None
    dimensions: Mapping[str, Scalar]
    metrics: Mapping[str, Number]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    unavailable: Sequence[str] = ()
    flags: Sequence[Flag] = ()
    compare: Window | None = None


class Sink(Protocol):
    """Where the rows of one ask go: staged on disk, published only when the answer is complete."""

    def put(self, found: Found) -> None:
        """Take a row. Cheap, may be called from any one thread at a time; a row with the key of an earlier one replaces it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """That an ask was answered to its end.

    `whole`: nothing is missing that the vendor has; False after truncation, clamping or filtering: nothing is then taken
    for vanished. `covered`: what the answer really spans when that is less than was asked (a clamp); None: all of it.
    `flags`: of every row of this answer. `currency`, `timezone`: as the rows tell them, None where the vendor does not say.
    """

    whole: bool = True
    covered: Window | None = None
    flags: Sequence[Flag] = ()
    currency: str | None = None
    timezone: str | None = None


class Source(ABC):
    """One account at one vendor. Life: `Vendor.open` → `pull` … → `close`."""

    def together(self, ask: Ask) -> Hashable | None:
        """Return what asks must share to go in one request; None: this one goes alone."""
        del ask
        return None

    @abstractmethod
    async def pull(self, asks: Sequence[Ask], sinks: Sequence[Sink]) -> Sequence[Answer | PullError]:
        """Answer the asks, which share what `together` says, each into its own sink; waits for the vendor.

        One that fails gets its error in its place; raises PullError when all fail alike. Anything else raised is a bug. May be
        cancelled at any time.
        """

    @abstractmethod
    async def beginning(self, ask: Ask) -> date:
        """Return the first day (in the export's zone) that the vendor has anything of, for lookback "all". Raises PullError."""

    async def close(self) -> None:  # noqa: B027  # most have nothing to free
        """Free what the source holds itself. Idempotent."""


class Vendor(ABC):
    """What is known of a vendor without asking it. Instances hold no state."""

    @abstractmethod
    def account_conflicts(self, account: AccountSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the account whose table is at `path`: credentials that are missing, or of another vendor."""

    @abstractmethod
    def export_conflicts(self, account: AccountSettings, export: ExportSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the export whose table is at `path`, query included, each with its cure and for a misspelt name
        the nearest right one.
        """

    def warnings(self, export: ExportSettings, path: Path) -> Iterator[Conflict]:
        """Yield what may be wrong with the export whose table is at `path`, though only the vendor knows: it is asked all the same."""
        del export, path
        yield from ()

    @abstractmethod
    def shape(self, account: AccountSettings, export: ExportSettings) -> Shape:
        """Return how the vendor will answer an export without conflicts."""

    @abstractmethod
    def credentials(self, account: AccountSettings) -> Credentials:
        """Return what every request of this account carries."""

    @abstractmethod
    def open(self, account: AccountSettings, caller: Caller) -> Source:
        """Return the source of this account; what it asks goes through `caller`."""
