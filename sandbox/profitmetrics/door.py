"""What every request passes before it is carried out: key, scope, limits; and where faults strike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from aiohttp import hdrs, web

from sandbox.faults.rules import Status
from sandbox.profitmetrics.access import KEY_HEADER
from sandbox.profitmetrics.refusals import Refused, envelope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

    from runtime.clock import Clock
    from sandbox.faults.effects import Stage
    from sandbox.faults.injector import Injector, Misfortune
    from sandbox.profitmetrics.access import Access
    from sandbox.profitmetrics.switches import Site, Switchboard, Switches
    from sandbox.profitmetrics.traffic import Traffic, Visit

APPSPACE: Final = "profitmetrics"
"""What the fault rules call this vendor."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in. `sites`: those that its key may read; `now`: whole seconds since 1970."""

    switches: Switches
    sites: Mapping[int, Site]
    body: bytes
    now: int


Carries: TypeAlias = Callable[[Call], Awaitable[web.Response]]


class Door:
    """Lets requests in. The order of its checks: kind of credentials, key, scope, limits, content type."""

    def __init__(
        self,
        access: Access,
        switchboard: Switchboard,
        traffic: Traffic,
        injector: Injector,
        stage: Stage,
        clock: Clock,
    ) -> None:
        self._access = access
        self._switchboard = switchboard
        self._traffic = traffic
        self._injector = injector
        self._stage = stage
        self._clock = clock

    def handler(self, carry: Carries) -> Handler:
        """Return the handler of a route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            with self._traffic.visit(request.path, request.headers.get(KEY_HEADER), body) as visit, ExitStack() as held:
                misfortune = self._injector.draw(APPSPACE, request.path, body)
                _in_our_words(misfortune)

                async def deliver() -> web.Response:
                    return await self._deliver(request, body, carry, visit, held)

                answer = await self._stage.perform(request, misfortune, deliver)
                if await _sent(request, answer):
                    visit.status = answer.status
            return answer

        return handle

    async def _deliver(
        self, request: web.Request, body: bytes, carry: Carries, visit: Visit, held: ExitStack
    ) -> web.Response:
        """Return the answer, be it a refusal. The request's place is held until `held` is left."""
        switches = self._switchboard.switches
        try:
            key = self._access.check(request.headers, switches)
            held.enter_context(self._traffic.place(key, switches))
            if request.method == hdrs.METH_POST and request.content_type != "application/json":
                raise Refused(415, None, "the content type is not application/json")
            if switches.latency_milliseconds:
                await self._clock.sleep(switches.latency_milliseconds / 1000)
            return await carry(Call(switches, self._access.readable(key, switches), body, int(self._clock.now())))
        except Refused as refusal:
            visit.code, visit.reason = refusal.code, refusal.reason
            return refusal.answer()


def _in_our_words(misfortune: Misfortune) -> None:
    """Give a fault's status this vendor's envelope where the rule gives it no body."""
    ending = misfortune.ending
    if isinstance(ending, Status) and ending.body is None:
        misfortune.ending = msgspec.structs.replace(ending, body=envelope_of(ending.status))


async def _sent(request: web.Request, answer: web.StreamResponse) -> bool:
    """Write the answer to its end: it holds its place under the limits so long, and a streamed one is computed
    meanwhile. Say whether the connection lasted.
    """
    if request.transport is None or request.transport.is_closing():
        return False  # a fault reset it
    try:
        await answer.prepare(request)
        await answer.write_eof()
    except ConnectionError:
        return False  # the sender went away: nobody is left to be told
    return True
