"""What `sluice up` says when everything is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.addresses import url_of
from schemas.topics import events_topic, metrics_topic

if TYPE_CHECKING:
    from rich.console import Console

    from cli.directory import DataDirectory
    from runtime.settings import Settings

DEVELOPMENT_KEY = "tolk_pub_demo"
TRACK_PATH = "/v1/api/analytics/ecommerce/track"
EVENT = '{"event_type":"view_item","user_id":"me","items":[{"item_id":"sku_1","price":24.99}]}'


def print_addresses(console: Console, settings: Settings, directory: DataDirectory, admin_port: int) -> None:
    """Say what listens where."""
    gateway, sandbox, broker = settings.gateway, settings.sandbox, settings.broker
    kept = broker.path if broker.kind == "embedded" else f"Kafka at {broker.bootstrap_servers}"
    rows = {
        "gateway": f"{url_of(gateway.host, gateway.port)}  takes events",
        "forwarder": f"delivers them, from {kept}",
        **_scheduler(settings),
        "sandbox": f"{url_of(sandbox.host, sandbox.port)}  the ingestion API, on this machine",
        "admin": f"{url_of(settings.admin.host, admin_port)}  /readyz and /metrics of all roles",
        "logs": f"{directory.logs}/",
    }
    console.print()
    for name, text in rows.items():
        console.print(f"  {name:10}{text}")
    console.print()


def _scheduler(settings: Settings) -> dict[str, str]:
    """Return its line; none where it has nothing to do and is not there."""
    if not settings.exports:
        return {}
    sources = sorted({account.source for account in settings.accounts})
    return {"scheduler": f"pulls {len(settings.exports)} exports, from {' and '.join(sources)}"}


def print_invitation(console: Console, settings: Settings) -> None:
    """Say what to do next."""
    # Only the key that every installation has by default is shown; a configured one is the shop's own.
    keys = {key.get_secret_value() for storefront in settings.storefronts for key in storefront.publishable_keys}
    key = DEVELOPMENT_KEY if DEVELOPMENT_KEY in keys else "<a publishable key>"
    url = url_of(settings.gateway.host, settings.gateway.port) + TRACK_PATH
    console.print()
    console.print("send an event:")
    console.print(f"  curl {url} -H 'X-API-Key: {key}' \\", soft_wrap=True)
    console.print(f"    -H 'Content-Type: application/json' -d '{EVENT}'", soft_wrap=True)
    for storefront in settings.storefronts[:1]:
        console.print(f"watch them: sluice tail {events_topic(storefront.name)} · count them: sluice audit")
    accounts = {account.name: account.source for account in settings.accounts}
    for export in settings.exports[:1]:
        topic = metrics_topic(accounts[export.account], export.dataset)
        console.print(f"look at the exports: sluice exports list · at rows: sluice tail {topic} --from-beginning")
    console.print("serving until Ctrl-C")
