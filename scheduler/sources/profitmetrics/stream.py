"""Answers read from disk as they stand there, whatever their size: only one wanted value at a time is in memory.

Numbers stay what the vendor wrote: integers are ints, decimals the nearest double.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import ijson
from ijson.common import ObjectBuilder

from scheduler.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENS = ("start_map", "start_array")
_CLOSES = ("end_map", "end_array")


class Malformed(Retryable):
    """An answer is not what seed 000 describes, or broke off. It may be another when it is asked for again."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the answer is not as documented: {what}")


def values(file: IO[bytes], wanted: frozenset[str], opened: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """Yield the values at the paths `wanted` in the order of the document, and what begins at those `opened`: ijson's "start_map" or
    "start_array".

    Paths are ijson's (`data.reports.item.id`); none of `wanted` lies within another. Blocks on the file. Raises Malformed for
    what is no JSON, or less than a whole document of it.
    """
    builder: ObjectBuilder | None = None
    within = ""
    try:
        for path, event, value in ijson.parse(file, use_float=True):
            if builder is not None:
                builder.event(event, value)
                if path == within and event in _CLOSES:
                    yield path, builder.value
                    builder = None
            elif path in wanted and event != "map_key" and event not in _CLOSES:
                if event in _OPENS:
                    builder, within = ObjectBuilder(), path
                    builder.event(event, value)
                else:
                    yield path, value
            elif event in _OPENS and path in opened:
                yield path, event
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise Malformed(f"broken JSON ({' '.join(str(error).split())[:100]})") from error
