"""Weather that changes: each storefront's ingestion API has spells of its own, one after the other, each of another kind."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING

from sandbox.faults.rules import FaultPlan, Hang, Html, Latency, Partial, Reset, ResetAfterDelivery, Status
from tests.chaos.length import SHORT
from tests.chaos.weather import POISON, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sandbox.faults.rules import AnyRule
    from tests.chaos.upstream import Upstream

SPELL_SECONDS = (0.5, 1.5) if SHORT else (2.0, 10.0)
PATH = "*/batch"
ALWAYS: Sequence[AnyRule] = (
    Status(path=PATH, status=400, body={"error": "unexpected token"}, containing=POISON),
    Partial(path=PATH, containing=UNWANTED, error="unwanted event"),
)
"""What is refused by name, and so dead-lettered, must be refused always: a forwarder that is killed before it has written the letter
sends the batch again, and if the event were then taken, it would come after those that stood behind it.
"""


def refusal(appspace: str, status: int, error: str, code: str | None = None) -> Status:
    """Return the rule that answers everything of an appspace with this."""
    return Status(appspace=appspace, path=PATH, status=status, body={"error": error} | ({"code": code} if code else {}))


def used_up(appspace: str) -> AnyRule:
    """Return the rule that the month's quota is used up: the storefront is parked."""
    return refusal(appspace, 403, "Usage limit exceeded", "USAGE_EXCEEDED")


def _too_fast(appspace: str, **headers: str) -> AnyRule:
    body = {"error": "Too many requests. Please slow down."}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Status(appspace=appspace, path=PATH, probability=0.3, status=429, body=body, headers=headers)


KINDS: Mapping[str, Callable[[str], AnyRule]] = {
    "429": _too_fast,
    "429, seconds": lambda appspace: _too_fast(appspace, Retry_After="1"),
    "429, date": lambda appspace: _too_fast(appspace, Retry_After=formatdate(time.time() + 3, usegmt=True)),
    "429, quota": lambda appspace: refusal(appspace, 429, "Ecommerce event quota exceeded"),
    "403, usage": used_up,
    "403, gated": lambda appspace: refusal(appspace, 403, "Not in your plan", "FEATURE_GATED"),
    "403, frozen": lambda appspace: refusal(appspace, 403, "Appspace is frozen", "APPSPACE_FROZEN"),
    "403, free": lambda appspace: refusal(appspace, 403, "Ecommerce events are not available on the free tier"),
    "500": lambda appspace: Status(appspace=appspace, path=PATH, probability=0.5, status=500),
    "502, taken": lambda appspace: Status(
        appspace=appspace, path=PATH, probability=0.3, status=502, body="Bad Gateway", after_delivery=True
    ),
    "reset": lambda appspace: Reset(appspace=appspace, path=PATH, probability=0.5),
    "reset, taken": lambda appspace: ResetAfterDelivery(appspace=appspace, path=PATH, probability=0.3),
    "slow": lambda appspace: Latency(appspace=appspace, path=PATH, milliseconds=700),
    "html": lambda appspace: Html(appspace=appspace, path=PATH, probability=0.5),
    "html, taken": lambda appspace: Html(appspace=appspace, path=PATH, probability=0.3, after_delivery=True),
}
# A forwarder waits 30 s for an answer: too long for the short cut.
LONG_KINDS: Mapping[str, Callable[[str], AnyRule]] = {
    "timeout": lambda appspace: Hang(appspace=appspace, path=PATH, probability=0.1, times=3),
    "timeout, taken": lambda appspace: Hang(
        appspace=appspace, path=PATH, probability=0.1, times=3, after_delivery=True
    ),
}
CALM = "calm"


class Spells:
    """Makes the weather of `appspaces` until `stop`. `struck` counts, for each kind, the requests that it befell."""

    def __init__(self, upstream: Upstream, appspaces: Collection[str], seed: int) -> None:
        self._upstream = upstream
        self._random = Random(f"spells-{seed}")  # noqa: S311 - chances that can be repeated
        self._makers = KINDS if SHORT else {**KINDS, **LONG_KINDS}
        self._decks = {appspace: self._deck() for appspace in appspaces}
        self._stopping = False
        self._names: list[str] = []
        self.struck: Counter[str] = Counter()

    @property
    def kinds(self) -> Collection[str]:
        """The names of what there is but calm."""
        return [*self._makers, "poison", "unwanted"]

    def stop(self) -> None:
        """Let the spells that are on be the last."""
        self._stopping = True

    async def run(self) -> None:
        """Change the weather of one appspace after the other, each when its spell is over."""
        ends = dict.fromkeys(self._decks, 0.0)
        current: dict[str, str] = {}
        while not self._stopping:
            for appspace, end in ends.items():
                if end <= time.monotonic():
                    current[appspace] = next(self._decks[appspace])
                    ends[appspace] = time.monotonic() + self._random.uniform(*SPELL_SECONDS)
            await self._count()
            await self._cast(current)
            await asyncio.sleep(max(0.0, min(ends.values()) - time.monotonic()))
        await self._count()

    async def _cast(self, current: Mapping[str, str]) -> None:
        cast = [(name, self._makers[name](appspace)) for appspace, name in current.items() if name != CALM]
        self._names = [*(name for name, _ in cast), "poison", "unwanted"]
        await self._upstream.set(
            FaultPlan(seed=self._random.getrandbits(32), rules=[*(rule for _, rule in cast), *ALWAYS])
        )

    async def _count(self) -> None:
        if self._names:
            self.struck.update(dict(zip(self._names, await self._upstream.applied(), strict=True)))

    def _deck(self) -> Iterator[str]:
        """Yield every kind before any comes again, and calm between them now and then."""
        while True:
            names = list(self._makers)
            self._random.shuffle(names)
            for name in names:
                yield name
                if self._random.random() < 0.3:
                    yield CALM
