"""The configured exports as plans, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.cross_checks import Conflict
from scheduler.plan import Plan
from scheduler.sources.catalogue import vendor_of
from schemas.topics import commands_spec, ledger_spec, metrics_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.settings import Settings
    from schemas.topics import TopicSpec


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Yield what is wrong with accounts and exports in their vendors' eyes; for `runtime.config.load`."""
    accounts = {account.name: account for account in settings.accounts}
    for index, account in enumerate(settings.accounts):
        vendor = vendor_of(account.source)
        if vendor is None:
            if any(export.account == account.name for export in settings.exports):
                path = ("accounts", index, "source")
                yield Conflict(
                    (path,), f"this version does not pull from {account.source}", "leave its exports out until it does"
                )
            continue
        yield from vendor.account_conflicts(account, ("accounts", index))
    for index, export in enumerate(settings.exports):
        owner = accounts.get(export.account)
        vendor = None if owner is None else vendor_of(owner.source)
        if owner is not None and vendor is not None:
            yield from vendor.export_conflicts(owner, export, ("exports", index))


def warnings(settings: Settings) -> Iterator[Conflict]:
    """Yield what may be wrong with exports in their vendors' eyes; `settings` is without conflicts."""
    sources = {account.name: account.source for account in settings.accounts}
    for index, export in enumerate(settings.exports):
        vendor = vendor_of(sources[export.account])
        if vendor is not None:
            yield from vendor.warnings(export, ("exports", index))


def plans(settings: Settings) -> list[Plan]:
    """Return the plans of all exports; `settings` is without conflicts."""
    accounts = {account.name: account for account in settings.accounts}
    found = []
    for export in settings.exports:
        account = accounts[export.account]
        vendor = vendor_of(account.source)
        if vendor is not None:
            found.append(Plan(export, account, vendor.shape(account, export)))
    return found


def topics(settings: Settings) -> list[TopicSpec]:
    """Return the topics that a scheduler reads and writes."""
    count = settings.broker.partitions
    accounts = {account.name: account.source for account in settings.accounts}
    datasets = {(accounts[export.account], export.dataset) for export in settings.exports}
    return [
        ledger_spec(count),
        commands_spec(count),
        *(metrics_spec(source, dataset, count) for source, dataset in sorted(datasets)),
    ]
