"""What is said of a spool that is found at start."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import DataDirectory, LogFile
from broker.spool.inspection import inspect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("SQLITE_FULL", None),
        ("SQLITE_IOERR_WRITE", None),
        ("SQLITE_IOERR_SHMSIZE", None),
        ("SQLITE_CORRUPT", "so it is"),
        ("SQLITE_IOERR_READ", "so it is"),
    ],
)
def test_want_of_room_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str | None
) -> None:
    DataDirectory(tmp_path).database(LogFile.EVENTS).touch()

    def fail(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("so it is")
        error.sqlite_errorname = name
        raise error

    monkeypatch.setattr("broker.spool.inspection.sqlite3.connect", fail)
    assert inspect(tmp_path).damage == damage
