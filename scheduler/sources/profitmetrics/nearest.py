"""Misspelt names, and what was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CLOSE: Final = 0.6


def nearest(word: str, words: Iterable[str], most: int = 1) -> list[str]:
    """Return those of `words` that `word` looks like, the likest first, at most `most`; case does not matter."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    return [by_lower[near] for near in difflib.get_close_matches(word.lower(), by_lower, n=most, cutoff=_CLOSE)]


def listed(words: Sequence[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end
