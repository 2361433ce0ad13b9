"""Dead letters in words and as JSON data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consumers.letters.letter import REPLAYED_FROM
from schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.letters.letter import Letter, Settlement


def moment(milliseconds: int) -> str:
    """Return a time to the second, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(number: int, what: str = "dead letter") -> str:
    """Return `1 dead letter`, or how many."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def summary(counts: Mapping[str, int]) -> str:
    """Return how many they are, of which storefronts: `counts` has them by storefront."""
    of = ", ".join(name if len(counts) == 1 else f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f"{counted(sum(counts.values()))} of {of}"


def key_of(letter: Letter) -> str | None:
    """Return the key as text; None without one."""
    key = letter.record.key
    return None if key is None else key.decode("utf-8", "backslashreplace")


def replayed_from(letter: Letter) -> str | None:
    """Return which dead letter the event was before it was replayed, and refused again; None when it was none."""
    place = next((value for name, value in letter.record.headers if name == REPLAYED_FROM), None)
    return None if place is None else place.decode("utf-8", "backslashreplace").removeprefix(f"{DEAD_LETTERS}/")


def as_json(letter: Letter, settled: Settlement | None) -> dict[str, Any]:
    """Return what `list --json` prints of a dead letter."""
    return {
        "place": str(letter.place),
        "dead_lettered_at": _iso(letter.record.timestamp),
        "storefront": letter.storefront,
        "type": letter.kind,
        "reason": letter.reason,
        "error": letter.error,
        "key": key_of(letter),
        "attempts": letter.attempts,
        "original": str(letter.origin),
        "replayed_from": replayed_from(letter),
        "outcome": None if settled is None else settled.outcome,
        "settled_at": None if settled is None else _iso(settled.at),
    }


def _iso(milliseconds: int) -> str:
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
