"""APIs that refuse what is too fast without a word of how much they take, and storefronts that send to them, in simulated time."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from consumers.api.outcomes import Action, Kind, Outcome
from consumers.pace.gate import Gate
from consumers.pace.origin import Origin
from runtime.clock import ManualClock
from tests.chance import seeded

if TYPE_CHECKING:
    from random import Random

DELIVERED = Outcome(Kind.DELIVERED, Action.SETTLE)
TOO_MANY = Outcome(Kind.RATE, Action.PAUSE, pause="rate")


class Limit(Protocol):
    """Takes so many requests a minute; `per_minute` may change."""

    per_minute: float

    def wait(self, now: float) -> float:
        """Count a request; 0 when it is taken, else after how many seconds one will be."""


class FixedWindow:
    """So many in each minute (or `seconds`), counted anew when it is over."""

    def __init__(self, per_minute: float, seconds: float = 60.0) -> None:
        self.per_minute = per_minute
        self._seconds = seconds
        self._window = 0.0
        self._taken = 0

    def wait(self, now: float) -> float:
        window = now // self._seconds
        if window != self._window:
            self._window, self._taken = window, 0
        self._taken += 1
        allowed = self._taken <= self.per_minute * self._seconds / 60
        return 0.0 if allowed else (window + 1) * self._seconds - now


class SlidingWindow:
    """So many in any minute."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._taken: deque[float] = deque()

    def wait(self, now: float) -> float:
        while self._taken and self._taken[0] <= now - 60:
            self._taken.popleft()
        if len(self._taken) >= self.per_minute:
            return self._taken[0] + 60 - now
        self._taken.append(now)
        return 0.0


class TokenBucket:
    """So many a minute on average, up to `burst` at once."""

    def __init__(self, per_minute: float, burst: float) -> None:
        self.per_minute = per_minute
        self._burst = self._tokens = burst
        self._filled_at = -math.inf

    def wait(self, now: float) -> float:
        gained = (now - self._filled_at) * self.per_minute / 60
        self._tokens, self._filled_at = min(self._burst, self._tokens + gained), now
        if self._tokens < 1:
            return (1 - self._tokens) * 60 / self.per_minute
        self._tokens -= 1
        return 0.0


class Sender:
    """A storefront with a gate of its own: with a backlog that never ends, or as many requests a second as `demand`."""

    def __init__(self, gate: Gate, now: float, demand: float) -> None:
        self.gate = gate
        self.demand = demand
        self.taken = self.refused = self.early = 0
        self.told_until = -math.inf
        self._since = now
        self._backlog = 0.0
        self._out = 0

    def wants(self, now: float) -> bool:
        if self.demand == math.inf:
            return True
        self._backlog += (now - self._since) * self.demand
        self._since = now
        return self._backlog - self._out >= 1

    def send(self, now: float) -> bool:
        """Send a request; whether it is the probe."""
        self._out += 1
        self.early += now < self.told_until
        return self.gate.enter()

    def settle(self, *, taken: bool) -> None:
        self._out -= 1
        if taken:
            self.taken += 1
            self._backlog -= 1
        else:
            self.refused += 1


class _Answer(NamedTuple):
    at: float
    number: int
    sender: Sender
    sent: float
    probe: bool
    wait: float


class Seen(NamedTuple):
    """What became of the requests of a span of time: taken by sender, and refused of all, in per cent."""

    taken: list[int]
    refused: float

    @property
    def all(self) -> int:
        return sum(self.taken)


class Market:
    """`shops` storefronts in each of `processes`, all behind one address of an API that answers after 50 ms.

    `says_when`: its refusals carry Retry-After, in whole seconds.
    """

    def __init__(
        self, limit: Limit, *, shops: int = 1, processes: int = 1, says_when: bool = False, seconds: float = 0.05
    ) -> None:
        self.limit = limit
        self.clock = ManualClock()
        self.origins = [Origin(None, self.clock) for _ in range(processes)]
        self.senders = [
            Sender(Gate(16, self.clock, seeded(number), origin), self.clock.monotonic(), math.inf)
            for number, origin in enumerate(each for each in self.origins for _ in range(shops))
        ]
        self._chance: Random = seeded(1)
        self._says_when = says_when
        self._seconds = seconds
        self._out: list[_Answer] = []
        self._number = 0

    async def run(self, minutes: float) -> Seen:
        """Let time pass, and return what happened in it."""
        before = [(each.taken, each.refused) for each in self.senders]
        end = self.clock.monotonic() + minutes * 60
        while (now := self.clock.monotonic()) < end:
            self._answer(now)
            for sender in self.senders if self._number % 2 else reversed(self.senders):
                self._send(sender, now)
            await self.clock.advance(min(end, self._next(now)) - now)
        taken = [each.taken - was for each, (was, _) in zip(self.senders, before, strict=True)]
        refused = sum(each.refused - was for each, (_, was) in zip(self.senders, before, strict=True))
        return Seen(taken, 100 * refused / max(1, sum(taken) + refused))

    def _next(self, now: float) -> float:
        """Return when something may happen: an answer, a turn; demand that has an end is looked at every tenth of a second."""
        ends = any(each.demand < math.inf for each in self.senders)
        moments = [now + (0.1 if ends else 1.0), *([self._out[0].at] if self._out else [])]
        moments += [at for each in self.senders if (at := each.gate.opens_at()) is not None and at > -math.inf]
        return max(now + 0.001, min(moments))

    def _send(self, sender: Sender, now: float) -> None:
        while sender.gate.admit(new=sender.wants(now)):
            probe = sender.send(now)
            wait = self.limit.wait(now)
            self._number += 1
            after = self._seconds * self._chance.uniform(0.8, 1.2)
            heapq.heappush(self._out, _Answer(now + after, self._number, sender, now, probe, wait))

    def _answer(self, now: float) -> None:
        while self._out and self._out[0].at <= now:
            _, number, sender, sent, probe, wait = heapq.heappop(self._out)
            sender.settle(taken=not wait)
            outcome = TOO_MANY if wait else DELIVERED
            if wait and self._says_when:
                outcome = TOO_MANY._replace(retry_after=float(math.ceil(wait)))
                sender.told_until = max(sender.told_until, now + outcome.retry_after)
            sender.gate.leave(number, outcome, probe=probe, seconds=now - sent)
