"""What became of many offsets in a row, said in few characters: how long each run of equal marks is."""

from __future__ import annotations

import re
import zlib
from itertools import islice
from typing import Final, TypeAlias

import msgspec

Runs: TypeAlias = list[int] | bytes
"""For each run three times its length, and its mark: 0, 1 or 2. As JSON a list; or, where that is long, base64 of the list, deflated."""

KINDS: Final = 3
"""A mark from here on counts as 0: nothing is said of it."""

_RUN: Final = re.compile(rb"\x01+|\x02+|[^\x01\x02]+")
# Below this a list that can be read by eye is also the cheaper one.
_PLAIN: Final = 200
_QUOTES: Final = 2
_RAW: Final = -15
# More find room in no commit, unless they are very regular.
_MOST_RUNS: Final = 8_192
_MOST_TEXT: Final = _MOST_RUNS * len("3000000,")
# How far off the guess may be of how much fits, before the next one.
_CAUTION: Final = 0.95


def pack(marks: bytes, room: int) -> Runs | None:
    """Return the runs of `marks`, in at most `room` characters of JSON: the first of them when not all can be said; None when there is
    nothing to say, or no room.
    """
    runs = []
    for match in islice(_RUN.finditer(marks), _MOST_RUNS):
        start, end = match.span()
        mark = marks[start]
        runs.append(KINDS * (end - start) + (mark if mark < KINDS else 0))
    while runs:
        if runs[-1] % KINDS == 0:
            runs.pop()
            continue
        text = msgspec.json.encode(runs)
        if len(text) <= min(_PLAIN, room):
            return runs
        deflated = _deflated(text)
        size = (len(deflated) + 2) // 3 * 4 + _QUOTES
        if size <= room:
            return deflated
        del runs[max(0, int(len(runs) * room / size * _CAUTION)) :]
    return None


def unpack(runs: Runs, most: int) -> bytes:
    """Return the marks that `pack` was given, without those at the end that say nothing, and of them at most `most`.

    Raises ValueError when these are no runs.
    """
    marks = bytearray()
    for run in _inflated(runs) if isinstance(runs, bytes) else runs:
        length, mark = divmod(run, KINDS)
        if length < 1:
            raise ValueError(f"{run} is no run")
        marks += bytes((mark,)) * min(length, most - len(marks))
    return bytes(marks.rstrip(b"\0"))


def _deflated(text: bytes) -> bytes:
    compressor = zlib.compressobj(level=6, wbits=_RAW)
    return compressor.compress(text) + compressor.flush()


def _inflated(deflated: bytes) -> list[int]:
    inflater = zlib.decompressobj(_RAW)
    try:
        text = inflater.decompress(deflated, _MOST_TEXT)
        if not inflater.eof:
            raise ValueError("runs that do not end")
        return msgspec.json.decode(text, type=list[int])
    except (zlib.error, msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"runs that cannot be read: {error}") from error
