from __future__ import annotations

import pytest

from broker.interface import Commit, LogRange
from consumers.audit import Balance, of_partition
from consumers.offsets.tally import Tally


def balanced(start: int, end: int, offset: int | None = None, tally: Tally | None = None) -> tuple[int, ...]:
    commit = None if offset is None else Commit(offset, "" if tally is None else tally.encode())
    found = of_partition("acme", LogRange(start, end), commit)
    assert found.balanced == (found.unaccounted == 0)
    return found.accepted, found.delivered, found.dead_lettered, found.waiting, found.unaccounted


@pytest.mark.parametrize(
    ("start", "end", "offset", "tally", "expected"),
    [
        (0, 0, None, None, (0, 0, 0, 0, 0)),
        (0, 7, None, None, (7, 0, 0, 7, 0)),
        (3, 7, None, None, (4, 0, 0, 4, 0)),
        (0, 7, 5, Tally(0, 4, 1), (7, 4, 1, 2, 0)),
        (3, 7, 5, Tally(0, 4, 1), (7, 4, 1, 2, 0)),
        (0, 7, 5, Tally(2, 3, 0), (5, 3, 0, 2, 0)),
        (0, 7, 5, Tally(0, 3, 1), (7, 3, 1, 2, 1)),
        (0, 7, 5, Tally(0, 6, 1), (7, 6, 1, 2, 2)),
        (6, 9, 4, Tally(0, 4, 0), (9, 4, 0, 5, 2)),
        (0, 2, 5, Tally(0, 5, 0), (2, 5, 0, 0, 3)),
        (0, 7, 5, None, (7, 0, 0, 2, 5)),
        (3, 7, 5, None, (4, 0, 0, 2, 2)),
    ],
    ids=[
        "empty",
        "nothing committed",
        "nothing committed, the beginning expired",
        "all in order",
        "what was delivered has expired",
        "counted from within the log",
        "one was passed by",
        "more than there were",
        "expired before it was forwarded",
        "the log ends before the commit",
        "somebody else's commit",
        "somebody else's commit, the beginning expired",
    ],
)
def test_one_partition(
    start: int, end: int, offset: int | None, tally: Tally | None, expected: tuple[int, ...]
) -> None:
    assert balanced(start, end, offset, tally) == expected


def test_a_balance_knows_whether_it_balances() -> None:
    assert Balance("acme", 1, 1, 0, 0, 0).balanced
    assert not Balance("acme", 2, 1, 0, 0, 1).balanced
