"""What a request to a vendor is recognised by: a key, or a token that a login gives for a while."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import SecretStr

    from runtime.clock import Clock

MARGIN: Final = 0.1
"""The last part of a token's life, in which it is not used any more; at least `MARGIN_SECONDS`, at most half of it."""
MARGIN_SECONDS: Final = 30.0


class Credentials(ABC):
    """One account's. Whoever asks does so within a turn of the account's budget, so neither method takes one."""

    @abstractmethod
    async def headers(self) -> Mapping[str, str]:
        """Return what the next request carries. May wait for a login; raises PullError when that fails."""

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """Get better ones than the `refused` headers, against which the vendor answered 401; False: there is nothing to renew.

        May wait for a login; raises PullError when that fails.
        """
        del refused
        return False


class KeyCredentials(Credentials):
    """A key that stays what it is, in `header`, behind `scheme` and a space if there is one."""

    def __init__(self, header: str, key: SecretStr, scheme: str = "") -> None:
        self._header = header
        self._key = key
        self._scheme = scheme

    async def headers(self) -> Mapping[str, str]:
        """Return the header. Does not wait."""
        return {self._header: f"{self._scheme} {self._key.get_secret_value()}".lstrip()}


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gave: `value` for the next `expires_in` seconds; `refresh`: what the next login may be made with, if anything."""

    value: SecretStr
    expires_in: float
    refresh: SecretStr | None = None


class TokenCredentials(Credentials):
    """A token in `header`, fetched when it is first needed and again before it expires; one fetch at a time for all who wait.

    `fetch` logs in: it is given the last token's `refresh`, or None, and raises PullError. When it raises AccountRefused
    for a `refresh`, it is called once more without.
    """

    def __init__(
        self,
        fetch: Callable[[SecretStr | None], Awaitable[Token]],
        clock: Clock,
        *,
        header: str = "Authorization",
        scheme: str = "Bearer",
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._header = header
        self._scheme = scheme
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._fresh_until = 0.0
        self._fetches = 0
        self._error: PullError | None = None

    async def headers(self) -> Mapping[str, str]:
        """Return the header with a token that is good for a while. Waits for a login, and raises as that does."""
        fetches = self._fetches
        async with self._lock:
            if self._token is None or self._clock.monotonic() >= self._fresh_until:
                await self._log_in_since(fetches)
            return self._headers()

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """Fetch another token, unless somebody did since `refused` were given out; True."""
        fetches = self._fetches
        async with self._lock:
            if self._token is None or self._headers() == refused:
                await self._log_in_since(fetches)
        return True

    def _headers(self) -> Mapping[str, str]:
        value = "" if self._token is None else self._token.value.get_secret_value()
        return {self._header: f"{self._scheme} {value}".lstrip()}

    async def _log_in_since(self, fetches: int) -> None:
        """Log in; raise what the last login raised if it was tried while this one waited for its turn."""
        if self._error is not None and self._fetches != fetches:
            raise self._error
        began = self._clock.monotonic()
        try:
            token = await self._log_in()
        except PullError as error:
            self._error = _of_a_login(error)
            self._fetches += 1
            raise self._error from error
        self._error = None
        self._fetches += 1
        self._token = token
        margin = min(max(MARGIN * token.expires_in, MARGIN_SECONDS), token.expires_in / 2)
        self._fresh_until = began + token.expires_in - margin

    async def _log_in(self) -> Token:
        refresh = None if self._token is None else self._token.refresh
        if refresh is None:
            return await self._fetch(None)
        try:
            return await self._fetch(refresh)
        except (AccountRefused, ExportRefused):
            return await self._fetch(None)


def _of_a_login(error: PullError) -> PullError:
    """Return what a failed login means: it is never about one export alone."""
    reason = f"the login failed: {error}"
    match error:
        case Retryable():
            return Retryable(reason, retry_after=error.retry_after, whole_account=True)
        case Parked():
            return Parked(reason, error.kind)
        case AccountRefused() | ExportRefused():
            return AccountRefused(reason)
        case _:
            return error
