"""Times as vendors write them: local, without an offset, in the order of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?")


class LocalTimes:
    """Reads the times of one answer in their order.

    In the hour that comes twice in autumn the first occurrence of a text is the first hour, and one that does not lie after
    the time before it is the second. Where a vendor leaves empty buckets out and only one of the two comes, it is taken for
    the first: the text does not tell. A time that the clock jumps over in spring is read with the offset of before the
    jump, and so lies as far behind it.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._before: datetime | None = None

    def read(self, text: str) -> datetime:
        """Return `2025-03-06`, `2025-03-06T11:00` or `2025-03-06T11:00:00`, with or without a fraction, as an aware time.

        Raises ValueError for anything else, and for times at the ends of the calendar that lie beyond it in UTC.
        """
        naive = _naive(text)
        try:
            first = naive.replace(tzinfo=self._zone).astimezone(UTC)
            second = naive.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        except OverflowError:
            raise ValueError(f"a time beyond the calendar: {text!r:.40}") from None
        found = first
        if self._before is not None and first <= self._before < second:
            found = second
        self._before = found
        return found.astimezone(self._zone)


def _naive(text: str) -> datetime:
    try:
        naive = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"no local time: {text!r:.40}") from None
    if naive.tzinfo is not None:
        raise ValueError(f"a time with an offset where a local one is expected: {text!r:.40}")
    if _FORM.fullmatch(text) is None:  # Python reads weeks, and dates without hyphens
        raise ValueError(f"no local time: {text!r:.40}")
    return naive
