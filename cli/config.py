"""`sluice config check`: what is wrong with a configuration, or in short what it says."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson

from cli.options import config_option, json_option
from runtime import config
from runtime.spans import interval_text
from scheduler.portfolio import conflicts, warnings

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.settings import ExportSettings, Settings


@click.group
def command() -> None:
    """Look at the configuration."""


@command.command
@config_option
@json_option
def check(config_path: Path | None, *, as_json: bool) -> None:
    """Check a configuration: name every fault with its key, line and cure (exit code 2), or say what it sets up.

    What may be wrong but only the vendor knows, such as a metric newer than this program, is a warning behind the summary.

    With --json: one object per fault (source, line, key, message, cure), or one object with the summary, `warnings` among
    it. Secrets are never shown.
    """
    try:
        settings = config.load(config_path, more=conflicts)
    except config.ConfigError as error:
        for fault in error.faults:
            click.echo(orjson.dumps(asdict(fault)).decode() if as_json else str(fault))
        sys.exit(error.exit_code)
    source = config.find(config_path)
    doubts = config.placed(warnings(settings), config_path)
    summary = _summary(settings, None if source is None else str(source)) | {"warnings": list(map(asdict, doubts))}
    if as_json:
        click.echo(orjson.dumps(summary).decode())
        return
    click.echo(_told(summary))
    for doubt in doubts:
        click.echo(f"warning     {doubt}")


def _summary(settings: Settings, source: str | None) -> dict[str, Any]:
    """Return what the settings set up, without secrets."""
    broker = settings.broker
    return {
        "source": source,
        "broker": {"kind": broker.kind, "at": broker.bootstrap_servers if broker.kind == "kafka" else broker.path},
        "gateway": f"{settings.gateway.host}:{settings.gateway.port}",
        "storefronts": [
            {
                "name": storefront.name,
                "publishable_keys": len(storefront.publishable_keys),
                "secret_keys": len(storefront.secret_keys),
                "origins": storefront.origins,
                "ingestion": storefront.ingestion.url,
            }
            for storefront in settings.storefronts
        ],
        "accounts": [
            {
                "name": account.name,
                "source": account.source,
                "url": account.url,
                "requests_per_minute": account.requests_per_minute,
                "requests_per_month": account.requests_per_month,
            }
            for account in settings.accounts
        ],
        "exports": [_export(export) for export in settings.exports],
    }


def _export(export: ExportSettings) -> dict[str, Any]:
    return {
        "name": export.name,
        "account": export.account,
        "dataset": export.dataset,
        "schedule": export.schedule,
        "every": None if export.every is None else interval_text(export.every),
        "timezone": export.timezone.key,
        "lookback": str(export.lookback),
    }


def _told(summary: dict[str, Any]) -> str:
    """Return the summary for a reader."""
    lines = [
        f"{summary['source'] or 'development defaults'}: no faults",
        f"broker      {summary['broker']['kind']} at {summary['broker']['at']}",
        f"gateway     {summary['gateway']}",
    ]
    for storefront in summary["storefronts"]:
        keys = f"{storefront['publishable_keys']} publishable and {storefront['secret_keys']} secret keys"
        origins = ", ".join(storefront["origins"]) or "any origin"
        lines.append(f"storefront  {storefront['name']}: {keys}, {origins}, forwarded to {storefront['ingestion']}")
    for account in summary["accounts"]:
        month = account["requests_per_month"]
        budget = f"{account['requests_per_minute']} requests a minute" + (f", {month} a month" if month else "")
        lines.append(f"account     {account['name']}: {account['source']} at {account['url']}, {budget}")
    for export in summary["exports"]:
        when = (
            f'at "{export["schedule"]}" in {export["timezone"]}' if export["schedule"] else f"every {export['every']}"
        )
        what = f"{export['dataset']} of {export['account']}"
        lines.append(f"export      {export['name']}: {what}, {when}, lookback {export['lookback']}")
    return "\n".join(lines)
