"""One series of an answer: a question's buckets, and what stands in each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.money import minor_units
from sandbox.profitmetrics.channels import counted, is_available
from sandbox.profitmetrics.figures import NOT_AVAILABLE, Figure, compared, evaluate
from sandbox.profitmetrics.formulas import ADSPEND
from sandbox.profitmetrics.history import History, Shop
from schemas.profitmetrics import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.profitmetrics.calendar import Bucket, Calendar, Period, Resolution
    from sandbox.profitmetrics.catalogue import Catalogue
    from sandbox.profitmetrics.channels import Allowance
    from sandbox.profitmetrics.switches import Site, Switches, Vanished


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, after it was found right. `metrics`: enum names."""

    sites: Mapping[int, Site]
    currency: str
    calendar: Calendar
    resolution: Resolution
    period: Period
    compare: Period | None
    metrics: Sequence[str]
    allowance: Allowance


class Row(NamedTuple):
    """A bucket with its measures, and the one that it is compared with."""

    bucket: Bucket
    sums: Sequence[int]
    other: Bucket | None
    other_sums: Sequence[int] | None
    metrics: Sequence[str]


class Sheet:
    """Answers one question from what had happened by `now`."""

    def __init__(self, question: Question, catalogue: Catalogue, switches: Switches, now: int) -> None:
        self.question = question
        self._catalogue = catalogue
        self._switches = switches
        sites, allowance = question.sites, question.allowance
        shops = [Shop(number, site, counted(site, allowance)) for number, site in sites.items()]
        self._history = History(shops, question.currency, switches, now)
        self._digits = minor_units(question.currency)
        self._available = {
            name for name in question.metrics if is_available(catalogue.metrics[name], sites.values(), allowance)
        }
        connected = {channel for site in sites.values() for channel in site.channels}
        self._channels = [channel for channel in CHANNELS if channel in connected]
        self._vanished = [span for span in switches.vanished if span.site is None or span.site in sites]

    def rows(self) -> Iterator[Row]:
        """Yield the buckets that are sent, in the order of time."""
        return islice(self._rows(), self._switches.truncate_buckets)

    def figure(self, name: str, sums: Sequence[int]) -> Figure | str | None:
        """Return a metric that is a number: the number, "N/A", or None for null."""
        if name not in self._available:
            return NOT_AVAILABLE
        figure = evaluate(self._catalogue.formula(name), sums, self._digits)
        if figure is None and self._switches.undefined_ratio != "null":
            return Figure(0) if self._switches.undefined_ratio == "zero" else NOT_AVAILABLE
        return figure

    def value(self, name: str, row: Row) -> Any:
        """Return what stands at `data[name].value` of a report."""
        if name not in self._available:
            return NOT_AVAILABLE
        kind = self._catalogue.metrics[name].kind
        if kind == "timestamp":
            seen = self._history.ad_spend_seen(row.bucket.start, row.bucket.end)
            return None if seen is None else self.question.calendar.local(seen).isoformat()
        if kind == "channels":
            return {channel: self._spend(ADSPEND[channel], row) for channel in self._channels}
        figure = self.figure(name, row.sums)
        other = None if row.other_sums is None else self.figure(name, row.other_sums)
        if isinstance(figure, str):
            return figure
        return compared(figure, None if isinstance(other, str) else other, self._switches.percentage_of_zero)

    def _spend(self, place: int, row: Row) -> dict[str, Any]:
        figure = Figure(row.sums[place], self._digits)
        other = None if row.other_sums is None else Figure(row.other_sums[place], self._digits)
        return compared(figure, other, self._switches.percentage_of_zero)

    def _rows(self) -> Iterator[Row]:
        question = self.question
        buckets = question.calendar.buckets(question.period, question.resolution)
        others: Iterator[Bucket | None] = repeat(None)
        if question.compare is not None:
            others = chain(question.calendar.buckets(question.compare, question.resolution), others)
        # The buckets of the two periods go together by their places; a shorter comparison leaves the last ones alone.
        for bucket, other in zip(buckets, others, strict=False):
            gone = [span for span in self._vanished if _covers(span, bucket)]
            if any(span.metrics is None for span in gone):
                continue
            sums = self._sums(bucket)
            if not self._switches.empty_buckets and not any(sums):
                continue
            without = frozenset(name for span in gone for name in span.metrics or ())
            metrics = [name for name in question.metrics if name not in without]
            yield Row(bucket, sums, other, None if other is None else self._sums(other), metrics)

    def _sums(self, bucket: Bucket) -> Sequence[int]:
        return self._history.sums(bucket.start, bucket.end)


def _covers(span: Vanished, bucket: Bucket) -> bool:
    return span.start.timestamp() <= bucket.start < span.end.timestamp()
