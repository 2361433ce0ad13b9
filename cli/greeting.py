"""What `sluice up` says when everything is ready."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
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
        "sandbox": f"{url_of(sandbox.host, sandbox.port)}  the vendors' APIs, on this machine",
        "admin": f"{url_of(settings.admin.host, admin_port)}  /readyz and /metrics of all roles",
        "logs": f"{directory.logs}/",
    }
    console.print()
    for name, text in rows.items():
        console.print(f"  {name:10}{text}", soft_wrap=True)
    console.print()


def _scheduler(settings: Settings) -> dict[str, str]:
    """Return its line; none where it has nothing to do and is not there."""
    if not settings.exports:
        return {}
    of_account = {account.name: account.source for account in settings.accounts}
    sources = sorted({of_account[export.account] for export in settings.exports})
    count = len(settings.exports)
    return {"scheduler": f"pulls {count} export{'' if count == 1 else 's'}, from {' and '.join(sources)}"}


def print_invitation(console: Console, settings: Settings, config_path: Path | None) -> None:
    """Say what to do next, as it has to be typed here; `config_path`: of the --config that was given."""
    # Only the key that every installation has by default is shown; a configured one is the shop's own.
    keys = {key.get_secret_value() for storefront in settings.storefronts for key in storefront.publishable_keys}
    key = DEVELOPMENT_KEY if DEVELOPMENT_KEY in keys else "<a publishable key>"
    url = url_of(settings.gateway.host, settings.gateway.port) + TRACK_PATH
    lines = [
        "send an event:",
        f"  curl {url} -H 'X-API-Key: {key}' \\",
        f"    -H 'Content-Type: application/json' -d '{EVENT}'",
        "look around:",
        *(f"  {line}" for line in _commands(settings, config_path)),
        "serving until Ctrl-C",
    ]
    console.print()
    for line in lines:
        console.print(line, soft_wrap=True)


def _commands(settings: Settings, config_path: Path | None) -> list[str]:
    """Return commands that show something, each with what it shows."""
    shows = {f"tail {events_topic(storefront.name)}": "events as they come" for storefront in settings.storefronts[:1]}
    shows["audit"] = "what became of them"
    sources = {account.name: account.source for account in settings.accounts}
    for export in settings.exports[:1]:
        shows["exports list"] = "how the exports do"
        shows[f"tail {metrics_topic(sources[export.account], export.dataset)} --from-beginning"] = "rows of one"
    name, config = _spelling(), "" if config_path is None else f" --config {shlex.quote(str(config_path))}"
    typed = {f"{name} {command}{config}": what for command, what in shows.items()}
    width = max(map(len, typed))
    return [f"{command:{width}}  # {what}" for command, what in typed.items()]


def _spelling() -> str:
    """Return how this command is called where the user is: the bare name where that finds it."""
    typed, found = Path(sys.argv[0]), shutil.which("sluice")
    if typed.name != "sluice" or (found is not None and Path(found).samefile(typed)):
        return "sluice"
    return shlex.quote(str(typed))
