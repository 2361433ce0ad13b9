"""The parameters that single endpoints take beside the dates, each checked before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_DIGITS = 9


class InvalidParameter(ValueError):
    """A parameter is missing or has no value that it may have; the text says which and why."""


def whole(asked: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """Return a whole number from 1 to `most`. Raises InvalidParameter."""
    text = asked.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0
    if not 1 <= number <= most:
        raise InvalidParameter(f"{name} must be an integer from 1 to {most}")
    return number


def choice(asked: Mapping[str, str], name: str, *, default: str, options: Sequence[str]) -> str:
    """Return one of `options`. Raises InvalidParameter."""
    text = asked.get(name, default)
    if text not in options:
        raise InvalidParameter(f"{name} must be one of {', '.join(options)}")
    return text


def required(asked: Mapping[str, str], name: str) -> str:
    """Return a text that may not be left out. Raises InvalidParameter."""
    text = asked.get(name)
    if not text:
        raise InvalidParameter(f"{name} is required")
    return text
