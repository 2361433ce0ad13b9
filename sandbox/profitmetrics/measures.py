"""What happens at a shop in an hour, made up: the measures that every metric is added up from.

A measure of an hour is a whole number (events, or minor units of the site's currency), drawn from a hash of site, hour
and restatement epoch. Each is a share of another one, so that they hold together: so many orders, so much revenue in
each, so much of that lost to returns.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.profitmetrics import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.profitmetrics import Channel

# Orders by the hour of the day (UTC), in per cent of the site's mean.
_DAY: Final = (
    30,
    15,
    8,
    5,
    5,
    12,
    35,
    70,
    100,
    115,
    125,
    130,
    135,
    130,
    125,
    125,
    135,
    150,
    175,
    200,
    210,
    185,
    120,
    60,
)
_WEEK: Final = (100, 95, 95, 100, 110, 85, 115)  # 1 January 1970 was a Thursday
_PARTS: Final = 1000


class Measure(NamedTuple):
    """One measure: `low` to `high` thousandths of `of` (None: of the hour's level, thousandths of orders).

    `money`: it is an amount. `channels`: it is only known where these are set up.
    """

    name: str
    of: str | None
    low: int
    high: int
    money: bool = False
    channels: tuple[Channel, ...] = ()


def adspend(channel: Channel) -> str:
    """Return the name of the measure that is a channel's ad spend: `adspend_PartnerAds`."""
    return f"adspend_{channel.replace(' ', '')}"


def _orders() -> Iterator[Measure]:
    yield Measure("first_orders", None, 300, 700)
    yield Measure("repeat_orders", None, 300, 700)
    yield Measure("returning_customers", "repeat_orders", 900, 1000)
    for group, low, high in (("first", 2_500_000, 7_000_000), ("repeat", 3_000_000, 9_000_000)):
        yield Measure(f"{group}_turnover", f"{group}_orders", low, high, money=True)
        yield Measure(f"{group}_profit", f"{group}_turnover", 280, 460, money=True)
    for kind, of in (("first_vat", "first_turnover"), ("repeat_vat", "repeat_turnover")):
        yield Measure(kind, of, 250, 250, money=True)
    for group in ("first", "repeat"):
        yield Measure(f"{group}_shipping_revenue", f"{group}_turnover", 30, 60, money=True)
        yield Measure(f"{group}_shipping_cost", f"{group}_turnover", 40, 70, money=True)
        yield Measure(f"{group}_payment_cost", f"{group}_turnover", 12, 22, money=True)
        yield Measure(f"{group}_extra_cost", f"{group}_turnover", 10, 25, money=True)
    yield Measure("expenses_variable", None, 40_000, 60_000, money=True)
    yield Measure("expenses_recurring", None, 30_000, 30_000, money=True)
    yield Measure("expenses_fixed", None, 20_000, 20_000, money=True)


def _marketing() -> Iterator[Measure]:
    yield Measure("adspend_manual", None, 5_000, 9_000, money=True)
    for channel in CHANNELS:
        dear = channel in ("Google", "Meta")
        low, high = (200_000, 500_000) if dear else (10_000, 60_000)
        yield Measure(adspend(channel), None, low, high, money=True, channels=(channel,))
    for channel in ("Google", "Meta"):
        stem = channel.lower()
        yield Measure(f"{stem}_impressions", None, 300_000, 900_000, channels=(channel,))
        yield Measure(f"{stem}_clicks", f"{stem}_impressions", 10, 40, channels=(channel,))
        yield Measure(f"{stem}_conversions", f"{stem}_clicks", 20, 60, channels=(channel,))
        yield Measure(f"{stem}_revenue", f"{stem}_conversions", 3_000_000, 7_000_000, money=True, channels=(channel,))
        yield Measure(f"{stem}_profit", f"{stem}_revenue", 280, 460, money=True, channels=(channel,))
        yield Measure(f"{stem}_click_orders", f"{stem}_conversions", 700, 1000, channels=(channel,))
    yield Measure(
        "google_click_turnover", "google_click_orders", 3_000_000, 7_000_000, money=True, channels=("Google",)
    )
    yield Measure("google_click_vat", "google_click_turnover", 250, 250, money=True, channels=("Google",))
    yield Measure("google_click_profit", "google_click_turnover", 280, 460, money=True, channels=("Google",))
    yield Measure("both_click_orders", "google_click_orders", 100, 300, channels=("Google", "Meta"))


def _returns() -> Iterator[Measure]:
    for group in ("first", "repeat"):
        yield Measure(f"{group}_returns", f"{group}_orders", 0, 600)
        yield Measure(f"{group}_returned_products", f"{group}_returns", 1000, 3000)
        yield Measure(f"{group}_returned_revenue", f"{group}_returned_products", 1_500_000, 3_000_000, money=True)
        yield Measure(f"{group}_returned_vat", f"{group}_returned_revenue", 250, 250, money=True)
        for part, low, high in (("", 500, 600), ("_payment", 12, 22), ("_extra", 10, 25), ("_shipping", 40, 70)):
            yield Measure(f"{group}_returned{part}_cost", f"{group}_returned_revenue", low, high, money=True)
        for part, low, high in (("extra", 10, 20), ("extra_shipping", 40, 60), ("extra_payment", 5, 10)):
            yield Measure(f"{group}_return_{part}_cost", f"{group}_returned_revenue", low, high, money=True)


MEASURES: Final = (*_orders(), *_marketing(), *_returns())
INDEX: Final[Mapping[str, int]] = {measure.name: index for index, measure in enumerate(MEASURES)}

# What the loop below reads for every hour: the parent's place (the level's is the last), least and span of the share.
_RECIPE: Final = tuple(
    (-1 if measure.of is None else INDEX[measure.of], measure.low, measure.high - measure.low) for measure in MEASURES
)


def happened(site: int, hour: int, orders_per_hour: int, epoch: int) -> list[int]:
    """Return the measures of an hour, counted in hours since 1970, in their order. The same arguments give the same
    answer everywhere and for ever.
    """
    draws = hashlib.shake_256(f"{epoch}/{site}/{hour}".encode()).digest(len(MEASURES))
    level = orders_per_hour * _PARTS * _DAY[hour % 24] * _WEEK[hour // 24 % 7] // 10_000
    values: list[int] = []
    for (parent, low, span), draw in zip(_RECIPE, draws, strict=True):
        share = low + span * draw // 255
        values.append(level * share // (_PARTS * _PARTS) if parent < 0 else values[parent] * share // _PARTS)
    return values
