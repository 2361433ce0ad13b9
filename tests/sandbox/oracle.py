"""What the reports must say, by the plainest means: loops over a list of events, in exact decimals."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from sandbox.money import rates_to

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY = 24 * 60 * 60
DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "XOF": 0, "KWD": 3, "BHD": 3, "TND": 3}
Named = tuple[str, str, str]


class Seen(NamedTuple):
    """One event that counts: when it arrived, what the request said of itself."""

    at: float
    event: dict[str, Any]
    agent: str | None

    @property
    def kind(self) -> str:
        return str(self.event["event_type"])

    @property
    def user(self) -> str:
        return self.event.get("user_id") or ""

    @property
    def cart(self) -> str:
        return self.event.get("cart_id") or self.user

    @property
    def visitor(self) -> str:
        return self.user or self.event.get("cart_id") or ""

    def said(self, name: str) -> str:
        return str(self.event.get(name) or self.event.get("properties", {}).get(name) or "")

    @property
    def channel(self) -> Named:
        campaign, source, medium = (self.said(name) or "(none)" for name in ("campaign", "source", "medium"))
        return campaign, source, medium


NOWHERE: Named = ("(none)", "(none)", "(none)")


def rounded(amount: Decimal, digits: int) -> Decimal:
    return amount.quantize(Decimal(10) ** -digits, ROUND_HALF_UP)


def percent(part: Decimal | int, whole: Decimal | int) -> Decimal:
    return rounded(Decimal(100) * part / whole, 1) if whole else Decimal(0)


def in_base(amount: Decimal, currency: str, base: str) -> Decimal:
    rate = Decimal(1) if currency == base else rates_to(base).get(currency, Decimal(0))
    return rounded(amount * rate, DIGITS.get(base, 2))


class Oracle:
    """Knows all events of a shop and answers for its base currency and zone. `now`: seconds since the epoch."""

    def __init__(self, base: str, zone: str) -> None:
        self.base = base
        self.zone = ZoneInfo(zone)
        self.now = 0.0
        self.all: list[Seen] = []
        self._first: dict[tuple[str, str], float] = {}

    def take(self, at: float, events: Iterable[dict[str, Any]], agent: str | None) -> None:
        self.now = at
        for event in events:
            order = (event["event_type"], event.get("transaction_id", ""))
            if order[0] in ("purchase", "refund"):
                if at - self._first.get(order, -DAY) < DAY:
                    continue
                self._first[order] = at
            self.all.append(Seen(at, event, agent))

    def local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self.zone)

    def within(self, days: int) -> list[Seen]:
        first = self.local(self.now).date() - timedelta(days=days)
        return [seen for seen in self.all if self.local(seen.at).date() >= first]

    def orders(self, days: int) -> list[Seen]:
        return [seen for seen in self.within(days) if seen.kind == "purchase"]

    def currency(self, seen: Seen) -> str:
        return (seen.event.get("currency") or self.base).upper()

    def money(self, seen: Seen) -> Decimal:
        currency = self.currency(seen)
        own = rounded(Decimal(str(seen.event.get("revenue", 0))), DIGITS.get(currency, 2))
        return in_base(own, currency, self.base)

    def total(self, seen: Iterable[Seen]) -> Decimal:
        return sum(map(self.money, seen), Decimal(0))

    def worth(self, seen: Seen, item: dict[str, Any]) -> Decimal:
        price = Decimal(str(item.get("price", 0)))
        line = rounded(price * Decimal(str(item.get("quantity", 1))), 4)
        if abs(price) >= Decimal(10) ** 14:
            return Decimal(0)
        return in_base(line, (item.get("currency") or self.currency(seen)).upper(), self.base)

    def items(self, seen: Seen) -> Decimal:
        return sum((self.worth(seen, item) for item in seen.event.get("items", ())), Decimal(0))

    def grouped(self, seen: Iterable[Seen], key: Any) -> dict[Any, tuple[Decimal, int]]:
        """Return the revenue and the number of the orders with each key."""
        groups: dict[Any, list[Seen]] = defaultdict(list)
        for each in seen:
            groups[key(each)].append(each)
        return {name: (self.total(group), len(group)) for name, group in groups.items()}

    def platform(self, seen: Seen) -> str:
        agent = seen.agent or ""
        from_agent = "ios" if "iPhone" in agent else "web" if "Mozilla" in agent else "unknown"
        return seen.said("platform").lower() or from_agent

    def device(self, seen: Seen) -> str:
        agent = seen.agent or ""
        from_agent = "mobile" if "iPhone" in agent else "desktop" if "Windows" in agent else ""
        from_platform = "mobile" if self.platform(seen) in ("ios", "android") else "unknown"
        return seen.said("device_type").lower() or from_agent or from_platform

    def carts(self, days: int) -> tuple[dict[str, Decimal], int]:
        """Return what each abandoned cart is worth, and how many were completed."""
        kinds: dict[str, set[str]] = defaultdict(set)
        contents: dict[str, Decimal] = defaultdict(Decimal)
        for seen in self.within(days):
            kinds[seen.cart].add(seen.kind)
            contents[seen.cart] += {"add_to_cart": 1, "remove_from_cart": -1}.get(seen.kind, 0) * self.items(seen)
        filled = [cart for cart in kinds if cart and "add_to_cart" in kinds[cart]]
        abandoned = {cart: max(contents[cart], Decimal(0)) for cart in filled if "purchase" not in kinds[cart]}
        return abandoned, len(filled) - len(abandoned)

    def leads(self, order: Seen, window: int) -> list[tuple[Named, float]]:
        """Return the channels that led to an order, the last one clicked at the end, and when each was clicked last."""
        last: dict[Named, float] = {}
        for seen in self.all:
            if seen is order:
                break
            if order.user and seen.user == order.user and seen.channel != NOWHERE:
                last.pop(seen.channel, None)
                last[seen.channel] = seen.at
        return [(channel, at) for channel, at in last.items() if order.at - at <= window * DAY]
