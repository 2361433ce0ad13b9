"""What every request passes before it is carried out: rate limit, JSON, key, plan; and where faults strike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from aiohttp import hdrs, web

from sandbox.tolinku import answers
from sandbox.tolinku.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

    from runtime.clock import Clock
    from sandbox.faults.effects import Stage
    from sandbox.faults.injector import Injector, Misfortune
    from sandbox.tolinku.appspaces import Appspaces, Key
    from sandbox.tolinku.rate_limit import Allowance
    from sandbox.tolinku.switches import Switchboard, Switches

USAGE_WARNING_PERCENT = 80
USAGE_LIMIT_PERCENT = 110

_BROKEN: Final = object()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in: whose it is, how that appspace is treated, what it brings, and what is to go wrong
    with it. `user_agent` only where the appspace's switches say that the request is read.
    """

    appspace: str
    switches: Switches
    path: Mapping[str, str]
    query: Mapping[str, str]
    user_agent: str | None
    body: bytes
    document: Any
    misfortune: Misfortune


Carries: TypeAlias = Callable[[Call], Awaitable[web.Response]]


class Door:
    """Lets requests in. The order of its checks: rate limit, JSON, key, kind of key, usage, plan."""

    def __init__(
        self, appspaces: Appspaces, switchboard: Switchboard, injector: Injector, stage: Stage, clock: Clock
    ) -> None:
        self._appspaces = appspaces
        self._switchboard = switchboard
        self._injector = injector
        self._stage = stage
        self._rate_limit = RateLimit(clock)

    def sending(self, carry: Carries) -> Handler:
        """Return the handler of a route that takes events, with either kind of key."""
        return self._handler(carry, secret=False)

    def reading(self, carry: Carries) -> Handler:
        """Return the handler of a route that answers only to secret keys."""
        return self._handler(carry, secret=True)

    def _handler(self, carry: Carries, *, secret: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            document = _parse(body) if body else None
            key = self._appspaces.find(request.headers, document)
            misfortune = self._injector.draw(None if key is None else key.appspace, request.path, body)

            async def deliver() -> web.Response:
                allowance = self._allowance(request)
                admitted = self._admit(request, allowance, document, key, secret=secret)
                if isinstance(admitted, web.Response):
                    return self._labelled(admitted, allowance, key)
                switches = self._switchboard.of(admitted.appspace)
                call = Call(
                    admitted.appspace,
                    switches,
                    request.match_info,
                    request.query,
                    request.headers.get(hdrs.USER_AGENT) if switches.reads_request else None,
                    body,
                    document,
                    misfortune,
                )
                return self._labelled(await carry(call), allowance, key)

            return await self._stage.perform(request, misfortune, deliver)

        return handle

    def _allowance(self, request: web.Request) -> Allowance | None:
        limit = self._switchboard.general.rate_limit_per_minute
        return None if limit is None else self._rate_limit.take(request.remote or "", limit)

    def _admit(
        self, request: web.Request, allowance: Allowance | None, document: object, key: Key | None, *, secret: bool
    ) -> Key | web.Response:
        if allowance is not None and not allowance.allowed:
            wait = {"Retry-After": str(allowance.reset)} if self._switchboard.general.retry_after else None
            return answers.refusal(429, answers.TOO_MANY_REQUESTS, headers=wait)
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
            return answers.refusal(415, answers.UNSUPPORTED_ENCODING, "UNSUPPORTED_MEDIA_TYPE")
        if document is _BROKEN:
            return answers.refusal(400, answers.INVALID_JSON, "INVALID_JSON")
        if key is None:
            return answers.refusal(401, answers.INVALID_KEY, "INVALID_KEY")
        if secret and not key.secret:
            return answers.refusal(403, answers.SECRET_KEY_REQUIRED, "SECRET_KEY_REQUIRED")
        outside = _outside_plan(self._switchboard.of(key.appspace))
        return key if outside is None else outside

    def _labelled(self, answer: web.Response, allowance: Allowance | None, key: Key | None) -> web.Response:
        if allowance is not None:
            answer.headers.update(allowance.headers())
        percent = 0 if key is None else self._switchboard.of(key.appspace).usage_percent
        if percent >= USAGE_WARNING_PERCENT:
            answer.headers["X-Usage-Warning"] = f"{percent}%"
        return answer


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _BROKEN


def _outside_plan(switches: Switches) -> web.Response | None:
    if switches.usage_percent > USAGE_LIMIT_PERCENT:
        return answers.refusal(403, answers.USAGE_EXCEEDED, "USAGE_EXCEEDED")
    if switches.plan == "free":
        return answers.refusal(403, answers.FREE_TIER, "FEATURE_GATED")
    if switches.plan == "frozen":
        return answers.refusal(403, answers.APPSPACE_FROZEN, "APPSPACE_FROZEN")
    return None
