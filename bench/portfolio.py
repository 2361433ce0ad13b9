"""A thousand exports as a configuration: half of their accounts at one vendor, half at the other, all due at once but for their jitter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from scheduler.schedule import Schedule, jitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FIRST_SITE = 10_000_000
_METRICS = '["TURNOVER", "NUMBER_OF_ORDERS", "GROSS_PROFIT"]'
_DAILY = ("revenue-timeseries", "overview", "funnel", "revenue-by-country")
"""Asked for by the day; all but the first once for every day of the lookback."""


def profitmetrics_name(site: int) -> str:
    """Return the export of a site: each asks for one of its own."""
    return f"p-{site}"


def tolinku_name(account: str, dataset: str, limit: int) -> str:
    """Return the export of an account that asks for a dataset, with this limit (0: none)."""
    return f"{account}-{dataset}" + (f"-{limit}" if limit else "")


@dataclass(frozen=True)
class Portfolio:
    """`when`: the schedule as the configuration has it, `{"schedule": "* * * * *"}` or `{"every": "30s"}`. Zones are UTC."""

    accounts: int
    exports_each: int
    concurrency: int
    when: Mapping[str, str]

    def config(self, vendor_port: int) -> str:
        """Return the configuration's tables of accounts and exports. No budget binds."""
        return "\n".join(self._tables(vendor_port))

    @cached_property
    def names(self) -> Sequence[str]:
        """Of all exports."""
        return [name for account in range(self.accounts) for name, _ in self._exports(account)]

    @cached_property
    def interval(self) -> float:
        """Seconds between two due times."""
        first = self._schedule.after(datetime.now(UTC))
        return (self._schedule.after(first) - first).total_seconds()

    def dues(self, start: float, end: float) -> dict[str, list[float]]:
        """Return when each export is to begin within a span of Unix times, jitter included."""
        found: dict[str, list[float]] = {}
        for name in self.names:
            late = jitter(name, self._schedule)
            at = self._schedule.after(datetime.fromtimestamp(start, UTC) - late)
            due = found.setdefault(name, [])
            while (began := (at + late).timestamp()) < end:
                due.append(began)
                at = self._schedule.after(at)
        return found

    @cached_property
    def _schedule(self) -> Schedule:
        every = self.when.get("every")
        seconds = None if every is None else timedelta(seconds=int(every.removesuffix("s")))
        return Schedule(expression=self.when.get("schedule"), zone=ZoneInfo("UTC"), every=seconds)

    def _tables(self, vendor_port: int) -> Iterator[str]:
        for number in range(self.accounts):
            account = _account(number)
            source, key = ("profitmetrics", "pm_bench") if account[0] == "p" else ("tolinku", "tolk_sec_bench")
            yield f'[[accounts]]\nname = "{account}"\nsource = "{source}"\napi_key = "{key}"'
            yield f'url = "http://127.0.0.1:{vendor_port}/{account}"'
            yield f"requests_per_minute = 60000\nconcurrency = {self.concurrency}"
        when = "".join(f'{key} = "{value}"\n' for key, value in self.when.items())
        for number in range(self.accounts):
            for name, table in self._exports(number):
                yield f'[[exports]]\nname = "{name}"\naccount = "{_account(number)}"\n{when}{table}'

    def _exports(self, number: int) -> Iterator[tuple[str, str]]:
        account = _account(number)
        for index in range(self.exports_each):
            if account[0] == "p":
                site = FIRST_SITE + number * self.exports_each + index
                query = f'sites = [{site}]\ncurrency = "EUR"\nresolution = "DAY"\nmetrics = {_METRICS}'
                yield profitmetrics_name(site), f'dataset = "reports"\nlookback = "3d"\n[exports.query]\n{query}'
            elif index < len(_DAILY):
                dataset = _DAILY[index]
                yield tolinku_name(account, dataset, 0), f'dataset = "{dataset}"\nlookback = "1d"'
            else:
                table = f'dataset = "top-products"\nresolution = "TOTAL"\nlookback = "7d"\n[exports.query]\nlimit = {index + 20}'
                yield tolinku_name(account, "top-products", index + 20), table


def _account(number: int) -> str:
    return f"{'pt'[number % 2]}{number}"
