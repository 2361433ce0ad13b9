"""Whether storefronts rest by themselves, as a forwarder on this machine tells: it stands nowhere in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from runtime.addresses import url_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.settings import Settings

WORDS: Final = {
    "quota": "the API's quota is used up",
    "plan": "the API's plan does not have it",
    "auth": "the API refuses the key",
    "rate": "the API takes no more for now",
    "outage": "the API is away",
    "misdirected": "what stands at its url is not the API",
}
"""What a forwarder rests for by itself, in words."""

_METRIC: Final = "sluice_forwarder_paused"
_ANSWER_SECONDS: Final = 2.0


class Told(NamedTuple):
    """What a forwarder at `url` told: `reasons` has each of its storefronts, with why that rests or None."""

    url: str
    reasons: Mapping[str, str | None]


async def ask(settings: Settings) -> tuple[Told | None, list[str]]:
    """Ask the forwarder that this machine may run, alone or within `sluice up`; return what it told, and where none answered. Waits 2 s for
    each of the two at most.
    """
    admin = settings.admin
    silent: list[str] = []
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for port in dict.fromkeys((admin.port_of("forwarder"), admin.port_of("up"))):
            url = url_of(admin.host, port)
            try:
                async with session.get(f"{url}/metrics") as answer:
                    reasons = read(await answer.text())
            except (aiohttp.ClientError, TimeoutError, ValueError):  # whatever stands there is no forwarder
                reasons = {}
            if reasons:
                return Told(url, reasons), silent
            silent.append(url)
    return None, silent


def read(page: str) -> dict[str, str | None]:
    """Return why each storefront rests that a page of metrics knows; None when it does not. Raises ValueError on what is no such page."""
    found: dict[str, str | None] = {}
    for family in text_string_to_metric_families(page):
        if family.name == _METRIC:
            for sample in family.samples:
                name, reason = sample.labels["storefront"], sample.labels["reason"]
                found.setdefault(name, None)
                if sample.value and reason in WORDS:
                    found[name] = reason
    return found
