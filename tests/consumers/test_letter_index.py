"""The index of dead letters: what became of each, and in which order they go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consumers.letters.dead_letters import DeadLetter, Reason, message
from consumers.letters.index import RECORD_BYTES, LetterIndex
from consumers.letters.letter import Letter, Place, Settlement, read_letter
from runtime.errors import OperatorError
from tests.consumers.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator


def letter(place: str, key: bytes | None, position: int, *, at: int = 0, size: int = 0) -> Letter:
    """One that stands at `place` and stood at `position` of its topic."""
    original = record(
        position, key, b"x" * size, topic="ecommerce.events.shop", headers=(("ce_type", b"ecommerce.search"),)
    )
    key, value, headers = message("shop", DeadLetter(original, Reason.REFUSED_ALONE, "no", 1))
    found = Place.read(place)
    assert found is not None
    stored = record(found.offset, key, value, topic="ecommerce.dead-letters", headers=tuple(headers))
    read = read_letter(stored._replace(partition=found.partition, timestamp=at))
    assert isinstance(read, Letter)
    return read


def settlement(place: str, outcome: str, at: int = 0) -> Settlement:
    found = Place.read(place)
    assert found is not None
    return Settlement(found, outcome, at)


@pytest.fixture
def index() -> Iterator[LetterIndex]:
    with LetterIndex() as index:
        yield index


def places(index: LetterIndex) -> list[str]:
    return [str(entry.place) for entry in index.part(0, 1 << 30)[1]]


def test_letters_go_as_they_stand_but_those_of_a_key_as_they_were_accepted(index: LetterIndex) -> None:
    # a's second one was dead-lettered first: its first had to wait for quota. b's stand in two partitions: the topic grew.
    found = [
        *(letter("0/0", b"a", 12), letter("0/1", None, 7), letter("0/2", None, 3), letter("0/3", b"a", 11)),
        *(letter("0/4", b"b", 21), letter("0/5", None, 2), letter("1/0", b"b", 20), letter("1/1", b"a", 13)),
    ]
    index.add((each, True) for each in found)
    assert index.queue_unsettled(None) == 8
    assert places(index) == ["0/1", "0/2", "0/3", "0/0", "0/5", "1/0", "0/4", "1/1"]
    assert list(index.queued()) == [("shop", 8, 0)]


def test_an_event_is_settled_with_any_of_its_letters(index: LetterIndex) -> None:
    copies = [letter("0/0", b"a", 1), letter("0/1", b"a", 2), letter("0/2", b"a", 1)]
    index.add([*((each, True) for each in copies), (settlement("0/2", "replayed", 5), False), (None, False)])
    assert (index.queue_unsettled(None), places(index), index.foreign) == (1, ["0/1"], 1)
    assert index.queue_listed(None, everything=True) == 2
    first, second = index.part(0, 1 << 30)[1]
    assert (first.copies, second.copies) == ([Place(0, 0), Place(0, 2)], [Place(0, 1)])
    assert (first.settled, second.settled) == (Settlement(Place(0, 0), "replayed", 5), None)

    index.add([(settlement("0/0", "user_deleted", 6), False), (settlement("0/99", "replayed"), False)])
    assert index.part(0, 0)[1][0].settled == Settlement(Place(0, 0), "user_deleted", 6)


def test_of_too_many_the_newest_are_listed_and_the_oldest_settled(index: LetterIndex) -> None:
    index.add((letter(f"0/{n}", None, n, at=at), True) for n, at in enumerate([30, 10, 20]))
    assert (index.queue_listed(2, everything=False), places(index)) == (2, ["0/2", "0/0"])
    assert (index.queue_unsettled(2), places(index)) == (2, ["0/1", "0/2"])


def test_what_is_not_wanted_is_known_all_the_same(index: LetterIndex) -> None:
    index.add([(letter("3/5", b"a", 1), False), (letter("3/6", b"a", 1), True)])
    assert index.has(Place(3, 5))
    assert not index.has(Place(5, 3))
    assert not index.has(Place(999_999_999, 10**17))
    assert index.storefronts() == {"shop"}
    assert (index.queue_unsettled(None), places(index)) == (1, ["3/6"])


def test_a_part_is_no_larger_than_it_may_be_but_holds_one(index: LetterIndex) -> None:
    sizes = [0, 100, 5000, 1, 2]
    index.add((letter(f"0/{n}", None, n, size=size), True) for n, size in enumerate(sizes))
    index.queue_unsettled(None)
    parts = []
    after = 0
    while True:
        after, part = index.part(after, 2 * RECORD_BYTES + 100)
        if not part:
            break
        parts.append([entry.size for entry in part])
    assert parts == [[0, 100], [5000], [1, 2]]


def test_what_has_no_room_is_told(index: LetterIndex) -> None:
    index._database.execute("PRAGMA max_page_count = 8")
    with pytest.raises(OperatorError, match=r"cannot be kept in a temporary file .*full.*; TMPDIR names another"):
        index.add((letter(f"0/{n}", None, n), True) for n in range(5000))
