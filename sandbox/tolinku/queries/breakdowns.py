"""`revenue-by-device`, `revenue-by-platform` and `revenue-by-country`.

Seed 003 says what the values look like, not where they come from. Here an event says it itself, at top level as the
SDK sends `platform`, else in `properties`: `device_type` and `platform` in small letters, `country` in capitals. What
it does not say is read from the request's User-Agent where the switch `reads_request` has kept it; behind a forwarder
that is the forwarder's. A native platform without a device is `mobile`. What nobody says is `unknown`, a row of its
own. An address on a private network tells no country.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = """,
said as (
    select money,
        lower(coalesce(nullif(raw ->> '$.device_type', ''), raw ->> '$.properties.device_type', '')) as device,
        lower(coalesce(nullif(raw ->> '$.platform', ''), raw ->> '$.properties.platform', '')) as platform,
        upper(coalesce(nullif(raw ->> '$.country', ''), raw ->> '$.properties.country', '')) as country,
        coalesce(user_agent, '') as agent
    from orders
),
read as (
    select money, country, device,
        case when platform <> '' then platform
            when regexp_matches(agent, 'iPhone|iPad') then 'ios'
            when regexp_matches(agent, 'Android') then 'android'
            when regexp_matches(agent, 'Mozilla') then 'web'
            else '' end as platform,
        case when regexp_matches(agent, 'iPad|Tablet') then 'tablet'
            when regexp_matches(agent, 'Mobi|iPhone|Android') then 'mobile'
            when regexp_matches(agent, 'Windows|Macintosh|X11|CrOS') then 'desktop'
            else '' end as seen_device
    from said
),
named as (
    select money, case $by
        when 'country' then country
        when 'platform' then platform
        else case
            when device <> '' then device
            when seen_device <> '' then seen_device
            when platform in ('ios', 'android') then 'mobile'
            else '' end
        end as name
    from read
)
select coalesce(nullif(name, ''), 'unknown') as name, sum(money) as revenue, count(*)
from named group by all order by revenue desc, name
"""


class Device(TypedDict):
    """One type of device."""

    device_type: str
    revenue: Decimal
    orders: int


class Devices(TypedDict):
    """The answer of `GET …/ecommerce/revenue-by-device`."""

    devices: list[Device]
    days: int


class Platform(TypedDict):
    """One operating system, or `web`."""

    platform: str
    revenue: Decimal
    orders: int


class Platforms(TypedDict):
    """The answer of `GET …/ecommerce/revenue-by-platform`."""

    platforms: list[Platform]
    days: int


class Country(TypedDict):
    """One country."""

    country: str
    revenue: Decimal
    orders: int


class Countries(TypedDict):
    """The answer of `GET …/ecommerce/revenue-by-country`."""

    countries: list[Country]
    days: int


def by_device(question: Question) -> Devices:
    """Return revenue and orders of each type of device. Waits for the disk."""
    rows = _rows(question, "device_type")
    devices = [Device(device_type=name, revenue=revenue, orders=orders) for name, revenue, orders in rows]
    return Devices(devices=devices, days=question.period.days)


def by_platform(question: Question) -> Platforms:
    """Return revenue and orders of each platform. Waits for the disk."""
    rows = _rows(question, "platform")
    platforms = [Platform(platform=name, revenue=revenue, orders=orders) for name, revenue, orders in rows]
    return Platforms(platforms=platforms, days=question.period.days)


def by_country(question: Question) -> Countries:
    """Return revenue and orders of each country. Waits for the disk."""
    rows = _rows(question, "country")
    countries = [Country(country=name, revenue=revenue, orders=orders) for name, revenue, orders in rows]
    return Countries(countries=countries, days=question.period.days)


def _rows(question: Question, by: str) -> Iterator[tuple[str, Decimal, int]]:
    for name, revenue, orders in question.rows(QUERY, {"by": by}):
        yield name, question.money(revenue), orders
