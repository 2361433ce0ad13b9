"""The table of everything that arrived, duplicates and blocked events too, and what is read from it.

`arrival` numbers the events 1, 2, 3 … in the order in which they were taken: requests in the order of their commits,
the events of a request in their own. `ignored` says why an event counts nowhere (`duplicate`, `impossible`), null for
those that count, and `flagged` which fraud rule an event breaks that counts all the same.
"""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.database import DatabaseUnavailable
from sandbox.tolinku import deletions
from sandbox.tolinku.deduplication import DEDUPLICATED, WINDOW_SECONDS, DeduplicationWindow, Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from sandbox.database import Database

TABLE = """
create table if not exists arrivals (
    arrival bigint not null,
    arrived_at timestamp not null,  -- UTC
    appspace varchar not null,
    event_type varchar not null,
    transaction_id varchar,
    user_id varchar,
    cart_id varchar,
    currency varchar not null,
    revenue decimal(18, 4),         -- in `currency`
    items_sold decimal(18, 4),
    ignored varchar,
    raw varchar not null,           -- the event's text, byte for byte
    flagged varchar,
    user_agent varchar              -- the request's, where it is read
)
"""

COLUMNS = tuple(re.findall(r"^    (\w+)", TABLE, re.MULTILINE))
ADDED = 2
"""How many of them, at the end and all of them texts, files of the first version have not."""

COUNTS = """
select appspace, event_type, count(*), count(*) filter (ignored is not null),
       count(distinct transaction_id) filter (ignored is null)
from arrivals group by all order by all
"""

RECENT_ORDERS = """
select appspace, event_type, transaction_id, epoch(arrived_at) from arrivals
where arrived_at > ? and event_type in (?, ?) and ignored is null order by arrival
"""


class TypeCount(NamedTuple):
    """What arrived of one type in one appspace."""

    appspace: str
    event_type: str
    arrivals: int
    ignored: int
    transactions: int


def instant(at: float) -> datetime:
    """Return seconds since the epoch as the table keeps them: UTC, without saying so."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


class Arrivals:
    """Reads the table, which it makes when it is missing, and brings up to date when an earlier version made it.

    Raises DatabaseUnavailable when the table is none of ours. Every method waits for the disk; any thread may call any
    of them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with closing(database.connect()) as connection:
            connection.execute(TABLE)
            connection.execute(deletions.TABLE)
            rows = connection.execute("select name from pragma_table_info('arrivals') order by cid").fetchall()
            found = tuple(name for (name,) in rows)
            if found not in (COLUMNS, COLUMNS[:-ADDED]):
                raise DatabaseUnavailable(
                    f"sandbox.path: another version wrote {database.path}: remove it, or give this sandbox another path"
                )
            for column in COLUMNS[len(found) :]:
                connection.execute(f"alter table arrivals add column {column} varchar")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a connection for a writer or a report. Whoever asks closes it."""
        return self._database.connect()

    def last(self) -> int:
        """Return the number of the last arrival, 0 when nothing arrived yet."""
        ((last,),) = self._all("select coalesce(max(arrival), 0) from arrivals")
        return int(last)

    def counts(self) -> list[TypeCount]:
        """Return what arrived, by appspace and type."""
        return [TypeCount(*row) for row in self._all(COUNTS)]

    def recent_orders(self, now: float) -> DeduplicationWindow:
        """Return the orders of the 24 hours before `now` (seconds since the epoch)."""
        rows = self._all(RECENT_ORDERS, [instant(now - WINDOW_SECONDS), *DEDUPLICATED])
        return DeduplicationWindow((Order(appspace, kind, transaction), at) for appspace, kind, transaction, at in rows)

    def texts(self, query: str, parameters: Sequence[object]) -> list[str]:
        """Return the only column of a query."""
        return [text for (text,) in self._all(query, parameters)]

    def _all(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        with closing(self._database.connect()) as connection:
            return connection.execute(query, parameters).fetchall()
