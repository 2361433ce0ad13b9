"""The pace that storefronts of one origin share, against the sandbox's own rate limit."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from multidict import CIMultiDict
from pydantic import SecretStr

from consumers.api.allowance import Allowance, allowance_of
from consumers.api.outcomes import Action, Kind, Outcome
from consumers.pace.origin import Origin, Place, origins
from runtime.clock import ManualClock
from runtime.settings import IngestionSettings
from sandbox.tolinku.rate_limit import RateLimit
from tests.chance import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

DELIVERED = Outcome(Kind.DELIVERED, Action.SETTLE)
TOO_MANY = Outcome(Kind.RATE, Action.PAUSE, pause="rate")
TROUBLE = Outcome(Kind.SERVER_ERROR, Action.RETRY)
QUOTA = Outcome(Kind.QUOTA, Action.PAUSE, pause="quota")
STEP = 0.01


def closed(origin: Origin) -> bool:
    return origin.closed


class Api:
    """An API with a limit for each address, and the members who send to it from one, by way of an origin each or of one."""

    def __init__(self, limit: int | None, *, tells: bool = True) -> None:
        self.clock = ManualClock()
        self.limit = limit
        self.tells = tells
        self.rate_limit = RateLimit(self.clock)
        self.sent: dict[str, list[float]] = {}
        self.refused: list[float] = []
        self.early = 0
        self.closed_until = -math.inf
        self._out: deque[tuple[float, float, str, Origin, Outcome, Allowance | None]] = deque()

    def send(self, member: str, origin: Origin, seconds: float = 0.05) -> None:
        """A member's request arrives at once; its answer takes some time."""
        origin.sent(member)
        now = self.clock.monotonic()
        self.sent.setdefault(member, []).append(now)
        outcome, allowance = DELIVERED, None
        if self.limit is not None:
            self.early += now < self.closed_until
            taken = self.rate_limit.take("us", self.limit)
            allowance = allowance_of(CIMultiDict(taken.headers())) if self.tells else None
            if not taken.allowed:
                outcome = TOO_MANY
                self.refused.append(now)
        self._out.append((now + seconds, now, member, origin, outcome, allowance))

    async def run(self, seconds: float, *wishes: tuple[str, Origin, float], most: int = 16) -> None:
        """Each of the members wants to send so many requests a second, and has at most so many out."""
        backlog = dict.fromkeys((member for member, _, _ in wishes), 0.0)
        for _ in range(round(seconds / STEP)):
            await self.clock.advance(STEP)
            self._answer()
            for member, origin, rate in wishes:
                backlog[member] += rate * STEP
                while backlog[member] >= 1 and self._out_of(member) < most and origin.admits(member):
                    backlog[member] -= 1
                    self.send(member, origin)
                if backlog[member] < 1:
                    origin.forget(member)

    def _out_of(self, member: str) -> int:
        return sum(each[2] == member for each in self._out)

    def _answer(self) -> None:
        now = self.clock.monotonic()
        while self._out and self._out[0][0] <= now:
            _, sent, member, origin, outcome, allowance = self._out.popleft()
            origin.answered(member, outcome, allowance, now - sent)
            if outcome is TOO_MANY and allowance is not None and allowance.reset is not None:
                self.closed_until = now + allowance.reset

    @property
    def count(self) -> int:
        return sum(map(len, self.sent.values()))


def most_in(seconds: float, moments: list[float]) -> int:
    ordered, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


async def test_without_a_limit_nothing_is_held_up() -> None:
    api = Api(None)
    origin = Origin(None, api.clock)
    await api.run(1, ("a", origin, 1_000))
    assert api.count > 250, "16 out at 50 ms each"
    assert origin.opens_at("a") == -math.inf


@pytest.mark.parametrize("limit", [1_000, 100, 12])
async def test_what_the_answers_tell_is_respected_before_a_429_comes(limit: int) -> None:
    api = Api(limit)
    origin = Origin(None, api.clock)
    await api.run(60, ("a", origin, 10_000), most=8)
    before = api.count
    refused = len(api.refused)
    await api.run(180, ("a", origin, 10_000), most=8)
    assert len(api.refused) == refused, "adapted"
    assert api.count - before >= 0.93 * 3 * limit, "and nearly all of what the API gives is used"
    assert api.early == 0


async def test_requests_are_spread_over_the_window() -> None:
    api = Api(600)
    origin = Origin(None, api.clock)
    await api.run(180, ("a", origin, 10_000))
    begin = api.clock.monotonic() - 120
    late = [moment for moment in api.sent["a"] if moment >= begin]
    assert max(after - before for before, after in pairwise(late)) < 2, "no long silence at the end of a window"


async def test_a_burst_goes_at_once() -> None:
    api = Api(1_000)
    origin = Origin(None, api.clock)
    await api.run(10, ("a", origin, 1))
    before = api.count
    for _ in range(40):
        assert origin.admits("a")
        api.send("a", origin)
    assert api.count == before + 40


@pytest.mark.parametrize("limit", [1, 2, 60, 900])
async def test_what_is_set_is_never_exceeded_in_any_minute(limit: int) -> None:
    api = Api(None)
    origin = Origin(limit, api.clock)
    minutes = 4
    await api.run(minutes * 60, ("a", origin, 10_000))
    assert most_in(60, api.sent["a"]) <= limit
    assert api.count >= minutes * limit * 0.95 - 1


async def test_of_what_is_set_and_what_is_told_the_lower_counts() -> None:
    api = Api(600)
    origin = Origin(60, api.clock)
    await api.run(120, ("a", origin, 10_000))
    assert most_in(60, api.sent["a"]) <= 60
    api = Api(60)
    origin = Origin(600, api.clock)
    await api.run(180, ("a", origin, 10_000), most=4)
    assert api.refused == []


@pytest.mark.parametrize("told", [True, False])
async def test_storefronts_with_a_backlog_have_equal_shares_and_what_one_leaves_is_the_others(told: bool) -> None:  # noqa: FBT001 - a column of the table
    api = Api(900 if told else None)
    origin = Origin(None if told else 900, api.clock)
    wishes = (("a", origin, 10_000.0), ("b", origin, 10_000.0), ("small", origin, 1.0))
    await api.run(60, *wishes, most=2)
    before = {member: len(moments) for member, moments in api.sent.items()}
    await api.run(120, *wishes, most=2)
    a, b, small = (len(api.sent[member]) - before[member] for member in ("a", "b", "small"))
    assert a == pytest.approx(b, rel=0.01)
    assert small == pytest.approx(120, abs=3), "whoever wants less than a share gets all of it"
    assert a + b + small >= 0.95 * 900 * 2
    assert api.refused == []


async def test_a_slow_pace_is_shared_too() -> None:
    api = Api(None)
    origin = Origin(6, api.clock)
    await api.run(300, ("a", origin, 10_000), ("b", origin, 10_000))
    assert len(api.sent["a"]) == pytest.approx(len(api.sent["b"]), abs=2)


async def test_who_stops_asking_holds_nobody_up() -> None:
    clock = ManualClock()
    origin = Origin(60, clock)
    assert origin.admits("a")
    origin.sent("a")
    assert not origin.admits("gone")
    assert not origin.admits("a")
    for _ in range(4):
        await clock.advance(0.5)
        origin.admits("a")
    assert origin.admits("a")


async def test_two_processes_with_one_address_find_their_shares() -> None:
    api = Api(1_000)
    one, other = Origin(None, api.clock), Origin(None, api.clock)
    await api.run(120, ("a", one, 10_000), ("b", other, 10_000))
    before, refused = api.count, len(api.refused)
    await api.run(120, ("a", one, 10_000), ("b", other, 10_000))
    assert len(api.refused) - refused < 0.01 * (api.count - before)
    assert api.count - before >= 0.9 * 2 * 1_000


async def test_others_from_the_same_address_are_made_room_for() -> None:
    api = Api(1_000)
    ours, theirs = Origin(None, api.clock), Origin(None, api.clock)
    wishes = (("a", ours, 10_000.0), ("export", theirs, 5.0))
    await api.run(60, *wishes)
    before, refused = api.count, len(api.refused)
    await api.run(240, *wishes)
    assert len(api.refused) - refused < 0.01 * (api.count - before)


async def test_a_429_with_nothing_left_closes_the_origin_until_its_window_is_over_and_one_request_goes_first() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for _ in range(3):
        assert origin.admits("a")
        origin.sent("a")
    origin.answered("a", TOO_MANY, Allowance(100, 0, 20))
    assert closed(origin)
    origin.answered("a", DELIVERED, Allowance(100, 0, 20))
    origin.answered("a", TOO_MANY._replace(retry_after=30), Allowance(100, 0, 20))
    assert not origin.admits("b"), "it is closed for all"
    assert origin.opens_at("b") == pytest.approx(clock.monotonic() + 30)
    await clock.advance(29.9)
    assert not origin.admits("b")
    await clock.advance(0.2)
    assert origin.admits("b")
    origin.sent("b")
    assert not origin.admits("a"), "one request, and no more"
    origin.answered("a", TROUBLE, None)
    assert closed(origin)
    assert origin.admits("a"), "it says nothing of the pace: one more may ask"
    origin.sent("a")
    origin.answered("a", DELIVERED, Allowance(100, 99, 60))
    assert not closed(origin)
    assert origin.admits("a")
    assert origin.admits("b")


async def test_a_closed_origin_opens_again_when_answers_tell_nothing_any_more() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    origin.sent("a")
    origin.answered("a", TOO_MANY, Allowance(None, 0, None))
    assert not origin.admits("a")
    await clock.advance(1.1)
    assert origin.admits("a")
    origin.sent("a")
    origin.answered("a", DELIVERED, None)
    for _ in range(50):
        assert origin.admits("a")
        origin.sent("a")


async def test_an_answer_about_a_window_that_is_over_says_nothing_of_the_present_one() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for _ in range(3):
        origin.sent("a")
    origin.answered("a", DELIVERED, Allowance(100, 90, 60))
    origin.answered("a", DELIVERED, Allowance(100, 0, 1))
    assert origin.admits("a")
    origin.answered("a", DELIVERED, Allowance(100, 1, 60))
    origin.sent("a")
    assert not origin.admits("a")
    assert origin.opens_at("a") == pytest.approx(clock.monotonic() + 60)


async def test_a_429_of_one_key_closes_no_origin() -> None:
    origin = Origin(None, ManualClock())
    origin.sent("a")
    origin.answered("a", TOO_MANY, Allowance(100, 60, 20))
    assert not closed(origin)
    assert origin.admits("b")


async def test_a_429_that_says_nothing_closes_the_origin_for_all_until_one_request_was_taken() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for member in "aab":
        origin.sent(member)
    origin.answered("a", TOO_MANY, None)
    assert closed(origin)
    assert not origin.admits("b")
    origin.answered("b", DELIVERED, None, 0.05)
    assert closed(origin), "it was sent before, and tells nothing of now"
    await clock.advance(1)
    assert origin.admits("b")
    origin.sent("b")
    assert not origin.admits("a"), "one request, and no more"
    await clock.advance(0.05)
    origin.answered("b", TOO_MANY, None, 0.05)
    assert origin.opens_at("a") == pytest.approx(clock.monotonic() + 2), "longer each time"
    await clock.advance(2)
    assert origin.admits("a")
    origin.sent("a")
    await clock.advance(0.05)
    origin.answered("a", DELIVERED, None, 0.05)
    assert not closed(origin)
    for _ in range(50):
        assert origin.admits("b")
        origin.sent("b")


async def test_a_burst_of_429s_counts_once_also_when_it_ends_after_the_pause() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for _ in range(3):
        origin.sent("a")
    origin.answered("a", TOO_MANY, None)
    await clock.advance(1)
    origin.sent("b")
    origin.answered("b", DELIVERED, None)
    origin.answered("a", TOO_MANY, None, 1.0)
    assert not closed(origin)


async def test_a_wait_that_is_longer_than_the_apis_window_is_only_for_the_storefront_that_was_told() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    origin.sent("a")
    origin.answered("a", TOO_MANY._replace(retry_after=3_600), None)
    assert origin.opens_at("b") == pytest.approx(clock.monotonic() + 60)
    await clock.advance(60)
    origin.sent("b")
    origin.answered("b", DELIVERED, None)
    await clock.advance(3_540)
    origin.sent("a")
    origin.answered("a", TOO_MANY._replace(retry_after=3_600), None)
    assert not closed(origin), "again it alone: the others had answers meanwhile"
    assert origin.admits("b")


@pytest.mark.parametrize("outcome", [QUOTA, TROUBLE], ids=["quota", "trouble"])
async def test_what_is_no_429_of_pace_teaches_none(outcome: Outcome) -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for _ in range(20):
        origin.forget("a", full=True)
        origin.sent("a")
        origin.answered("a", outcome, None)
        await clock.advance(1)
    assert not closed(origin)
    assert origin.opens_at("a") == -math.inf


async def test_a_limit_that_is_set_is_not_exceeded_after_a_pause_either() -> None:
    api = Api(300, tells=False)
    origin = Origin(600, api.clock)
    await api.run(600, ("a", origin, 10_000))
    assert most_in(60, api.sent["a"]) <= 600
    before, refused = api.count, len(api.refused)
    await api.run(300, ("a", origin, 10_000))
    assert len(api.refused) - refused < 0.01 * (api.count - before), "what is refused teaches a pace below it"


async def test_what_is_told_only_when_it_is_too_late_teaches_a_pace_all_the_same() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    for _ in range(60):
        origin.sent("a")
        origin.answered("a", DELIVERED, None)
    origin.forget("a", full=True)
    origin.sent("a")
    origin.answered("a", TOO_MANY, Allowance(None, 0, 60))
    await clock.advance(60)
    assert origin.admits("a")
    origin.sent("a")
    origin.answered("a", DELIVERED, None)
    assert not origin.admits("a")
    assert origin.opens_at("a") == pytest.approx(clock.monotonic() + 1, abs=0.05), "60 in a minute"


async def test_no_window_is_waited_for_longer_than_an_hour() -> None:
    clock = ManualClock()
    origin = Origin(None, clock)
    origin.sent("a")
    origin.answered("a", TOO_MANY, Allowance(100, 0, 1_800_000_000))
    assert origin.opens_at("a") - clock.monotonic() == pytest.approx(3_600)


def told(chance: Random) -> Iterator[tuple[Outcome | None, Allowance | None]]:
    while True:
        allowance = Allowance(
            chance.choice([None, 0, 1, 10, 1_000]),
            chance.choice([None, 0, 0, 1, 5, 10**9]),
            chance.choice([None, 0, 0.5, 30, 10**12]),
        )
        yield chance.choice([DELIVERED, TOO_MANY, TROUBLE, None]), chance.choice([None, allowance])


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_the_answers_tell_it_opens_again_within_an_hour(seed: int) -> None:
    chance = seeded(seed)
    clock = ManualClock()
    origin = Origin(chance.choice([None, 1, 900]), clock)
    answers = told(chance)
    out = 0
    for _ in range(300):
        await clock.advance(chance.choice([0, 0.01, 1, 100]))
        member = chance.choice("abc")
        if chance.random() < 0.6 and origin.admits(member):
            origin.sent(member)
            out += 1
        elif out:
            out -= 1
            origin.answered("a", *next(answers))
    for _ in range(out):
        origin.answered("a", None, None)
    await clock.advance(3_601)
    assert origin.admits("a"), "whoever asks first after that"


def test_storefronts_behind_one_scheme_host_and_port_share_an_origin_and_its_lowest_limit() -> None:
    def api(url: str, limit: int | None = None) -> IngestionSettings:
        return IngestionSettings(url=url, api_key=SecretStr("k"), requests_per_minute=limit)

    found = origins(
        [
            api("https://a.example/one", 900),
            api("https://a.example:443/two"),
            api("https://a.example/three", 60),
            api("https://a.example:8443"),
            api("http://a.example"),
        ],
        ManualClock(),
    )
    assert set(found) == {("https", "a.example", 443), ("https", "a.example", 8443), ("http", "a.example", 80)}
    limited = found[Place("https", "a.example", 443)]
    assert limited.admits("a")
    limited.sent("a")
    assert not limited.admits("a"), "60 a minute, not 900"
    free = found[Place("http", "a.example", 80)]
    free.sent("a")
    assert free.admits("a")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ratelimit-remaining": "7"}, Allowance(None, 7, None)),
        (
            {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": "12"},
            Allowance(1_000, 0, 12),
        ),
        ({"RateLimit-Limit": "1000, 1000;w=60", "RateLimit-Remaining": "3;x=1"}, Allowance(1_000, 3, None)),
        ({"RateLimit-Remaining": "-1", "RateLimit-Reset": "soon"}, Allowance()),
        ({"RateLimit-Remaining": "nan", "RateLimit-Reset": "inf"}, Allowance()),
        ({"RateLimit-Remaining": "1e999"}, Allowance()),
        ({"X-Usage-Warning": "85%"}, Allowance(usage=85)),
        ({"X-Usage-Warning": " 101.5 % "}, Allowance(usage=101)),
        ({"X-Usage-Warning": "much"}, Allowance()),
    ],
)
def test_what_an_answer_tells_is_read_as_far_as_it_can_be(headers: dict[str, str], expected: Allowance | None) -> None:
    assert allowance_of(CIMultiDict(headers)) == expected
