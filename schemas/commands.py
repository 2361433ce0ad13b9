"""What the command line wants of an export: one record on the topic `commands`, written by it, obeyed by the owner (RECORDS §1).

A nonce is any new text: that it differs from the one obeyed last is the command. What was obeyed stands in the ledger.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EXPORT_PREFIX = "export/"


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """History to fetch once more: the days from `start` to `end`, both included, as ISO dates in the export's zone. `id` is a nonce."""

    id: str
    start: str
    end: str


class ExportCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is wanted of one export; each record replaces the one before.

    `run`: nonce, pull now. `cancel`: nonce, end what runs and give up what of backfills is left. `resume`: nonce, a stop
    for a permanent fault is lifted and the vendor asked again.
    """

    state: Literal["active", "paused"] = "active"
    run: str = ""
    cancel: str = ""
    resume: str = ""
    backfills: list[Backfill] = []


def command_key(export: str) -> bytes:
    """Return the key of an export's record on `commands`."""
    return f"{EXPORT_PREFIX}{export}".encode()


def commanded_export(key: bytes | None) -> str | None:
    """Return which export a record on `commands` is about; None when it is about something else."""
    text = (key or b"").decode(errors="replace")
    return text.removeprefix(EXPORT_PREFIX) if text.startswith(EXPORT_PREFIX) else None
