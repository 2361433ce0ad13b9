"""Orders and refunds, counted and summed: by the files, by the log, and by the ingestion API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from examples import money
from schemas import cloudevents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    import aiohttp

    from broker.interface import Record
    from examples.figures import Figures

OVERVIEW_PATH = "/v1/api/analytics/ecommerce/overview"
BASE_CURRENCY = "EUR"
_ORDERS = "ecommerce.purchase"
_REFUNDS = "ecommerce.refund"


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts, and euro cents. `foreign`: how many of them are in other currencies, and so not in the cents."""

    orders: int = 0
    revenue_cents: int = 0
    refunds: int = 0
    refund_cents: int = 0
    foreign: int = 0

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """Return both together; with sign -1, these without the other."""
        return Sums(
            self.orders + sign * other.orders,
            self.revenue_cents + sign * other.revenue_cents,
            self.refunds + sign * other.refunds,
            self.refund_cents + sign * other.refund_cents,
            self.foreign + sign * other.foreign,
        )

    def at_least_none(self) -> Sums:
        """Return these with 0 for whatever is below it."""
        return Sums(max(0, self.orders), max(0, self.revenue_cents), max(0, self.refunds), max(0, self.refund_cents))

    def rows(self) -> Mapping[str, str]:
        """Return the figures as people read them, by name."""
        return {
            "orders": f"{self.orders:,}",
            "revenue EUR": _euros(self.revenue_cents),
            "refunds": f"{self.refunds:,}",
            "refunded EUR": _euros(self.refund_cents),
        }


def of_figures(figures: Figures) -> Sums:
    """Return what the files come to."""
    return Sums(figures.orders, figures.revenue_cents, figures.refunds, figures.refund_cents)


async def of_records(records: AsyncIterator[Record], without: Collection[str]) -> Sums:
    """Return what the records of a topic come to, a transaction counted once, those of the marks in `without` not at all.

    A mark is what a transaction id begins with, up to its first "-" and with it.
    """
    sums = Sums()
    seen: set[tuple[bytes, str]] = set()
    async for record in records:
        kind = dict(record.headers).get(cloudevents.TYPE, b"")
        if kind.decode() not in (_ORDERS, _REFUNDS) or not record.value:
            continue
        event = json.loads(record.value, parse_float=Decimal)
        transaction = str(event["transaction_id"])
        mark = transaction.partition("-")[0] + "-"
        if mark in without or (kind, transaction) in seen:
            continue
        seen.add((kind, transaction))
        sums = sums.plus(_of_event(kind.decode(), event))
    return sums


async def of_overview(session: aiohttp.ClientSession, url: str, key: str) -> Sums:
    """Return what the ingestion API computes of everything that it ever got. Raises aiohttp.ClientError, TimeoutError."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    query = {"start": "2000-01-01", "end": tomorrow.isoformat()}
    async with session.get(url + OVERVIEW_PATH, params=query, headers={"X-API-Key": key}) as response:
        response.raise_for_status()
        return of_fields(json.loads(await response.read(), parse_float=Decimal))


def of_fields(overview: Mapping[str, Any]) -> Sums:
    """Return what an overview says, in the ingestion API's own names, its numbers read as decimals."""
    return Sums(
        overview["total_orders"],
        money.cents(overview["total_revenue"]),
        overview["total_refunds"],
        money.cents(overview["refund_amount"]),
    )


def _of_event(kind: str, event: dict[str, Any]) -> Sums:
    foreign = (event.get("currency") or BASE_CURRENCY).upper() != BASE_CURRENCY
    cents = 0 if foreign else int(Decimal(event["revenue"]).scaleb(2).to_integral_value(ROUND_HALF_UP))
    if kind == _ORDERS:
        return Sums(orders=1, revenue_cents=cents, foreign=int(foreign))
    return Sums(refunds=1, refund_cents=cents, foreign=int(foreign))


def _euros(cents: int) -> str:
    return f"{Decimal(cents).scaleb(-2):,}"
