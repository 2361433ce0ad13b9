from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.interface import Commit, LogRange
from consumers.delivery.batch import Batch, body_of
from consumers.delivery.lane import Lane
from consumers.delivery.repeats import PATIENCE
from consumers.offsets.memory import Remembered, remembered
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DELIVERED, Tracker
from tests.chance import seeded
from tests.consumers.records import Read, record

if TYPE_CHECKING:
    from broker.interface import Record

WAIT = 0.2


def lane(*, max_events: int = 100, max_bytes: int = 1024 * 1024, partitions: int = 1) -> Lane:
    made = Lane(max_events=max_events, max_bytes=max_bytes, max_wait=WAIT)
    made.assign({number: Tracker(0, Tally(0)) for number in range(partitions)})
    return made


def offsets(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [each.offset for each in batch.records]


def keyed(*keys: str, first: int = 0) -> list[Read]:
    return [record(first + index, key.encode() if key != "-" else None) for index, key in enumerate(keys)]


def test_a_batch_is_due_when_the_oldest_record_has_waited_long_enough() -> None:
    made = lane()
    assert made.due_at() is None
    made.add(0, keyed("a"), now=100.0)
    made.add(0, keyed("b", first=1), now=100.1)
    assert made.due_at() == 100.0 + WAIT
    assert offsets(made.take()) == [0, 1]
    assert made.due_at() is None


def test_what_a_full_batch_leaves_behind_waits_from_its_own_arrival() -> None:
    made = lane(max_events=2)
    made.add(0, keyed("a", "b"), now=100.0)
    made.add(0, keyed("c", first=2), now=100.1)
    assert made.due_at() == float("-inf")
    assert offsets(made.take()) == [0, 1]
    assert made.due_at() == 100.1 + WAIT


def test_a_batch_is_due_at_once_when_there_is_enough_for_a_full_body() -> None:
    made = lane(max_bytes=1000)
    made.add(0, [record(offset, value=b"x" * 400) for offset in range(3)], now=100.0)
    assert made.due_at() == float("-inf")
    batch = made.take()
    assert offsets(batch) == [0, 1]
    assert batch is not None
    assert len(body_of(batch.records)) <= 1000
    assert made.due_at() == 100.0 + WAIT


@pytest.mark.parametrize("spare", [0, -1])
def test_a_body_is_filled_to_the_last_byte_and_no_further(spare: int) -> None:
    values = [b"x" * 10, b"y" * 20]
    made = lane(max_bytes=len(body_of([record(0, value=value) for value in values])) + spare)
    made.add(0, [record(offset, value=value) for offset, value in enumerate(values)], now=0.0)
    assert offsets(made.take()) == ([0, 1] if spare == 0 else [0])


def test_an_event_too_large_for_any_batch_travels_alone() -> None:
    made = lane(max_bytes=100)
    made.add(0, [record(0), record(1, value=b"x" * 500), record(2)], now=0.0)
    assert [offsets(made.take()) for _ in range(3)] == [[0], [1], [2]]


def test_records_of_one_key_may_share_a_batch_but_not_two_batches_in_flight() -> None:
    made = lane(max_events=3)
    made.add(0, keyed("a", "a", "b", "a", "c", "b", "d"), now=0.0)
    first = made.take()
    assert offsets(first) == [0, 1, 2]
    assert offsets(made.take()) == [4, 6], "a and b are held by the first batch"
    assert made.take() is None
    assert first is not None
    made.release(first)
    assert made.due_at() == float("-inf")
    assert offsets(made.take()) == [3, 5]


def test_what_was_parked_goes_before_anything_newer_of_its_key() -> None:
    made = lane(max_events=2)
    made.add(0, keyed("a", "b", "a", "a", "a"), now=0.0)
    first = made.take()
    assert first is not None
    assert made.take() is None
    made.add(0, keyed("a", "c", first=5), now=0.0)
    made.release(first)
    second = made.take()
    assert offsets(second) == [2, 3]
    assert offsets(made.take()) == [6]
    assert second is not None
    made.release(second)
    assert offsets(made.take()) == [4, 5]


def test_a_batch_knows_whether_a_replayed_event_is_in_it() -> None:
    made = lane(max_events=2, partitions=2)
    replayed = record(1, b"a", headers=(("ce_id", b"1"), ("replayed_from", b"ecommerce.dead-letters/0/7")))
    made.add(0, [record(0, b"a"), replayed, *keyed("b", "c", "d", "e", first=2)], now=0.0)
    made.add(1, [record(0, b"f", partition=1, headers=replayed.headers)], now=0.0)
    batches = [made.take() for _ in range(2)]
    assert [each.replays for each in batches if each is not None] == [True, False]
    made.drop([1])
    last = made.take()
    assert last is not None
    assert not last.replays


def test_keys_of_which_nothing_is_left_are_let_go_before_the_batch_is() -> None:
    made = lane(max_events=4)
    made.add(0, keyed("a", "b", "a", "c", "b", "c", "a"), now=0.0)
    batch = made.take()
    assert batch is not None
    assert offsets(batch) == [0, 1, 2, 3]
    assert made.take() is None
    made.release_finished(batch, batch.records[2:3])
    assert offsets(made.take()) == [4, 5], "one of a's is not finished"
    made.release(batch)
    assert offsets(made.take()) == [6]


def test_nothing_slips_past_a_parked_record_that_finds_no_room() -> None:
    made = lane(max_bytes=100)
    made.add(0, [record(0, b"a"), record(1, b"a", b"x" * 70), record(2, b"a", b"x" * 70)], now=0.0)
    first = made.take()
    assert offsets(first) == [0, 1]
    assert made.take() is None
    made.add(0, [record(3, b"a", b"x" * 70), record(4, b"a")], now=0.0)
    assert first is not None
    made.release(first)
    second = made.take()
    assert offsets(second) == [2], "4 would fit, but 3 goes before it"
    assert second is not None
    made.release(second)
    assert offsets(made.take()) == [3, 4]


def test_records_without_a_key_wait_for_nobody() -> None:
    made = lane(max_events=2)
    made.add(0, keyed("-", "-", "-", "-"), now=0.0)
    assert [offsets(made.take()) for _ in range(2)] == [[0, 1], [2, 3]]


def test_a_tombstone_takes_its_place() -> None:
    made = lane()
    made.add(0, [record(0, b"a", None), record(1, b"a")], now=0.0)
    assert offsets(made.take()) == [0, 1]


def test_an_event_that_begins_like_a_deletion_shares_a_batch() -> None:
    made = lane()
    made.add(0, [record(0, b"a"), record(1, b"a", b'{"user_id":"a","event_type":"view_item"}')], now=0.0)
    assert offsets(made.take()) == [0, 1]


def test_dropping_a_partition_forgets_what_is_in_no_batch_and_leaves_the_rest() -> None:
    made = lane(max_events=2, partitions=2)
    made.add(0, keyed("a", "b", "a", "c"), now=0.0)
    made.add(1, [record(0, b"x", partition=1), record(1, b"y", partition=1)], now=0.1)
    first = made.take()
    assert first is not None
    assert offsets(made.take()) == [3, 0]
    made.drop([0])
    assert set(made.trackers) == {1}
    assert offsets(made.take()) == [1]
    made.release(first)
    assert made.take() is None
    assert made.ready == 0


def test_a_batch_in_flight_keeps_the_trackers_of_its_own_assignment() -> None:
    made = lane()
    old = made.trackers[0]
    made.add(0, keyed("a"), now=0.0)
    batch = made.take()
    assert batch is not None
    made.drop([0])
    new = Tracker(0, Tally(0))
    made.assign({0: new})
    made.add(0, keyed("a"), now=1.0)
    assert made.take() is None, "the key is held until the old batch ends"
    batch.settle(batch.records, DELIVERED)
    made.release(batch)
    assert new.commit() is None, "a late acknowledgement of an old assignment counts for nothing"
    assert old.commit() is not None
    assert offsets(made.take()) == [0]


def left_in_doubt(position: int, doubts: dict[int, bytes]) -> Tracker:
    return Tracker(position, Tally(0, position), Remembered(b"", doubts))


def test_what_was_left_in_doubt_goes_first_as_it_was_sent_and_the_oldest_before_all() -> None:
    made = lane(max_events=3)
    made.assign({0: left_in_doubt(0, {2_000: b"\1\2", 1_000: b"\0\0\0\2\0\1"})}, now=50.0)
    made.add(0, keyed("a", "-", "b", "c"), now=50.0)
    assert made.due_at() == 50.0 + PATIENCE, "one is not read yet"
    made.add(0, keyed("b", "c", "c", "a", first=4), now=50.0)
    assert made.due_at() == float("-inf")
    assert [each.offset for each in made.waiting()] == [0, 1, 3, 5, 2, 4, 6, 7]
    oldest = made.take()
    assert offsets(oldest) == [3, 5]
    second = made.take()
    assert offsets(second) == [0, 1]
    assert offsets(made.take()) == [2, 4], "what comes after them of their keys waits for them"
    assert made.take() is None
    assert oldest is not None
    made.release(oldest)
    assert offsets(made.take()) == [6]
    assert second is not None
    made.release(second)
    assert offsets(made.take()) == [7]


def test_what_goes_first_and_is_not_read_in_time_is_waited_for_no_longer() -> None:
    made = lane()
    made.assign({0: left_in_doubt(0, {1_000: b"\0\2\2"})}, now=50.0)
    assert made.due_at() == 50.0 + PATIENCE
    made.add(0, keyed("a", "b"), now=50.0)
    assert offsets(made.take()) == [1]
    made.add(0, keyed("b", "c", first=2), now=60.0)
    assert made.due_at() == 50.0 + WAIT
    assert offsets(made.take()) == [0, 3]


def test_nothing_goes_first_whose_key_is_held_or_of_whose_key_something_earlier_waits() -> None:
    made = lane(max_events=1)
    made.add(0, keyed("a"), now=0.0)
    held = made.take()
    made.assign({0: left_in_doubt(0, {1_000: b"\0\2\2\2"})}, now=0.0)
    made.add(0, keyed("b", "a", "b", "c"), now=0.0)
    assert offsets(made.take()) == [3]
    assert offsets(made.take()) == [0]
    assert held is not None
    made.release(held)
    assert offsets(made.take()) == [1]


def test_dropping_a_partition_forgets_what_was_to_go_first() -> None:
    made = lane(partitions=2)
    made.assign({number: left_in_doubt(0, {1_000: b"\2\2"}) for number in (0, 1)}, now=0.0)
    made.add(0, keyed("a"), now=0.0)
    made.add(1, [record(0, b"x", partition=1), record(1, b"y", partition=1)], now=0.0)
    made.drop([0])
    assert made.due_at() == float("-inf")
    batch = made.take()
    assert batch is not None
    assert [(each.partition, each.offset) for each in batch.records] == [(1, 0), (1, 1)]
    made.assign({0: Tracker(0, Tally(0))})
    made.add(0, keyed("a"), now=0.0)
    assert offsets(made.take()) == [0], "its key is free"


class World:
    """A lane between a log of several partitions and an API, with everything that arrives written down."""

    PARTITIONS = 3

    def __init__(self, seed: int, keys: int, max_events: int) -> None:
        self.chance = seeded(seed)
        self.keys = keys
        # Any batch full of the light ones fits.
        self.sizes = self.chance.choice(((2, 20), (2, 20, 20, 20, 500), (2, 40, 500)))
        self.max_events = max_events
        self.max_bytes = 400
        self.lane = Lane(max_events=max_events, max_bytes=self.max_bytes, max_wait=WAIT)
        self.logs: list[list[Read]] = [[] for _ in range(self.PARTITIONS)]
        self.committed = [Commit(0, Tally(0).encode())] * self.PARTITIONS
        self.in_flight: list[Batch] = []
        self.arrived: list[Record] = []
        self.owned: set[int] = set()
        self.moment = 0
        self.spared: list[set[int]] = [set() for _ in range(self.PARTITIONS)]
        for partition in range(self.PARTITIONS):
            self.assign(partition)

    def step(self) -> None:
        steps = (self.append, self.read, self.take, self.arrive, self.rebalance)
        self.chance.choices(steps, (4, 6, 8, 8, 1))[0]()

    def assign(self, partition: int) -> None:
        commit = self.committed[partition]
        self.owned.add(partition)
        before = remembered(commit, LogRange(0, len(self.logs[partition])))
        self.lane.assign({partition: Tracker(commit.offset, Tally.decode(commit.metadata), before)})
        self.spared[partition] |= {commit.offset + index for index, mark in enumerate(before.finished) if mark}

    def append(self) -> None:
        partition = self.chance.randrange(self.PARTITIONS)
        log = self.logs[partition]
        for _ in range(self.chance.randint(1, 12)):
            key = self.chance.randrange(self.keys)
            # As in production, a key always lives in the same partition.
            name = None if key == 0 else b"%d-%d" % (partition, key)
            value = b"x" * self.chance.choice(self.sizes)
            log.append(record(len(log), name, value, partition=partition))

    def read(self) -> None:
        partition = self.chance.randrange(self.PARTITIONS)
        if partition not in self.owned:
            return
        start = self.lane.trackers[partition].next_offset
        found = self.logs[partition][start : start + self.chance.randint(1, 20)]
        if found:
            self.lane.add(partition, found, now=0.0)

    def take(self) -> None:
        batch = self.lane.take()
        if batch is None:
            return
        held = {key for other in self.in_flight for key in other.keys}
        assert held.isdisjoint(batch.keys), "two batches in flight hold the same key"
        assert {each.key for each in batch.records} - {None} == set(batch.keys)
        assert not any(each.offset in self.spared[each.partition] for each in batch.records)
        assert len(batch.records) <= self.max_events
        assert len(batch.records) == 1 or len(body_of(batch.records)) <= self.max_bytes
        self.in_flight.append(batch)

    def arrive(self) -> None:
        """A request reaches the API; its answer may be lost, and then it is sent again unchanged."""
        if not self.in_flight:
            return
        batch = self.chance.choice(self.in_flight)
        self.arrived += batch.records
        if self.chance.random() < 0.3:
            self.doubt(batch)
            return
        batch.settle(batch.records, DELIVERED)
        self.in_flight.remove(batch)
        self.lane.release(batch)
        self.commit()

    def doubt(self, batch: Batch) -> None:
        """Nobody knows whether it arrived; some of it are purchases."""
        bought = {(each.partition, each.offset) for each in batch.records if self.chance.random() < 0.5}
        if bought:
            self.moment += 1
            batch.doubt(self.moment, batch.records, bought)

    def commit(self) -> None:
        for partition, tracker in self.lane.trackers.items():
            commit = tracker.commit()
            if commit is not None:
                tally = Tally.decode(commit.metadata)
                assert tally.delivered == commit.offset - tally.base
                self.committed[partition] = commit

    def rebalance(self) -> None:
        """A partition goes and may come back; what is in flight is sometimes given up with it, and sometimes comes in late."""
        partition = self.chance.randrange(self.PARTITIONS)
        if partition not in self.owned:
            self.assign(partition)
            return
        self.owned.remove(partition)
        self.lane.drop([partition])
        for batch in list(self.in_flight):
            if batch.partitions() <= {partition} and self.chance.random() < 0.5:
                self.in_flight.remove(batch)
                self.lane.release(batch)

    def finish(self) -> None:
        for partition in set(range(self.PARTITIONS)) - self.owned:
            self.assign(partition)
        for _ in range(10_000):
            if all(self.committed[n].offset == len(log) for n, log in enumerate(self.logs)):
                return
            self.read()
            self.take()
            self.arrive()
        raise AssertionError("the lane is stuck")


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    keys=st.integers(1, 8),
    max_events=st.integers(1, 12),
    steps=st.integers(0, 400),
)
def test_whatever_happens_first_arrivals_keep_each_keys_order_and_nothing_is_lost(
    seed: int, keys: int, max_events: int, steps: int
) -> None:
    world = World(seed, keys, max_events)
    for _ in range(steps):
        world.step()
    world.finish()
    first_arrivals = list(dict.fromkeys(world.arrived))
    assert set(first_arrivals) == {each for log in world.logs for each in log}
    for log in world.logs:
        for key in {each.key for each in log} - {None}:
            assert [each for each in first_arrivals if each.key == key] == [each for each in log if each.key == key]
    assert world.lane.ready == 0
    assert not list(world.lane.waiting())
