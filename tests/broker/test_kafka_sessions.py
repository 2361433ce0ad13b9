"""Until when a member's session lasts for certain, by what its group answered. No Kafka needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import (
    IllegalGenerationError,
    NoError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
)
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetCommitResponse_v2
from aiokafka.protocol.group import (
    HeartbeatRequest,
    HeartbeatResponse_v1,
    LeaveGroupRequest,
    LeaveGroupResponse_v1,
    SyncGroupRequest,
    SyncGroupResponse_v1,
)

from broker.kafka import inside
from runtime.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

FROZEN_SECONDS = 20.0
HEARTBEAT = HeartbeatRequest("group", 1, "me")
SYNC = SyncGroupRequest("group", 1, "me", None, [])


class Coordinator:
    """A group's coordinator as aiokafka's consumer asks it: each answer takes as long as a freeze, and is `answer`."""

    group_id = "group"

    def __init__(self, clock: ManualClock) -> None:
        self._coordinator = self  # it stands for the consumer, too
        self._clock = clock
        self.answer: Any = None

    async def _send_req(self, request: object) -> Any:
        del request
        await self._clock.advance(FROZEN_SECONDS)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def ask(self, request: object, answer: object) -> None:
        self.answer = answer
        await self._send_req(request)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start=1_000.0)


@pytest.fixture
def coordinator(clock: ManualClock) -> Coordinator:
    return Coordinator(clock)


@pytest.fixture
def heard(coordinator: Coordinator, clock: ManualClock) -> Callable[[], float]:
    return inside.last_heard(coordinator, clock.monotonic)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (HEARTBEAT, HeartbeatResponse_v1(0, NoError.errno)),
        (HEARTBEAT, HeartbeatResponse_v1(0, RebalanceInProgressError.errno)),
        (SYNC, SyncGroupResponse_v1(0, NoError.errno, b"")),
    ],
)
async def test_a_member_was_heard_of_when_it_asked_not_when_it_read_the_answer(
    coordinator: Coordinator, heard: Callable[[], float], request_: object, answer: object
) -> None:
    assert heard() == float("-inf")
    await coordinator.ask(request_, answer)
    assert heard() == 1_000.0
    await coordinator.ask(request_, answer)
    assert heard() == 1_000.0 + FROZEN_SECONDS


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (HEARTBEAT, HeartbeatResponse_v1(0, UnknownMemberIdError.errno)),
        (HEARTBEAT, HeartbeatResponse_v1(0, IllegalGenerationError.errno)),
        (SYNC, SyncGroupResponse_v1(0, RebalanceInProgressError.errno, b"")),
        (OffsetCommitRequest("group", 1, "me", -1, []), OffsetCommitResponse_v2([("topic", [(0, NoError.errno)])])),
    ],
)
async def test_what_others_are_told_as_well_holds_nothing(
    coordinator: Coordinator, heard: Callable[[], float], request_: object, answer: object
) -> None:
    await coordinator.ask(request_, answer)
    assert heard() == float("-inf")


async def test_no_answer_holds_nothing_longer(coordinator: Coordinator, heard: Callable[[], float]) -> None:
    await coordinator.ask(HEARTBEAT, HeartbeatResponse_v1(0, NoError.errno))
    with pytest.raises(RequestTimedOutError):
        await coordinator.ask(HEARTBEAT, RequestTimedOutError())
    assert heard() == 1_000.0


@pytest.mark.parametrize("answered", [True, False])
async def test_who_asks_to_leave_holds_nothing_whatever_comes_of_it(
    coordinator: Coordinator, heard: Callable[[], float], *, answered: bool
) -> None:
    await coordinator.ask(HEARTBEAT, HeartbeatResponse_v1(0, NoError.errno))
    leaving = LeaveGroupRequest("group", "me")
    if answered:
        await coordinator.ask(leaving, LeaveGroupResponse_v1(0, NoError.errno))
    else:
        with pytest.raises(RequestTimedOutError):
            await coordinator.ask(leaving, RequestTimedOutError())
    assert heard() == float("-inf")


async def test_what_would_be_committed_as_nobodys_is_not_sent(coordinator: Coordinator, clock: ManualClock) -> None:
    """As when a commit is tried again after its member was thrown out."""
    inside.with_members_commits_only(coordinator)
    taken = OffsetCommitResponse_v2([("topic", [(0, NoError.errno)])])
    await coordinator.ask(OffsetCommitRequest("group", 1, "me", -1, []), taken)
    asked = clock.monotonic()
    with pytest.raises(IllegalGenerationError):
        await coordinator.ask(OffsetCommitRequest("group", -1, "", -1, []), taken)
    assert clock.monotonic() == asked
