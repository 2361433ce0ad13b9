"""What of a configuration is at the sandbox, and not at a real vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.addresses import overlap
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.settings import ExportSettings, Settings, StorefrontSettings


def storefront_of(settings: Settings) -> StorefrontSettings:
    """Return the storefront that the demo sends to: the first that delivers to the sandbox.

    Raises OperatorError when there is none: made-up orders must not reach a real ingestion API.
    """
    for storefront in settings.storefronts:
        if _is_there(storefront.ingestion.url, settings):
            return storefront
    raise OperatorError("--demo: no storefront delivers to the sandbox, and made-up orders go nowhere else")


def exports_of(settings: Settings) -> Sequence[ExportSettings]:
    """Return the exports that are pulled from the sandbox."""
    there = {account.name for account in settings.accounts if _is_there(account.url, settings)}
    return [export for export in settings.exports if export.account in there]


def overview_of(settings: Settings, storefront: StorefrontSettings) -> ExportSettings | None:
    """Return the export that must say what the sandbox says of all that `storefront` ever delivered: an overview with
    lookback "all", in UTC like the sandbox's days. None when there is none.
    """
    keys = {key.get_secret_value() for key in (storefront.ingestion.api_key, *storefront.secret_keys)}
    accounts = {
        account.name
        for account in settings.accounts
        if account.source == "tolinku" and account.api_key is not None and account.api_key.get_secret_value() in keys
    }
    for export in exports_of(settings):
        of_everything = export.lookback.kind == "all" and export.timezone.key == "UTC"
        if export.account in accounts and export.dataset == "overview" and of_everything:
            return export
    return None


def _is_there(url: str, settings: Settings) -> bool:
    target, sandbox = urlsplit(url), settings.sandbox
    return target.port == sandbox.port and overlap(target.hostname or "", sandbox.host)
