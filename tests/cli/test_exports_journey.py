from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from rich.console import Console

from cli.exports.journey import account_of, ask, table
from cli.exports.names import Misused
from runtime.errors import OperatorError
from runtime.settings import AccountSettings, Settings
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable


def an_account(name: str, source: str = "tolinku", port: int = 1) -> AccountSettings:
    given = {"name": name, "source": source, "url": f"http://127.0.0.1:{port}"}
    return AccountSettings.model_validate({**given, "api_key": SecretStr("tolk_sec_hunter2")})


def printed(events: Iterable[Any]) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120, highlight=False, markup=False).print(table(events))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()[1:]]


def test_the_only_account_of_the_vendor_needs_no_name() -> None:
    settings = Settings(accounts=[an_account("shop"), an_account("profit", "profitmetrics")])

    assert account_of(settings, None).name == "shop"
    assert account_of(settings, "shop").name == "shop"


@pytest.mark.parametrize(
    ("accounts", "name", "fault"),
    [
        ([], None, "no accounts of tolinku are configured; add one under [[accounts]]"),
        (["eu", "us"], None, "2 accounts of tolinku are configured; name one with --account: eu, us"),
        (["europe", "us"], "eurpe", "no tolinku account is called eurpe; did you mean europe?"),
    ],
)
def test_an_account_that_there_is_not_is_refused(accounts: list[str], name: str | None, fault: str) -> None:
    with pytest.raises(Misused) as refused:
        account_of(Settings(accounts=[an_account(each) for each in accounts]), name)

    assert str(refused.value) == fault


async def test_a_vendor_that_is_away_is_one_line_without_the_key() -> None:
    (port,) = free_ports(1)

    with pytest.raises(OperatorError) as failed:
        await ask(an_account("shop", port=port), "u1")

    assert str(failed.value).startswith(f"shop: no connection to 127.0.0.1:{port}")
    assert "hunter2" not in str(failed.value)


def test_an_event_is_a_line() -> None:
    items = [{"item_id": "a", "item_name": "Shoe", "quantity": 2}, {"item_id": "b", "quantity": 1}]
    event = {"event_type": "purchase", "timestamp": "2026-03-01T09:00:00Z", "transaction_id": "o1", "user_id": "u1"}

    assert printed(
        [{**event, "revenue": 49.9, "currency": "EUR", "items": items, "campaign": "spring", "coupon": None}]
    ) == ['2026-03-01T09:00:00Z purchase o1 49.9 EUR 2 x Shoe; b; {"campaign":"spring"}']


def test_what_the_vendor_does_not_document_is_shown_as_it_is_and_does_nothing() -> None:
    assert printed(
        ["\x1b[2Jgone", 7, {"event_type": ["\x9bx"], "items": [3, {"sku": "\u202e"}]}, {"items": "none"}]
    ) == [
        "·[2Jgone",
        "7",
        '["·x"] 3; {"sku":"·"}',
        "none",
    ]
