"""The request bodies of seed 000, and the rules that hold for them before any site is looked at."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from sandbox.money import EUROS
from sandbox.profitmetrics.calendar import Calendar, Period, Resolution
from sandbox.profitmetrics.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.profitmetrics.catalogue import Catalogue
    from sandbox.profitmetrics.switches import Switches

DEFAULT_ZONE: Final = "Europe/Copenhagen"
FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Periods outside these are refused: ours, nobody knows the vendor's bounds."""

_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?")


class ExportBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `export/v2` takes; null is as good as absent."""

    csids: list[int]
    resolution: Resolution
    currency: str | None = None
    metrics: list[str] | None = None
    lookback_window: int | None = None
    timezone: str | None = None


class PeriodBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A date range in local time."""

    from_incl: str
    to_excl: str


class ReportBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One report of `data/reports`."""

    id: str
    sites: list[int]
    currency: str
    period: PeriodBody
    metrics: list[str]
    resolution: Resolution
    compare_period: PeriodBody | None = None
    timezone: str | None = None
    exchange_type: str | None = None
    allow_partial_marketing_channels: bool | None = None


class ReportsBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `data/reports` takes."""

    reports: list[ReportBody] | None = None
    chart_reports: list[msgspec.Raw] | None = None
    calculate_with_not_configured_marketing_channels: bool | None = None


Body = TypeVar("Body", ExportBody, ReportsBody)


class Rules:
    """Checks bodies against the page's rules, as the switches and the live catalogue have them. Every method raises
    Refused where a body breaks one.
    """

    def __init__(self, switches: Switches, catalogue: Catalogue) -> None:
        self._switches = switches
        self._catalogue = catalogue

    def broken(self, reason: str) -> Refused:
        """Return the refusal of a body that fails validation."""
        return Refused(400, self._switches.validation_error_code, reason)

    def read(self, body: bytes, kind: type[Body]) -> Body:
        """Return a body by its fields; those that the page does not name are ignored."""
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.broken(str(error)) from error

    def export(self, body: ExportBody) -> None:
        """Check what is particular to `export/v2`."""
        self.sites(body.csids, "csids")
        self.metrics(body.metrics or [])
        if body.currency is None and len(set(body.csids)) > 1:
            raise self.broken("currency is required with several csids")
        if body.lookback_window is not None and body.lookback_window < 0:
            raise self.broken("lookbackWindow is negative")

    def reports(self, body: ReportsBody) -> list[ReportBody]:
        """Check what is particular to `data/reports`, and return the reports."""
        if body.reports is None and body.chart_reports is None:
            raise Refused(400, "NO_REQUESTED_REPORTS", "neither reports nor chartReports is there")
        reports = body.reports or []
        ids = [report.id for report in reports]
        if len(set(ids)) < len(ids):
            raise self.broken("an id stands twice")
        for report in reports:
            self.sites(report.sites, "sites")
            self.metrics(report.metrics)
            if not report.metrics:
                raise self.broken("metrics is empty")
            if report.exchange_type not in (None, "CURRENT"):
                raise self.broken("exchangeType is not CURRENT")
            if report.allow_partial_marketing_channels and not body.calculate_with_not_configured_marketing_channels:
                raise self.broken("allowPartialMarketingChannels without calculateWithNotConfiguredMarketingChannels")
        return reports

    def sites(self, sites: Sequence[int], field: str) -> None:
        """Check that there is at least one site."""
        if not sites:
            raise self.broken(f"{field} is empty")

    def metrics(self, names: Sequence[str]) -> None:
        """Check names against the live catalogue."""
        unknown = [name for name in names if name not in self._catalogue.metrics]
        if unknown:
            raise self.broken(f"there is no metric {unknown[0]}")

    def currency(self, code: str) -> str:
        """Return the code of a currency that has a rate."""
        if code not in EUROS:
            raise self.broken(f"currency {code} is not supported")
        return code

    def calendar(self, timezone: str | None) -> Calendar:
        """Return the calendar of a zone. Reads the zone's file the first time."""
        name = DEFAULT_ZONE if timezone is None else timezone
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:  # not there, no name at all, a directory
            raise self.broken(f"there is no time zone {name}") from error
        return Calendar(zone, self._switches.week_starts)

    def period(self, body: PeriodBody, calendar: Calendar) -> Period:
        """Return the instants of a date range."""
        period = Period(*(self._instant(text, calendar.instant) for text in (body.from_incl, body.to_excl)))
        if period.start >= period.end:
            raise self.broken("toExcl is not after fromIncl")
        return period

    def _instant(self, text: str, instant: Callable[[datetime], int]) -> int:
        try:
            local = datetime.fromisoformat(text) if _LOCAL.fullmatch(text) else None
        except ValueError:
            local = None
        if local is None or not FIRST_YEAR <= local.year <= LAST_YEAR:
            raise self.broken(f"{text} is no local date-time")
        return instant(local)
