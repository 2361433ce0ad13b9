"""An account at the far side, and what it logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture

from runtime.clock import SystemClock
from runtime.settings import AccountSettings
from scheduler.budget import Budget
from scheduler.caller import Caller
from scheduler.credentials import KeyCredentials
from scheduler.errors import PullError
from scheduler.refusals import usual

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import aiohttp

    from runtime.clock import Clock
    from scheduler.credentials import Credentials
    from scheduler.exchange import Limits
    from scheduler.reply import Reply
    from tests.scheduler.far_side import FarSide

KEY = "tolk_sec_0123456789"
OFTEN = 600_000


class Shop:
    """An account at the far side."""

    def __init__(self, far_side: FarSide, session: aiohttp.ClientSession, directory: Path) -> None:
        self.far_side = far_side
        self.session = session
        self.directory = directory
        self.logged = LogCapture()
        self.checks = 0
        self.lost_at: int | None = None

    def caller(
        self,
        *,
        credentials: Credentials | None = None,
        limits: Limits | None = None,
        budget: Budget | None = None,
        clock: Clock | None = None,
        url: str = "",
    ) -> Caller:
        clock = clock or SystemClock()
        account = AccountSettings(
            name="shop", source="tolinku", url=url or self.far_side.url + "/base", api_key=SecretStr(KEY)
        )
        return Caller(
            account,
            budget or Budget(OFTEN, None, 2, clock),
            credentials or KeyCredentials("X-API-Key", SecretStr(KEY)),
            self.session,
            structlog.wrap_logger(
                None, processors=[self.logged], wrapper_class=structlog.make_filtering_bound_logger(0)
            ),
            clock,
            may_ask=self.may_ask,
            directory=self.directory,
            limits=limits,
        )

    def may_ask(self) -> None:
        self.checks += 1
        if self.lost_at is not None and self.checks >= self.lost_at:
            raise Lost


class Lost(PullError):
    """The account is another's."""


async def document(
    caller: Caller, judge: Callable[[Reply], PullError | None] = usual, timeout_seconds: float = 5, **asked: Any
) -> Any:
    async with caller.ask("GET", "/sales", judge=judge, timeout_seconds=timeout_seconds, **asked) as reply:
        return reply.document()


async def failure(caller: Caller, **asked: Any) -> PullError:
    with pytest.raises(PullError) as failed:
        await document(caller, **asked)
    return failed.value
