"""A ProfitMetrics account that pulls from the stand-in in the test's own event loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture

from runtime.clock import ManualClock, SystemClock
from runtime.settings import AccountSettings, ExportSettings
from sandbox.profitmetrics.stand_in import PREFIX
from scheduler.body import Body
from scheduler.buckets import shifted
from scheduler.budget import Budget
from scheduler.caller import Caller
from scheduler.errors import PullError
from scheduler.plan import Plan, Window
from scheduler.reply import Reply
from scheduler.sources.interface import Answer, Ask, Found
from scheduler.sources.profitmetrics.vendor import ProfitMetrics
from tests.sandbox.profitmetrics.asking import EUROS, KEY, NOW, Asking, asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from scheduler.sources.interface import Source

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NEW_YORK = ZoneInfo("America/New_York")
SITES = {"reports": "sites", "export": "csids"}


def account(**more: Any) -> AccountSettings:
    secret = SecretStr(more.pop("key", KEY))
    more = {"url": "https://api.my.profitmetrics.io", "requests_per_minute": 60_000, **more}
    return AccountSettings(name="profit", source="profitmetrics", api_key=secret, **more)


def export(
    metrics: Sequence[str] | None = None,
    *,
    dataset: str = "reports",
    flags: Mapping[str, bool | None] | None = None,
    **more: Any,
) -> ExportSettings:
    """Return an export of DAY in euros of one site; `more` goes where it belongs, into the query or beside it."""
    more |= flags or {}
    keys = {
        name: more.pop(name) for name in tuple(more) if name in ExportSettings.model_fields and name != "resolution"
    }
    query: dict[str, Any] = {}
    if dataset != "metrics":
        query = {SITES[dataset]: [EUROS], "currency": "EUR", "resolution": "DAY"}
        query |= {} if metrics is None else {"metrics": list(metrics)}
    query = {name: value for name, value in {**query, **more}.items() if value is not None}
    keys = {"name": "daily", "account": "profit", "every": "1h", "timezone": COPENHAGEN, **keys}
    return ExportSettings(dataset=dataset, query=query, **keys)


def window(zone: ZoneInfo, start: str, end: str) -> Window:
    return Window(datetime.fromisoformat(start).replace(tzinfo=zone), datetime.fromisoformat(end).replace(tzinfo=zone))


async def _keep_no_job(_handle: Mapping[str, Any]) -> None:
    raise AssertionError("this vendor has no jobs")


def ask(
    settings: ExportSettings,
    start: str = "2026-06-15",
    end: str = "2026-06-18",
    *,
    number: int = 0,
    now: datetime = NOW,
    dimensions: Mapping[str, Any] | None = None,
    of: AccountSettings | None = None,
) -> Ask:
    owner = of or account()
    plan = Plan(settings, owner, ProfitMetrics().shape(owner, settings))
    asked = window(settings.timezone, start, end) if plan.shape.dated else None
    return Ask(
        plan=plan,
        window=asked,
        compare=None if settings.compare is None or asked is None else shifted(asked, settings.compare),
        query=settings.query,
        dimensions=dimensions or {},
        now=now,
        id=f"pull-{number}",
        job=None,
        keep_job=_keep_no_job,
    )


class Rows:
    """A sink: rows by bucket and dimensions, as the stage keeps them."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, bytes], Found] = {}

    def put(self, found: Found) -> None:
        bucket = "" if found.bucket is None else found.bucket.start.astimezone(UTC).isoformat()
        self.by_key[bucket, orjson.dumps(found.dimensions, option=orjson.OPT_SORT_KEYS)] = found

    @property
    def found(self) -> list[Found]:
        return [self.by_key[key] for key in sorted(self.by_key)]

    @property
    def starts(self) -> list[str]:
        return [found.bucket.start.isoformat() for found in self.found if found.bucket is not None]

    def values(self, metric: str) -> list[Any]:
        return [found.metrics[metric] for found in self.found if metric in found.metrics]


class Pulled(NamedTuple):
    outcome: Answer | PullError
    rows: Rows

    @property
    def error(self) -> PullError:
        assert isinstance(self.outcome, PullError), self.outcome
        return self.outcome

    @property
    def answer(self) -> Answer:
        assert isinstance(self.outcome, Answer), self.outcome
        return self.outcome


class World:
    """The stand-in, and a source that asks it. `logged`: what that says of the vendor's answers."""

    def __init__(self, vendor: Asking) -> None:
        self.vendor = vendor
        self.logged = LogCapture()
        self.source = source(vendor, logged=self.logged)

    async def pull(self, *asks: Ask) -> list[Pulled]:
        sinks = [Rows() for _ in asks]
        outcomes = await self.source.pull(asks, sinks)
        return [Pulled(outcome, rows) for outcome, rows in zip(outcomes, sinks, strict=True)]

    async def one(
        self, settings: ExportSettings, start: str = "2026-06-15", end: str = "2026-06-18", **more: Any
    ) -> Pulled:
        (pulled,) = await self.pull(ask(settings, start, end, **more))
        return pulled

    async def requests(self) -> list[dict[str, Any]]:
        """Return what was asked, the live catalogue left out."""
        asked: list[dict[str, Any]] = (await self.vendor.asked())["last"]
        return [request for request in asked if not request["path"].endswith("/metrics")]


def source(
    vendor: Asking, key: str = KEY, may_ask: Callable[[], None] = lambda: None, logged: LogCapture | None = None
) -> Source:
    """Return a source with an account of its own; what it waits for is real, and short."""
    owner, profitmetrics, clock = account(key=key, url=vendor.url + PREFIX), ProfitMetrics(), SystemClock()
    caller = Caller(
        owner,
        Budget(owner.requests_per_minute, None, owner.concurrency, clock),
        profitmetrics.credentials(owner),
        vendor.session,
        structlog.wrap_logger(
            None, processors=[logged or LogCapture()], wrapper_class=structlog.make_filtering_bound_logger(0)
        ),
        clock,
        may_ask=may_ask,
    )
    return profitmetrics.open(owner, caller)


@asynccontextmanager
async def world(now: datetime = NOW) -> AsyncIterator[World]:
    """Run both; `now`: where the stand-in's clock stands still."""
    async with asking(ManualClock(now.timestamp())) as vendor:
        yield World(vendor)


async def reply(content: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer with this content: bytes as they are, anything else as JSON. It is never closed: it is small."""
    body = Body()
    await body.write(content if isinstance(content, bytes) else orjson.dumps(content))
    await body.finish()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)
