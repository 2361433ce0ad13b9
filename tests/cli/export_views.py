"""Exports, and where they stand, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import SecretStr

from cli.exports.book import Book
from runtime.settings import AccountSettings, ExportSettings, Settings
from schemas.ledger import AccountState, ExportState, account_key
from schemas.topics import LEDGER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ACCOUNT = "shop-profit"
SECRET = "pm_hunter2"


@dataclass(frozen=True)
class Line:
    """A record of the ledger."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int = 0
    partition: int = 0
    topic: str = LEDGER
    headers: Sequence[tuple[str, bytes]] = ()


class Ledger:
    """Writes into a book what a scheduler would report. `at`: the time in Unix milliseconds."""

    def __init__(self) -> None:
        self.book = Book()
        self.at = 0
        self._offset = 0

    def write(self, key: bytes, value: Any, partition: int = 0) -> None:
        encoded = None if value is None else msgspec.json.encode(value)
        self.book.take(Line(key, encoded, self._offset, self.at, partition))
        self._offset += 1

    def export(self, **state: Any) -> None:
        self.write(b"daily", a_state(**state))

    def account(self, **state: Any) -> None:
        self.write(account_key(ACCOUNT), AccountState(**state))


def a_state(**more: Any) -> ExportState:
    return ExportState(account=ACCOUNT, source="profitmetrics", dataset="reports", **more)


def an_account(**more: Any) -> AccountSettings:
    given = {"name": ACCOUNT, "source": "profitmetrics", "url": "http://127.0.0.1:1/profitmetrics", **more}
    return AccountSettings(api_key=SecretStr(SECRET), **given)


def an_export(name: str = "daily", **more: Any) -> ExportSettings:
    query = {"sites": [10000394], "currency": "EUR", "resolution": "DAY", "metrics": ["TURNOVER"]}
    given = {
        "name": name,
        "account": ACCOUNT,
        "dataset": "reports",
        "every": "1h",
        "timezone": "Europe/Copenhagen",
        "lookback": "3d",
        **more,
        "query": {**query, **more.get("query", {})},
    }
    return ExportSettings.model_validate(given)


def a_shop(folder: Path, *exports: ExportSettings, **broker: Any) -> Settings:
    """Settings with a log of their own."""
    return Settings.model_validate(
        {
            "broker": {"path": str(folder / "log"), "partitions": 3, **broker},
            "accounts": [an_account()],
            "exports": list(exports),
        }
    )
