from __future__ import annotations

import pytest

from consumers.api.outcomes import Action, Kind, Outcome
from consumers.pace.circuit import OUTAGE, OUTAGE_AFTER, Circuit
from runtime.clock import ManualClock
from tests.chance import seeded

DELIVERED = Outcome(Kind.DELIVERED, Action.SETTLE)
TROUBLE = Outcome(Kind.SERVER_ERROR, Action.RETRY)
QUOTA = Outcome(Kind.QUOTA, Action.PAUSE, pause="quota")
RATE = Outcome(Kind.RATE, Action.PAUSE, pause="rate")
HELD = Outcome(Kind.QUOTA, Action.SETTLE, pause="quota", held=frozenset({0}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def circuit(clock: ManualClock) -> Circuit:
    return Circuit(clock, seeded(1))


async def test_a_server_that_says_when_to_come_again_is_left_alone_until_then(
    circuit: Circuit, clock: ManualClock
) -> None:
    circuit.take("a", TROUBLE._replace(retry_after=40), probe=False)
    assert circuit.reason == OUTAGE
    assert circuit.until == pytest.approx(clock.monotonic() + 40)


async def test_what_a_firewall_refuses_is_no_sign_of_the_api(circuit: Circuit, clock: ManualClock) -> None:
    refused = Outcome(Kind.NOT_THE_API, Action.ISOLATE)
    for source in range(OUTAGE_AFTER):
        assert circuit.reason is None
        circuit.take(source, refused, probe=False)
    assert circuit.reason == OUTAGE
    until = circuit.until
    await clock.advance(until - clock.monotonic())
    circuit.take("another", refused, probe=True)
    assert circuit.reason == OUTAGE
    assert circuit.until > until


async def test_events_held_within_a_200_are_a_reason_to_rest(circuit: Circuit) -> None:
    circuit.take("a", HELD, probe=False)
    assert circuit.reason == "quota"


async def test_a_probe_that_succeeds_does_not_end_what_a_straggler_was_asked_meanwhile(
    circuit: Circuit, clock: ManualClock
) -> None:
    circuit.take("a", RATE, probe=False)
    await clock.advance(1)
    circuit.take("b", RATE._replace(retry_after=90), probe=False)
    circuit.take("c", DELIVERED, probe=True)
    assert circuit.reason == "rate"
    assert circuit.until == pytest.approx(clock.monotonic() + 90)
    await clock.advance(90)
    circuit.take("d", DELIVERED, probe=True)
    assert circuit.reason is None


async def test_failures_of_many_batches_with_none_delivered_between_them_open_it(circuit: Circuit) -> None:
    for number in range(OUTAGE_AFTER):
        assert circuit.reason is None
        circuit.take(number, TROUBLE, probe=False)
    assert circuit.reason == OUTAGE


@pytest.mark.parametrize("seed", range(10))
async def test_no_probe_before_any_retry_after_is_over_and_every_rest_ends(seed: int) -> None:
    chance = seeded(seed)
    clock = ManualClock()
    circuit = Circuit(clock, seeded(seed))
    asked_until = 0.0
    for _ in range(400):
        await clock.advance(chance.choice([0, 0.1, 1, 30]))
        now = clock.monotonic()
        wait = chance.choice([0, 0, 0, 5, 90])
        outcome = chance.choice([DELIVERED, TROUBLE, QUOTA, RATE, HELD])
        told_until = asked_until
        if outcome in (TROUBLE, QUOTA, RATE):
            outcome = outcome._replace(retry_after=wait)
            asked_until = max(asked_until, now + wait)
        may_probe = circuit.reason is not None and circuit.until <= now
        assert not may_probe or told_until <= now
        circuit.take(chance.randint(0, 9), outcome, probe=may_probe and chance.random() < 0.7)
        if asked_until > now:
            assert circuit.reason is not None
            assert circuit.until >= asked_until
        assert circuit.until <= now + 300 + 90
    await clock.advance(600)
    if circuit.reason is not None:
        assert circuit.until <= clock.monotonic()
        circuit.take("a", DELIVERED, probe=True)
    assert circuit.reason is None
