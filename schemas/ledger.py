"""What the scheduler keeps of an export: its records on `scheduler.ledger` (RECORDS §1).

Three kinds of key: `<export>` (`ExportState`), `<export>/<bucket>` or `<export>/<bucket>/<i>of<n>` (`Shard`), and
`@account/<name>` (`AccountState`). All of one account stand in one partition, that of the account's name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Span: TypeAlias = tuple[str, str]
"""Two UTC instants as ISO 8601 text; the first is included."""

Status: TypeAlias = Literal["active", "paused", "stopped"]

ACCOUNT_PREFIX = "@account/"
NO_BUCKET = "-"
"""What stands for the bucket of rows that have none."""
MAX_SHARD_BYTES = 256_000


class Task(msgspec.Struct, kw_only=True):
    """History that is to be fetched again, whatever is covered: a backfill (`id` is its nonce) or a refresh (`id` "refresh").

    `asked` is all of it, `left` what is still to do.
    """

    id: str
    asked: Span
    left: list[Span]


class HeldBack(msgspec.Struct, kw_only=True):
    """An answer under which too much would vanish: not published until another one has the same rows.

    `keys` is a digest over the keys of its rows.
    """

    window: Span | None
    keys: str
    vanishing: int
    of: int


class VendorJob(msgspec.Struct, kw_only=True):
    """A job that runs at the vendor: for which window, for which of its asks (they are counted from 0), and the vendor's handle."""

    window: Span | None
    ask: int
    handle: dict[str, Any]


class ExportState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where an export stands. Times are UTC, ISO 8601.

    `query` and `access` are digests of what is asked and of how the vendor is reached: another query makes all coverage
    void, another of either lifts a stop. `reason`: why it is stopped, rests, or failed last; empty when the last pull
    was fine. `covered`: whole buckets that were over when they were pulled; `lacking`: history
    that the vendor was asked for and does not have. `begin`: from when on coverage is wanted.
    `due`: the regular start that was begun last. `run`, `cancel`, `resume`: the nonces that were obeyed; `backfills`
    those that were taken up.
    """

    account: str
    source: str
    dataset: str
    status: Status = "active"
    reason: str = ""
    query: str = ""
    access: str = ""
    covered: list[Span] = []
    lacking: list[Span] = []
    begin: str = ""
    due: str = ""
    refreshed: str = ""
    tasks: list[Task] = []
    attempted: str = ""
    succeeded: str = ""
    retry_at: str = ""
    failures: Annotated[int, msgspec.Meta(ge=0)] = 0
    held: HeldBack | None = None
    job: VendorJob | None = None
    run: str = ""
    cancel: str = ""
    resume: str = ""
    backfills: list[str] = []
    rows: int = 0


class AccountState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an account used of its month's requests, and why it rests: `parked` is `rate`, `quota` or `plan`, empty while it works."""

    month: str = ""
    requests: int = 0
    parked: str = ""
    reason: str = ""
    since: str = ""
    probe_at: str = ""
    probes: int = 0


class Shard(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The rows of one bucket, or of a part of it: by canonical dimensions their fingerprint (None: vanished) and revision.

    `end` is the bucket's end, a UTC instant; empty where there is none.
    """

    end: str = ""
    rows: dict[str, tuple[str | None, int]]


def account_key(name: str) -> bytes:
    """Return the key of an account's record."""
    return f"{ACCOUNT_PREFIX}{name}".encode()


def shard_key(export: str, bucket: str, index: int, count: int) -> bytes:
    """Return the key of part `index` of `count` of a bucket's rows."""
    part = f"/{index}of{count}" if count > 1 else ""
    return f"{export}/{bucket}{part}".encode()
