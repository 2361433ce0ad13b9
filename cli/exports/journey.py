"""`sluice exports journey USER`: what one user did, as the vendor tells it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import click
import orjson
import structlog
from rich.table import Table

from cli import screen
from cli.exports.names import Misused, no_such
from cli.options import json_option, with_exports
from cli.printable import printable, printable_json
from runtime.clock import SystemClock
from runtime.errors import OperatorError
from scheduler.budget import Budget
from scheduler.caller import Caller
from scheduler.errors import PullError
from scheduler.exchange import vendor_session
from scheduler.sources.tolinku.journey import journey
from scheduler.sources.tolinku.vendor import Tolinku

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.settings import AccountSettings, Settings

SOURCE: Final = "tolinku"
_AT_ONCE: Final = 6000
"""So many requests a minute that the one which is asked by hand does not wait."""
_SHOWN: Final = ("event_type", "timestamp", "items", "transaction_id", "revenue", "currency", "user_id")


@click.command
@click.argument("user")
@with_exports
@click.option("--account", "name", help="Which account to ask. Default: the only one of tolinku.")
@json_option
def command(settings: Settings, user: str, *, name: str | None, as_json: bool) -> None:
    """Print the events of USER, a user's id, as the vendor tells them.

    Asked of the vendor now, beside the scheduler's budget. It is personal: nothing of it is kept or logged.
    """
    if not user:
        raise Misused("USER: is empty; give a user's id")
    found = asyncio.run(ask(account_of(settings, name), user))
    if as_json:
        for event in found["events"]:
            click.echo(printable_json(event))
    elif found["events"]:
        screen.console().print(table(found["events"]))
    else:
        click.echo("the vendor has no events of this user")


def account_of(settings: Settings, name: str | None) -> AccountSettings:
    """Return the account called `name`, or the only one there is. Raises Misused."""
    accounts = {account.name: account for account in settings.accounts if account.source == SOURCE}
    if name is not None:
        if name not in accounts:
            raise no_such(f"{SOURCE} account", name, list(accounts))
        return accounts[name]
    if len(accounts) != 1:
        cure = f"name one with --account: {', '.join(accounts)}" if accounts else "add one under [[accounts]]"
        raise Misused(f"{len(accounts) or 'no'} accounts of {SOURCE} are configured; {cure}")
    return next(iter(accounts.values()))


async def ask(account: AccountSettings, user: str) -> dict[str, Any]:
    """Return the vendor's answer. Raises OperatorError with what the vendor refused and why."""
    clock = SystemClock()
    async with vendor_session() as session:
        caller = Caller(
            account,
            Budget(_AT_ONCE, None, 1, clock),
            Tolinku().credentials(account),
            session,
            # What it logs of a refusal has the query in it, and so the user.
            structlog.wrap_logger(
                structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
            ),
            clock,
            may_ask=lambda: None,
        )
        try:
            return await journey(caller, user)
        except PullError as error:
            raise OperatorError(f"{account.name}: {error}") from None


def table(events: Iterable[Any]) -> Table:
    """Return the events, in their order: when, what, which order and for how much, the items, and whatever else there is.

    They are shown as they are, also where they are not what the vendor documents.
    """
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    drawn.add_column("time", no_wrap=True)
    drawn.add_column("event", no_wrap=True)
    drawn.add_column("transaction", no_wrap=True)
    drawn.add_column("revenue", justify="right", no_wrap=True)
    drawn.add_column("items, and more")
    for event in events:
        drawn.add_row(*map(printable, _cells(event)))
    return drawn


def _cells(event: Any) -> tuple[str, ...]:
    if not isinstance(event, dict):
        return ("", "", "", "", _text(event))
    items = event.get("items")
    names = map(_item, items) if isinstance(items, list) else [_text(items)]
    more = {name: value for name, value in event.items() if name not in _SHOWN and value is not None}
    return (
        _text(event.get("timestamp")),
        _text(event.get("event_type")),
        _text(event.get("transaction_id")),
        " ".join(filter(None, (_text(event.get("revenue")), _text(event.get("currency"))))),
        "; ".join(filter(None, (*names, _text(more or None)))),
    )


def _item(item: Any) -> str:
    return (isinstance(item, dict) and _named(item)) or _text(item)


def _named(item: Mapping[str, Any]) -> str:
    name = _text(item.get("item_name")) or _text(item.get("item_id"))
    quantity = item.get("quantity")
    return f"{_text(quantity)} x {name}" if name and quantity not in (None, 1) else name


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
