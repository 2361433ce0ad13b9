"""What the API's answers say of how much more it takes: the headers `RateLimit-*` and `X-Usage-Warning` (VENDORS: tolinku)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from multidict import istr

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT: Final = istr("RateLimit-Limit")
_REMAINING: Final = istr("RateLimit-Remaining")
_RESET: Final = istr("RateLimit-Reset")
_USAGE: Final = istr("X-Usage-Warning")


class Allowance(NamedTuple):
    """What one answer told; None where it did not, or not so that it can be read.

    `limit`: requests in each of the API's windows, for all who share our address. `remaining`: those left in the present
    one, which ends in `reset` seconds. `usage`: how much of the month's calls is used up, in per cent.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    usage: int | None = None


def allowance_of(headers: Mapping[str, str]) -> Allowance | None:
    """Return what an answer's headers (looked up in any case) tell; None when that is nothing."""
    remaining, usage = headers.get(_REMAINING), headers.get(_USAGE)
    if remaining is None and usage is None:
        return None
    return Allowance(
        _count(headers.get(_LIMIT)),
        _count(remaining),
        _number(headers.get(_RESET)),
        _count(usage.rstrip("% ") if usage is not None else None),
    )


def _count(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    """Return a number that is not negative. Of a list, as later drafts of the header have it, the first."""
    if text is None:
        return None
    try:
        number = float(text.partition(",")[0].partition(";")[0])
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
