"""Data files that another version wrote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import duckdb
import pytest

from sandbox.database import DatabaseUnavailable
from tests.sandbox.running import purchase, running

if TYPE_CHECKING:
    from pathlib import Path


def change(path: Path, *statements: str) -> None:
    connection = duckdb.connect(path / "sandbox.duckdb")
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    async with running(tmp_path) as sandbox:
        await sandbox.batch(purchase("o1", 5))
    added = [f"alter table arrivals drop column {column}" for column in ("user_agent", "flagged")]
    await asyncio.to_thread(change, tmp_path, *added, "drop table deletions")
    async with running(tmp_path) as sandbox:
        await sandbox.batch(purchase("o1", 5), purchase("o2", 5, properties={"bot": "true"}))
        assert (await sandbox.overview()).body["total_orders"] == 2
        lines = await sandbox.arrivals("fields=ignored,flagged")
    assert [tuple(line.values()) for line in lines] == [(None, None), ("duplicate", None), (None, "bot")]


async def test_a_file_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as sandbox:
        await sandbox.batch(purchase("o1", 5))
    await asyncio.to_thread(change, tmp_path, "alter table arrivals add column colour varchar")
    with pytest.raises(DatabaseUnavailable, match=r"sandbox\.path: another version wrote .*remove it"):
        async with running(tmp_path):
            raise AssertionError("it must not start")
    await asyncio.to_thread(change, tmp_path, "alter table arrivals drop column colour")
    async with running(tmp_path) as sandbox:
        assert (await sandbox.overview()).body["total_orders"] == 1
