"""Users whose events are to be removed: seed 003, `DELETE /v1/api/analytics/user/{id}`.

Answered when the wish is on disk, carried out right after it: what the user sent until then goes, what comes later
stays. A wish that a killed process left behind is carried out at the next start. Within 24 hours the removed orders
still count as seen: the vendor's deduplication has nothing to do with its tables, as far as anybody knows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import duckdb

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = """
create table if not exists deletions (
    appspace varchar not null,
    user_id varchar not null,
    last_arrival bigint not null  -- the last event that goes
)
"""

REMOVE = """
delete from arrivals using deletions
where arrivals.appspace = deletions.appspace and arrivals.user_id = deletions.user_id and arrival <= last_arrival
"""


class Wish(NamedTuple):
    """Whose events go, up to which arrival."""

    appspace: str
    user_id: str
    last_arrival: int


class Deletions:
    """The wishes of one table. Uses its own connection, in the writer's thread; every method waits for the disk."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        ((self._waiting,),) = connection.execute("select count(*) from deletions").fetchall()

    def write(self, wishes: Sequence[Wish]) -> None:
        """Write wishes down, in the transaction that is open. Raises duckdb.Error."""
        if wishes:
            self._connection.executemany("insert into deletions values (?, ?, ?)", wishes)
            self._waiting += len(wishes)

    def carry_out(self) -> None:
        """Remove what is to go, and the wishes with it. What fails stays to be done; raises duckdb.Error."""
        if not self._waiting:
            return
        self._connection.begin()
        try:
            self._connection.execute(REMOVE)
            self._connection.execute("delete from deletions")
            self._connection.commit()
        except duckdb.Error:
            # Where the failure has ended the transaction there is nothing to roll back.
            with suppress(duckdb.Error):
                self._connection.rollback()
            raise
        self._waiting = 0
