"""Misspelt names, and what was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CLOSE: Final = 0.6
"""How like a word must be to be meant, from 0 to 1."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return that of `words` which `word` looks most like, whatever the case of either; None when it looks like none."""
    return next(iter(several_nearest(word, words, 1)), None)


def several_nearest(word: str, words: Iterable[str], most: int) -> list[str]:
    """Return those of `words` that `word` looks like, the likest first, at most `most`; case does not matter."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    return [by_lower[near] for near in difflib.get_close_matches(word.lower(), by_lower, n=most, cutoff=_CLOSE)]


def listed(values: Sequence[str | int], last: str = "or") -> str:
    """Return `a, b or c`."""
    *others, end = map(str, values)
    return f"{', '.join(others)} {last} {end}" if others else end
