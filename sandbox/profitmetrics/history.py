"""What happened at the sites in a span of time, added up: restated as the switches say, in one currency.

An hour that a span covers in part counts in proportion, rounded so that the parts of an hour always add up to the
whole: the running hour grows, and zones whose hours begin at the half agree with all others.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

from sandbox.money import minor_units, rates_to
from sandbox.profitmetrics.calendar import HOUR_SECONDS
from sandbox.profitmetrics.measures import MEASURES, happened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.profitmetrics.switches import Site, Switches
    from schemas.profitmetrics import Channel

HOURS_KEPT: Final = 2_000
"""How many hours of a report are kept because the next series may need them: some MB."""

_MONEY: Final = tuple(index for index, measure in enumerate(MEASURES) if measure.money)
NOTHING: Final = (0,) * len(MEASURES)


class Shop(NamedTuple):
    """A site of a report, and the channels of it that count."""

    number: int
    site: Site
    channels: frozenset[Channel]


class History:
    """The history of some sites together, in one currency, up to an instant. For one report: it keeps hours that it read."""

    def __init__(self, shops: Sequence[Shop], currency: str, switches: Switches, now: int) -> None:
        self._switches = switches
        self._now = now
        self._shops = [shop for shop in shops if shop.site.first_order is not None]
        self._begins = [int(shop.site.first_order.timestamp()) for shop in shops if shop.site.first_order is not None]
        self._rates = [_rate(shop.site.currency, currency) for shop in self._shops]
        self._hidden = [self._uncounted(shop) for shop in self._shops]
        self._hour = lru_cache(HOURS_KEPT)(self._read)

    def sums(self, since: int, until: int) -> Sequence[int]:
        """Return every measure, added up over a span of instants and over the sites; amounts in minor units of the
        currency.
        """
        total: Sequence[int] = NOTHING
        for index, begins in enumerate(self._begins):
            start, end = max(since, begins), min(until, self._now)
            if start < end:
                total = list(map(add, total, self._shop_sums(index, start, end)))
        return total

    def ad_spend_seen(self, start: int, end: int) -> int | None:
        """Return the start of the last whole hour of the span of which Google's ad spend is known; None without one."""
        counting = zip(self._shops, self._begins, strict=True)
        begins = min((begins for shop, begins in counting if "Google" in shop.channels), default=self._now)
        hour = min(end, self._now) // HOUR_SECONDS * HOUR_SECONDS - HOUR_SECONDS
        return hour if hour >= max(start, begins) else None

    def _shop_sums(self, shop: int, start: int, end: int) -> Sequence[int]:
        first, last = start // HOUR_SECONDS, (end - 1) // HOUR_SECONDS
        total: Sequence[int] = NOTHING
        for hour in range(first, last + 1):
            values = self._hour(shop, hour)
            since = max(start - hour * HOUR_SECONDS, 0)
            until = min(end - hour * HOUR_SECONDS, HOUR_SECONDS)
            if until - since < HOUR_SECONDS:
                values = [value * until // HOUR_SECONDS - value * since // HOUR_SECONDS for value in values]
            total = list(map(add, total, values))
        return total

    def _read(self, index: int, hour: int) -> Sequence[int]:
        shop = self._shops[index]
        values = happened(shop.number, hour, shop.site.orders_per_hour, self._switches.epoch)
        factor = self._factor(shop.number, hour * HOUR_SECONDS)
        if factor != 1:
            values = [value * factor.numerator // factor.denominator for value in values]
        rate = self._rates[index]
        if rate != 1:
            # Hour by hour, so that hours in another currency add up to their day as well.
            for place in _MONEY:
                values[place] = (2 * values[place] * rate.numerator + rate.denominator) // (2 * rate.denominator)
        for place in self._hidden[index]:
            values[place] = 0
        return values

    def _factor(self, number: int, instant: int) -> Fraction:
        factor = Fraction(1)
        for restatement in self._switches.restatements:
            of_site = restatement.site in (None, number)
            if of_site and restatement.start.timestamp() <= instant < restatement.end.timestamp():
                factor *= Fraction(str(restatement.factor))
        return factor

    def _uncounted(self, shop: Shop) -> Sequence[int]:
        return [index for index, measure in enumerate(MEASURES) if not shop.channels.issuperset(measure.channels)]


def beginning(sites: Iterable[Site]) -> int | None:
    """Return the instant of the earliest first order; None when there is none."""
    return min((int(site.first_order.timestamp()) for site in sites if site.first_order is not None), default=None)


def _rate(source: str, target: str) -> Fraction:
    """Return what a minor unit of `source` is in minor units of `target`."""
    return Fraction(rates_to(target)[source]) * Fraction(10) ** (minor_units(target) - minor_units(source))
