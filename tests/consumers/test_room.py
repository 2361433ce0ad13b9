from __future__ import annotations

from broker.interface import TopicPartition
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DELIVERED, Tracker
from consumers.room import MAX_RECORDS, MAX_SPAN, Plan, Reach, Room
from tests.consumers.records import read, record

BUDGET = 1_000_000


def holding(weight: int) -> Tracker:
    tracker = Tracker(0, Tally(0))
    tracker.held = weight
    return tracker


def plan(room: Room, *held: int, flowing: bool = True, hungry: bool = True) -> Plan:
    return room.plan(
        Reach(TopicPartition("t", number), holding(each), flowing, hungry) for number, each in enumerate(held)
    )


def wanted(found: Plan) -> list[int]:
    return [partition.partition for partition in found.partitions]


def test_a_partition_alone_may_hold_half_of_everything() -> None:
    room = Room(BUDGET)
    assert wanted(plan(room, 0)) == [0]
    assert wanted(plan(room, BUDGET // 4)) == [0]
    assert wanted(plan(room, BUDGET // 4 + 1)) == []


def test_many_partitions_of_storefronts_that_flow_borrow_from_the_other_half() -> None:
    room = Room(BUDGET)
    assert wanted(plan(room, BUDGET // 8, *[0] * 99)) == list(range(100))


def test_a_storefront_that_rests_is_read_up_to_its_own_share_only() -> None:
    room = Room(BUDGET)
    own = BUDGET // 2 // 4
    found = plan(room, own // 2, own // 2 + 1, 0, 0, flowing=False)
    assert wanted(found) == [0, 2, 3]
    assert not found.withheld, "no room will come soon"


def test_when_all_is_lent_everybody_still_has_a_share() -> None:
    room = Room(BUDGET)
    found = plan(room, BUDGET // 2, BUDGET // 2, 0, BUDGET // 20)
    assert wanted(found) == [2, 3]
    assert found.withheld


def test_a_read_is_as_large_as_the_least_room_allows_by_what_records_weighed() -> None:
    room = Room(BUDGET)
    for _ in range(100):
        room.learn(10, 10 * 1_000)
    assert plan(room, 0).max_records in (499, 500)
    for _ in range(100):
        room.learn(1, 2_000_000)
    assert plan(room, 0).max_records == 1
    for _ in range(100):
        room.learn(1000, 1000)
    assert plan(room, 0).max_records == MAX_RECORDS


def test_a_storefront_that_has_enough_at_hand_is_not_read() -> None:
    found = plan(Room(BUDGET), 0, hungry=False)
    assert found.partitions == []
    assert found.withheld, "it will soon want more"


def test_nothing_owned_asks_for_nothing() -> None:
    assert Room(BUDGET).plan([]).partitions == []


def test_one_record_that_never_finishes_holds_reading_up_only_so_far() -> None:
    tracker = Tracker(0, Tally(0))
    stuck = [record(0)]
    others = [record(offset) for offset in range(1, MAX_SPAN)]
    read(tracker, stuck + others)
    tracker.settle(others, DELIVERED)
    room = Room(BUDGET)
    partition = TopicPartition("t", 0)
    assert room.plan([Reach(partition, tracker, flowing=True, hungry=True)]).partitions == []
    tracker.settle(stuck, DELIVERED)
    assert room.plan([Reach(partition, tracker, flowing=True, hungry=True)]).partitions == [partition]
