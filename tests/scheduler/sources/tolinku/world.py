"""A Tolinku account that asks whatever listens at a URL, and what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr

from runtime.clock import SystemClock
from runtime.settings import AccountSettings, ExportSettings
from scheduler.buckets import day_start
from scheduler.budget import Budget
from scheduler.caller import Caller
from scheduler.plan import Plan, Window
from scheduler.sources.interface import Answer, Ask, Found
from scheduler.sources.tolinku.vendor import Tolinku

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from runtime.clock import Clock

NOW = datetime(2026, 2, 10, 12, 20, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
ROOT = "/v1/api/analytics/ecommerce"
KEY = "tolk_sec_acme"


def account(url: str = "http://127.0.0.1:1", **more: Any) -> AccountSettings:
    given = {"api_key": SecretStr(KEY), "requests_per_minute": 60_000, **more}
    return AccountSettings(name="acme-tolinku", source="tolinku", url=url, **given)


def export(dataset: str = "overview", **more: Any) -> ExportSettings:
    return ExportSettings(**{"name": "daily", "account": "acme-tolinku", "dataset": dataset, "every": "1h", **more})


def days(first: str, last: str, zone: ZoneInfo = UTC_ZONE) -> Window:
    """Return the window of the days from `first` up to but without `last`."""
    start, end = (day_start(date.fromisoformat(text), zone) for text in (first, last))
    return Window(start, end)


async def keep_no_job(_handle: Mapping[str, Any]) -> None:
    raise AssertionError("this vendor has no jobs")


def ask(
    settings: ExportSettings,
    window: Window | None = None,
    *,
    query: Mapping[str, Any] | None = None,
    dimensions: Mapping[str, Any] | None = None,
    now: datetime = NOW,
) -> Ask:
    """Return an ask for `window`, the day before `NOW` by default."""
    owner = account()
    plan = Plan(settings, owner, Tolinku().shape(owner, settings))
    if plan.shape.dated:
        window = window or days("2026-02-09", "2026-02-10", settings.timezone)
    return Ask(
        plan=plan,
        window=window,
        compare=None,
        query=settings.query if query is None else query,
        dimensions=dimensions or {},
        now=now,
        id="pull-0",
        job=None,
        keep_job=keep_no_job,
    )


class Rows:
    """A sink that keeps everything, in its order."""

    def __init__(self) -> None:
        self.found: list[Found] = []

    def put(self, found: Found) -> None:
        self.found.append(found)

    @property
    def metrics(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [(dict(found.dimensions), dict(found.metrics)) for found in self.found]

    @property
    def days(self) -> list[str]:
        return [found.bucket.start.isoformat() for found in self.found if found.bucket is not None]


@dataclass
class Asking:
    """An account that asks at `url`. `log`: what was logged of it."""

    url: str
    session: aiohttp.ClientSession
    end_inclusive: bool = True
    key: str = KEY
    clock: Clock = field(default_factory=SystemClock)
    log: structlog.testing.CapturingLogger = field(default_factory=structlog.testing.CapturingLogger)

    def __post_init__(self) -> None:
        self.account = account(self.url, api_key=SecretStr(self.key), end_inclusive=self.end_inclusive)
        self.caller = Caller(
            self.account,
            Budget(self.account.requests_per_minute, None, self.account.concurrency, self.clock),
            Tolinku().credentials(self.account),
            self.session,
            structlog.wrap_logger(self.log, processors=[], wrapper_class=structlog.make_filtering_bound_logger(0)),
            self.clock,
            may_ask=lambda: None,
        )
        self.source = Tolinku().open(self.account, self.caller)

    async def pull(self, *asks: Ask) -> list[tuple[Answer, Rows]]:
        sinks = [Rows() for _ in asks]
        outcomes = await self.source.pull(asks, sinks)
        pulled = []
        for outcome, sink in zip(outcomes, sinks, strict=True):
            assert isinstance(outcome, Answer)
            pulled.append((outcome, sink))
        return pulled

    async def one(self, settings: ExportSettings, window: Window | None = None, **more: Any) -> tuple[Answer, Rows]:
        (pulled,) = await self.pull(ask(settings, window, **more))
        return pulled
