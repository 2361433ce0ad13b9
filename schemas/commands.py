"""What the command line wants of exports and storefronts: one record of each on the topic `commands`, obeyed by the owner (RECORDS §1).

A nonce is any new text: that it differs from the one obeyed last is the command. What was obeyed of an export stands in the
ledger. A forwarder writes there too: that it parked a storefront, which holds for all forwarders until somebody resumes it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EXPORT_PREFIX = "export/"
STOREFRONT_PREFIX = "storefront/"


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


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """Why a forwarder parked a storefront: `dead_letters` of its last `events` would have been dead-lettered, `run` of them in a row.

    `error`: the API's words about the one that was too many. `since`: RFC 3339, UTC.
    """

    since: str
    dead_letters: int
    events: int
    run: int
    error: str


class StorefrontCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is wanted of the forwarding of one storefront; each record replaces the one before.

    `by`, `why` and `since` (RFC 3339, UTC) tell who paused it, what for, and when. `parked`: a forwarder came to the limit of dead letters.
    `resume`: nonce, the limit counts anew from here on.
    """

    state: Literal["active", "paused"] = "active"
    by: str = ""
    why: str = ""
    since: str = ""
    parked: Parked | None = None
    resume: str = ""


def storefront_key(storefront: str) -> bytes:
    """Return the key of a storefront's record on `commands`."""
    return f"{STOREFRONT_PREFIX}{storefront}".encode()


def commanded_storefront(key: bytes | None) -> str | None:
    """Return which storefront a record on `commands` is about; None when it is about something else."""
    text = (key or b"").decode(errors="replace")
    return text.removeprefix(STOREFRONT_PREFIX) if text.startswith(STOREFRONT_PREFIX) else None
