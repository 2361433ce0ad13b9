"""Where a request goes, by its path: normalised first, so that no spelling of a path goes round what is told of it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from gateway.errors import Refusal

API: Final = "/v1/api/"
ECOMMERCE: Final = "/v1/api/analytics/ecommerce"
USER: Final = "/v1/api/analytics/user"
TRACK: Final = f"{ECOMMERCE}/track"
BATCH: Final = f"{ECOMMERCE}/batch"
QUERIES: Final = frozenset(
    {
        "overview",
        "revenue-timeseries",
        "funnel",
        "top-products",
        "revenue-by-channel",
        "revenue-by-coupon",
        "revenue-by-device",
        "revenue-by-platform",
        "revenue-by-country",
        "cart-abandonment",
        "attribution",
        "cohorts",
        "user-journey",
    }
)
"""The seed's query endpoints, by their last path segment."""

_PLAIN: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DOTS: Final = frozenset({b".", b".."})
_SEPARATOR: Final = re.compile(rb"[/\\]")


class Place(NamedTuple):
    """What a path stands for: `route` as the metrics name it, `path` normalised."""

    route: str
    path: str


def place_of(raw_path: str) -> Place:
    """Return where a path leads: to `track`, `batch`, a `query`, the deletion of a user (`user`), another part of the vendor's API
    (`passage`), or nowhere (`other`).

    Raises Refusal (BAD_REQUEST) for a path that servers read in different ways.
    """
    path = normalised(raw_path)
    if path == TRACK:
        return Place("track", path)
    if path == BATCH:
        return Place("batch", path)
    # Many servers make no difference between cases: `/Ecommerce/` is not let past as something else than it is.
    folded = path.lower()
    if _within(folded, ECOMMERCE):
        known = path.startswith(ECOMMERCE) and path[len(ECOMMERCE) + 1 :] in QUERIES
        return Place("query" if known else "other", path)
    if _within(folded, USER):
        name = path[len(USER) + 1 :]
        return Place("user" if path.startswith(USER) and name and "/" not in name else "other", path)
    return Place("passage" if path.startswith(API) else "other", path)


def user_of(place: Place) -> str:
    """Return the user id that a `user` path ends with. Raises Refusal (BAD_REQUEST) when it is not UTF-8."""
    try:
        return unquote(place.path[len(USER) + 1 :], errors="strict")
    except UnicodeDecodeError as error:
        raise Refusal("BAD_REQUEST", "User id is not valid UTF-8") from error


def normalised(raw_path: str) -> str:
    """Return a path without dot segments and doubled slashes; what needs no escape is written without, escapes in upper case.

    Raises Refusal (BAD_REQUEST) for characters that no path may hold, broken escapes, and dot segments hidden behind escaped slashes.
    """
    if not raw_path.startswith("/") or _PLAIN.fullmatch(raw_path) is None:
        raise Refusal("BAD_REQUEST", "Malformed path")
    path = _ESCAPE.sub(_unescaped, raw_path) if "%" in raw_path else raw_path
    segments: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in ("", "."):
            if "%" in part and not _DOTS.isdisjoint(_SEPARATOR.split(unquote_to_bytes(part))):
                raise Refusal("BAD_REQUEST", "Malformed path")
            segments.append(part)
    return "/" + "/".join(segments) + ("/" if segments and parts[-1] in ("", ".", "..") else "")


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent + "/")
