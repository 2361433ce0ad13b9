"""How an account's requests reach its vendor: within the budget, with credentials, only while the account is ours."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from scheduler.errors import PullError, Retryable
from scheduler.exchange import Exchange, Limits, Request
from scheduler.redaction import redacted, secrets_of
from scheduler.refusals import redirected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import aiohttp
    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock
    from runtime.settings import AccountSettings
    from scheduler.budget import Budget
    from scheduler.credentials import Credentials
    from scheduler.reply import Reply

MAX_LOGGED: Final = 16_384
"""How many characters of our body a refusal's log line shows."""
_UNAUTHORISED: Final = 401


class Caller:
    """One account's way to its vendor. `may_ask` raises when this process is not surely the account's owner any more.

    `directory`: where large answers are staged; None: the system's place for temporary files. Holds nothing to be closed.
    """

    def __init__(
        self,
        account: AccountSettings,
        budget: Budget,
        credentials: Credentials,
        session: aiohttp.ClientSession,
        log: FilteringBoundLogger,
        clock: Clock,
        *,
        may_ask: Callable[[], None],
        directory: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._account = account
        self._budget = budget
        self._credentials = credentials
        self._exchange = Exchange(account.url, session, clock, directory, limits or Limits())
        self._log = log
        self._clock = clock
        self._may_ask = may_ask
        self._secrets = secrets_of(account)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        judge: Callable[[Reply], PullError | None],
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 120.0,
    ) -> AsyncIterator[Reply]:
        """Give out the whole answer to one request, for as long as the `async with` lasts.

        `path`: behind the account's URL, with a slash at its start, percent-encoded where it must be. `judge`: returns what a
        refusal means, None for an answer to be read; what it returns is logged and raised. `body` is sent as JSON.
        `timeout_seconds`: how long the answer may take to begin.

        What goes wrong while the answer is read within the `async with`, and what is put among `reply.faults` there, is
        logged like a refusal.

        Waits for the budget, for a login and for the vendor. A 401 is first answered with new credentials where there are any,
        and one repeat. Raises PullError: what `judge` returns; Retryable for what the network does; ExportRefused for a
        redirection; Parked when the month's requests are used up. Whatever `may_ask` raises comes out as it is.
        """
        request = Request(method, path, query or {}, body, headers or {}, timeout_seconds)
        reply, secrets = await self._answered(request)
        try:
            error = _verdict(judge, reply)
            if error is not None:
                self._told("vendor refused", request, reply, error, secrets)
                raise error
            try:
                yield reply
            except Exception as unread:
                self._told("answer not understood", request, reply, unread, secrets)
                raise
            for fault in reply.faults:
                self._told("answer not understood", request, reply, fault, secrets)
        finally:
            reply.close()

    def rest(self, seconds: float) -> None:
        """Ask nothing of this account for so long: an answer told that the next request would be refused."""
        self._budget.rest(self._clock.now() + seconds)

    def warn(self, event: str, **facts: str) -> None:
        """Log something of the account that the vendor told beside its answer."""
        self._log.warning(event, account=self._account.name, source=self._account.source, **facts)

    async def _answered(self, request: Request) -> tuple[Reply, list[str]]:
        async with self._budget.turn():
            reply, carried = await self._send(request)
            if reply.status == _UNAUTHORISED:
                try:
                    self._may_ask()
                    renewed = await self._credentials.renew(carried)
                except BaseException:
                    reply.close()
                    raise
                if renewed:
                    reply.close()
                    await self._budget.token()
                    reply, carried = await self._send(request)
        secrets = [
            *self._secrets,
            *carried.values(),
            *(value.split()[-1] for value in carried.values() if value.strip()),
        ]
        return reply, secrets

    async def _send(self, request: Request) -> tuple[Reply, Mapping[str, str]]:
        self._may_ask()
        carried = await self._credentials.headers()
        # A login takes its time.
        self._may_ask()
        return await self._exchange.send(request, carried), carried

    def _told(self, event: str, request: Request, reply: Reply, error: Exception, secrets: list[str]) -> None:
        """Let the account rest where the vendor asks for it, and log what its support asks for. Takes secrets out of the error."""
        if isinstance(error, Retryable) and error.whole_account and error.retry_after is not None:
            self._budget.rest(self._clock.now() + error.retry_after)
        if isinstance(error, PullError):
            error.args = (redacted(str(error), secrets),)
        body = "" if request.body is None else redacted(orjson.dumps(request.body).decode(), secrets)
        self._log.warning(
            event,
            account=self._account.name,
            source=self._account.source,
            method=request.method,
            path=redacted(request.path, secrets),
            query={name: redacted(value, secrets) for name, value in request.query.items()},
            body=body[:MAX_LOGGED],
            status=reply.status,
            answer=redacted(reply.excerpt(), secrets),
            answer_bytes=reply.size,
            at=reply.received_at.isoformat(),
            trace_id=None if reply.trace_id is None else redacted(reply.trace_id, secrets),
            # A fault of ours may have anything in its text.
            reason=str(error) if isinstance(error, PullError) else type(error).__name__,
        )


def _verdict(judge: Callable[[Reply], PullError | None], reply: Reply) -> PullError | None:
    try:
        return redirected(reply) or judge(reply)
    except PullError as error:  # it read the body, which was not what it should be
        return error
