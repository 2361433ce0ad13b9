from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from consumers.api.outcomes import Action, Kind, Outcome
from consumers.pace.circuit import OUTAGE_AFTER
from consumers.pace.gate import Gate
from consumers.pace.origin import Origin
from runtime.clock import ManualClock
from tests.chance import seeded

DELIVERED = Outcome(Kind.DELIVERED, Action.SETTLE)
TROUBLE = Outcome(Kind.SERVER_ERROR, Action.RETRY)
QUOTA = Outcome(Kind.QUOTA, Action.PAUSE, pause="quota")


def rate(seconds: float = 0) -> Outcome:
    return Outcome(Kind.RATE, Action.PAUSE, pause="rate", retry_after=seconds)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gate(clock: ManualClock) -> Gate:
    return Gate(4, clock, seeded(1), Origin(None, clock))


def go(gate: Gate) -> bool:
    """Send a new request out, if it may go; whether it is the probe."""
    assert gate.admit(new=True)
    return gate.enter()


def reason(gate: Gate) -> str | None:
    return gate.reason


def wait(gate: Gate, clock: ManualClock) -> float:
    opens_at = gate.opens_at()
    assert opens_at is not None
    return opens_at - clock.monotonic()


async def over(gate: Gate, clock: ManualClock) -> None:
    await clock.advance(wait(gate, clock))


async def test_so_many_requests_go_out_at_once_and_no_more(gate: Gate) -> None:
    for _ in range(4):
        assert go(gate) is False
    assert not gate.admit(new=True)
    assert gate.opens_at() is None
    gate.leave("a", DELIVERED, probe=False)
    assert gate.admit(new=True)


async def test_a_rest_ends_with_one_probe_that_succeeds(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", QUOTA, probe=False)
    assert reason(gate) == "quota"
    assert not gate.admit(new=True)
    assert 0.5 <= wait(gate, clock) <= 1
    await over(gate, clock)
    assert go(gate) is True
    assert not gate.admit(new=True), "one probe, and no more"
    gate.leave("b", DELIVERED, probe=True)
    assert reason(gate) is None
    assert go(gate) is False


@pytest.mark.parametrize(
    ("outcome", "longest"), [(QUOTA, 300), (rate(), 30), (Outcome(Kind.AUTH, Action.PAUSE, pause="auth"), 300)]
)
async def test_rests_grow_with_every_probe_that_fails_up_to_their_cap(
    gate: Gate, clock: ManualClock, outcome: Outcome, longest: float
) -> None:
    go(gate)
    gate.leave("a", outcome, probe=False)
    for expected in [*(2.0**n for n in range(12))]:
        bound = min(longest, expected)
        assert bound / 2 <= wait(gate, clock) <= bound
        await over(gate, clock)
        gate.leave("a", outcome, probe=go(gate))


async def test_no_request_goes_out_before_a_retry_after_is_over(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", rate(90), probe=False)
    assert wait(gate, clock) == pytest.approx(90)
    await clock.advance(89.9)
    assert not gate.admit(new=True)
    await clock.advance(0.2)
    assert gate.admit(new=True)


async def test_a_straggler_prolongs_the_rest_and_does_not_make_the_next_one_longer(
    gate: Gate, clock: ManualClock
) -> None:
    for _ in range(4):
        go(gate)
    gate.leave("a", rate(), probe=False)
    gate.leave("b", rate(20), probe=False)
    gate.leave("c", rate(), probe=False)
    assert wait(gate, clock) == pytest.approx(20)
    gate.leave("d", DELIVERED, probe=False)
    assert reason(gate) == "rate", "it was sent before the rest began, and says nothing about now"
    await over(gate, clock)
    gate.leave("a", rate(), probe=go(gate))
    assert wait(gate, clock) <= 2


async def test_a_probe_that_fails_otherwise_keeps_the_reason(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", QUOTA, probe=False)
    await over(gate, clock)
    gate.leave("a", TROUBLE, probe=go(gate))
    assert reason(gate) == "quota"
    assert 1 <= wait(gate, clock) <= 2


async def test_a_refused_batch_is_an_answer_of_the_api_and_ends_the_rest(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", QUOTA, probe=False)
    await over(gate, clock)
    gate.leave("a", Outcome(Kind.REFUSED, Action.HALVE), probe=go(gate))
    assert reason(gate) is None


async def test_one_batch_that_always_fails_is_no_outage(gate: Gate) -> None:
    for _ in range(50):
        go(gate)
        gate.leave("a", TROUBLE, probe=False)
    assert reason(gate) is None


async def test_batch_after_batch_failing_is_an_outage(gate: Gate, clock: ManualClock) -> None:
    for number in range(OUTAGE_AFTER):
        assert reason(gate) is None
        go(gate)
        gate.leave(number, TROUBLE, probe=False)
    assert reason(gate) == "outage"
    assert wait(gate, clock) <= 1


async def test_a_success_between_failures_is_no_outage(gate: Gate) -> None:
    for number in range(50):
        go(gate)
        gate.leave(number, DELIVERED if number % OUTAGE_AFTER == 0 else TROUBLE, probe=False)
    assert reason(gate) is None


async def test_what_is_tried_again_goes_before_what_is_new(gate: Gate) -> None:
    for _ in range(4):
        go(gate)
    waiting = asyncio.create_task(gate.turn())
    await asyncio.sleep(0)
    gate.leave("a", DELIVERED, probe=False)
    assert not gate.admit(new=True), "the one place went to the one that waited"
    assert await waiting is False
    assert gate.in_flight == 4


async def test_as_probes_the_new_and_the_waiting_take_turns(gate: Gate, clock: ManualClock) -> None:
    gate.on_change(lambda: None)
    for number in range(OUTAGE_AFTER):
        go(gate)
        gate.leave(number, TROUBLE, probe=False)
    probes = []
    for _ in range(6):
        waiting = asyncio.create_task(gate.turn())
        await asyncio.sleep(0)
        await over(gate, clock)
        if gate.admit(new=True):
            probes.append("new")
            gate.leave("new", TROUBLE, probe=gate.enter())
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        else:
            probes.append("waiting")
            gate.leave("old", TROUBLE, probe=await waiting)
    assert probes == ["waiting", "new"] * 3


async def test_without_anything_new_those_who_wait_are_probes_every_time(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", QUOTA, probe=False)
    for _ in range(3):
        waiting = asyncio.create_task(gate.turn())
        await asyncio.sleep(0)
        await over(gate, clock)
        gate.admit(new=False)
        gate.leave("a", QUOTA, probe=await waiting)
    assert reason(gate) == "quota"


@pytest.mark.parametrize("admitted", [False, True])
async def test_giving_up_while_waiting_leaves_no_trace(gate: Gate, admitted: bool) -> None:  # noqa: FBT001 - a column of the table
    for _ in range(4):
        go(gate)
    waiting = asyncio.create_task(gate.turn())
    await asyncio.sleep(0)
    if admitted:
        gate.forgo(probe=False)
        gate.admit(new=False)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert gate.in_flight == (3 if admitted else 4)


async def test_a_probe_that_is_given_up_leaves_the_next_one_its_turn(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.leave("a", QUOTA, probe=False)
    await over(gate, clock)
    gate.forgo(probe=go(gate))
    assert reason(gate) == "quota"
    assert go(gate) is True


async def test_a_turn_that_was_just_given_up_is_passed_over(gate: Gate) -> None:
    for _ in range(4):
        go(gate)
    given_up, patient = (asyncio.create_task(gate.turn()) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    # Before the task itself has come to know of it.
    gate.leave("a", DELIVERED, probe=False)
    gate.admit(new=False)
    assert await patient is False
    with suppress(asyncio.CancelledError):
        await given_up
    assert given_up.cancelled()
    assert gate.in_flight == 4
    assert not gate.has_waiting


async def test_a_parked_storefront_lets_nothing_out_until_that_is_lifted(gate: Gate, clock: ManualClock) -> None:
    changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    gate.on_change(changed)
    go(gate)
    gate.park("manual")
    assert reason(gate) == "manual"
    assert gate.opens_at() is None
    assert gate.rests_until == float("inf")
    waiting = asyncio.create_task(gate.turn())
    await asyncio.sleep(0)
    gate.leave("a", DELIVERED, probe=False)
    await clock.advance(10_000)
    assert not gate.admit(new=True)
    assert reason(gate) == "manual", "a delivery does not lift it"
    changes = 0
    gate.park(None)
    assert changes == 1, "whoever waits is told"
    assert reason(gate) is None
    gate.admit(new=True)
    assert await waiting is False


async def test_what_answers_say_while_it_is_parked_counts_when_it_goes_on(gate: Gate, clock: ManualClock) -> None:
    go(gate)
    gate.park("dead_letter_limit")
    gate.leave("a", rate(90), probe=False)
    assert reason(gate) == "dead_letter_limit"
    gate.park("manual")
    assert reason(gate) == "manual"
    gate.park(None)
    assert reason(gate) == "rate"
    assert wait(gate, clock) == pytest.approx(90)
    await over(gate, clock)
    assert go(gate) is True


async def test_after_a_refusal_fewer_go_out_at_once_and_with_good_answers_as_many_again(
    gate: Gate, clock: ManualClock
) -> None:
    for _ in range(4):
        go(gate)
    for _ in range(4):
        gate.leave("a", rate(), probe=False)
    await over(gate, clock)
    gate.leave("b", DELIVERED, probe=go(gate))
    assert gate.limit == 2
    for _ in range(2):
        go(gate)
    assert not gate.admit(new=True)
    for _ in range(40):
        gate.leave("c", DELIVERED, probe=False, seconds=0.05)
        while gate.admit(new=True):
            go(gate)
    assert gate.limit == gate.in_flight == 4


async def test_the_urgent_go_first_also_as_probes(gate: Gate, clock: ManualClock) -> None:
    for _ in range(4):
        go(gate)
    patient = asyncio.create_task(gate.turn())
    await asyncio.sleep(0)
    urgent = asyncio.create_task(gate.turn(urgent=True))
    await asyncio.sleep(0)
    gate.leave("a", QUOTA, probe=False)
    await over(gate, clock)
    gate.admit(new=True)
    assert await urgent is True
    gate.leave("a", QUOTA, probe=True)
    await over(gate, clock)
    gate.admit(new=True)
    assert await patient is True
    assert gate.in_flight == 4
