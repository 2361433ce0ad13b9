"""When something is due, as the configuration writes it: cron expressions and the time zones that they stand in."""

from __future__ import annotations

import difflib
import functools
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from runtime.references import fault

_EXAMPLE: Final = 'like "15 * * * *"'
_FIELDS: Final = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 or SUN to SAT"),
)
_LONGEST: Final = 200

_ANY_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the search for a schedule's first time begins: years repeat, so any does."""

_CLOSE: Final = 0.8  # names of zones are long: what is less like is another city
# Names that mean something else on every machine, count leap seconds, or mean "not set".
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})
_NO_ZONES_UNDER: Final = ("posix/", "right/")


def cron(value: Any) -> str:
    """Return a cron expression of five fields that does come due. Raises `references.fault`, which says which field is wrong."""
    if not isinstance(value, str):
        raise fault("is no text", f"write cron's five fields, {_EXAMPLE}")
    fields = value.split()
    if len(fields) != len(_FIELDS) or len(value) > _LONGEST:
        names = ", ".join(name for name, _ in _FIELDS)
        raise fault("is no cron expression of five fields", f"write {names}, {_EXAMPLE}")
    for index, (name, span) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[index] = fields[index]
        if not _is_expression(" ".join(alone)):
            raise fault(f"its {name} is wrong", f"give {span}, *, a list 1,2, a range 1-5 or a step */2")
    if not _comes(value):
        raise fault("never comes: no month has such a day", "correct the day or the month")
    return value


def zone(value: Any) -> ZoneInfo:
    """Return an IANA time zone by its name. Raises `references.fault`, which names the nearest one. Reads the zone's file."""
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str):
        raise fault("is no text", "put it in quotes")
    if value not in _NO_ZONES and not value.startswith(_NO_ZONES_UNDER):
        try:
            return ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # not there, no name at all, a directory
            near = _nearest(value)
    else:
        near = None
    raise fault(
        "is no IANA time zone", f'did you mean "{near}"?' if near else 'write one, like "Europe/Copenhagen" or "UTC"'
    )


def _is_expression(text: str) -> bool:
    try:
        CronSim(text, _ANY_YEAR)
    except CronSimError:
        return False
    return True


def _comes(expression: str) -> bool:
    """Say whether it comes due within 50 years."""
    try:
        return next(CronSim(expression, _ANY_YEAR), None) is not None
    except CronSimError:
        return False


@functools.lru_cache(
    maxsize=16
)  # one wrong name may stand in a thousand exports, and the search reads every zone's file
def _nearest(name: str) -> str | None:
    """Return the zone nearest in spelling, be it only its city that was given."""
    zones: dict[str, str] = {}
    for known in sorted(available_timezones()):
        if "/" not in known and known != "UTC":
            continue  # abbreviations lie near to each other and hours apart
        zones[known.lower()] = known
        zones.setdefault(known.rpartition("/")[2].lower(), known)
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), zones, n=1, cutoff=_CLOSE)
    return zones[near[0]] if near else None
