"""Everything that arrived, as NDJSON: what tests compare with what they sent."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sandbox.tolinku.arrivals import Arrivals

PAGE_ARRIVALS = 20_000

FIELDS = {
    "arrival": "arrival",
    "arrived_at": "strftime(arrived_at, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "appspace": "appspace",
    "event_type": "event_type",
    "transaction_id": "transaction_id",
    "user_id": "user_id",
    "cart_id": "cart_id",
    "currency": "currency",
    "revenue": "revenue",
    "items_sold": "items_sold",
    "ignored": "ignored",
    "flagged": "flagged",
    "raw": "raw",
}
"""What a line may hold, and what makes it. `raw` is the event's text as a JSON string, byte for byte."""

PATH = re.compile(r"\w+(\.\w+)*", re.ASCII)


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which arrivals, and what of them. `property`: paths into the events (`properties.seq`), each a field of the
    line, as text, by its path.
    """

    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    appspace: str | None = None
    event_type: str | None = None
    transaction_id: str | None = None
    ignored: bool | None = None
    fields: tuple[str, ...] = tuple(FIELDS)
    property: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse unknown fields and crooked paths, with ValueError."""
        for field in self.fields:
            if field not in FIELDS:
                raise ValueError(f"fields: there is no {field}; there are {', '.join(FIELDS)}")
        for path in self.property:
            if PATH.fullmatch(path) is None:
                raise ValueError(f"property: {path} is no path of names with dots between them")

    def query(self) -> tuple[str, list[object]]:
        """Return the query of one page and its parameters, but for the two arrival numbers that it lies between and
        how many lines it may have.
        """
        columns = [f"'{field}': {FIELDS[field]}" for field in self.fields]
        columns += [f"'{path}': raw ->> '$.{path}'" for path in self.property]
        conditions = ["arrival > ?", "arrival <= ?"]
        parameters: list[object] = []
        for column in ("appspace", "event_type", "transaction_id"):
            if (wanted := getattr(self, column)) is not None:
                conditions.append(f"{column} = ?")
                parameters.append(wanted)
        if self.ignored is not None:
            conditions.append(f"ignored is {'not ' if self.ignored else ''}null")
        # Every name in it is from FIELDS or has passed PATH.
        query = (
            f"select to_json({{{', '.join(columns)}}}) from arrivals "  # noqa: S608 - see above
            f"where {' and '.join(conditions)} order by arrival limit ?"
        )
        return query, parameters


async def pages(arrivals: Arrivals, selection: Selection) -> AsyncGenerator[bytes]:
    """Yield what `selection` names of what has arrived by now, in its order, as lines of JSON: at most 20,000 at a
    time.
    """
    query, parameters = selection.query()
    last = await asyncio.to_thread(arrivals.last)
    left = last if selection.limit is None else selection.limit
    for after in range(selection.after, last, PAGE_ARRIVALS):
        if left <= 0:
            return
        bounds = (after, min(after + PAGE_ARRIVALS, last))
        lines = await asyncio.to_thread(arrivals.texts, query, [*bounds, *parameters, left])
        left -= len(lines)
        yield "".join([f"{line}\n" for line in lines]).encode()
