from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from runtime.clock import ManualClock
from scheduler.credentials import KeyCredentials, Token, TokenCredentials
from scheduler.errors import AccountRefused, Parked, PullError, Retryable
from scheduler.exchange import Exchange, Limits, Request
from scheduler.lease import NotOwner
from scheduler.refusals import usual
from tests.scheduler.far_side import FarSide, Say, until

if TYPE_CHECKING:
    import aiohttp


class Shop:
    """An account whose logins go to the far side."""

    def __init__(self, far_side: FarSide, session: aiohttp.ClientSession) -> None:
        self.clock = ManualClock()
        self.far_side = far_side
        self.exchange = Exchange(far_side.url, session, self.clock, None, Limits())
        self.credentials = TokenCredentials(self.log_in, self.clock)

    async def log_in(self, refresh: SecretStr | None) -> Token:
        with_what = {"password": "hush"} if refresh is None else {"refresh": refresh.get_secret_value()}
        reply = await self.exchange.send(Request("POST", "/login", body=with_what), {})
        try:
            if (error := usual(reply)) is not None:
                raise error
            told = reply.document()
        finally:
            reply.close()
        again = told.get("refresh")
        return Token(SecretStr(told["token"]), told["seconds"], None if again is None else SecretStr(again))

    @property
    def logins(self) -> list[bytes]:
        return [got.body for got in self.far_side.got]

    async def token(self) -> str:
        return (await self.credentials.headers())["Authorization"]


@pytest.fixture
def shop(far_side: FarSide, session: aiohttp.ClientSession) -> Shop:
    return Shop(far_side, session)


def token(name: str, seconds: float = 3600, **more: Any) -> Say:
    return Say(200, {"token": name, "seconds": seconds, **more})


async def test_a_key() -> None:
    assert await KeyCredentials("X-API-Key", SecretStr("k")).headers() == {"X-API-Key": "k"}
    bearer = KeyCredentials("Authorization", SecretStr("k"), "Bearer")
    assert await bearer.headers() == {"Authorization": "Bearer k"}
    assert await bearer.renew({"Authorization": "Bearer k"}) is False


@pytest.mark.parametrize(("seconds", "used"), [(7200, 6480), (3600, 3240), (100, 70), (40, 20), (10, 5)])
async def test_a_token_is_fetched_again_before_it_expires(shop: Shop, seconds: float, used: float) -> None:
    shop.far_side.say(token("a", seconds), token("b"))
    assert await shop.token() == "Bearer a"
    await shop.clock.advance(used - 0.01)
    assert await shop.token() == "Bearer a"
    await shop.clock.advance(0.02)
    assert await shop.token() == "Bearer b"
    assert shop.logins == [b'{"password":"hush"}'] * 2


async def test_all_who_wait_share_one_fetch(shop: Shop) -> None:
    gate = asyncio.Event()
    shop.far_side.say(Say(200, {"token": "a", "seconds": 3600}, before=gate))
    waiting = [asyncio.create_task(shop.token()) for _ in range(5)]
    await until(lambda: shop.far_side.open)
    gate.set()
    assert await asyncio.gather(*waiting) == ["Bearer a"] * 5
    assert len(shop.logins) == 1


async def test_all_who_wait_share_one_failure_and_the_next_tries_again(shop: Shop) -> None:
    shop.far_side.say(Say(503))
    waiting = [asyncio.create_task(shop.token()) for _ in range(5)]
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(error) for error in errors} == {"the login failed: the vendor failed (503)"}
    assert len(shop.logins) == 1
    shop.far_side.say(token("a"))
    assert await shop.token() == "Bearer a"


async def test_whoever_fetches_may_be_cancelled(shop: Shop) -> None:
    shop.far_side.say(Say(before=asyncio.Event()), token("b"))
    first = asyncio.create_task(shop.token())
    await until(lambda: shop.far_side.open)
    second = asyncio.create_task(shop.token())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "Bearer b"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_refused_token_is_renewed_once_for_all(shop: Shop) -> None:
    shop.far_side.say(token("a"), token("b"))
    carried = await shop.credentials.headers()
    assert await asyncio.gather(*(shop.credentials.renew(carried) for _ in range(3))) == [True] * 3
    assert await shop.token() == "Bearer b"
    assert len(shop.logins) == 2


async def test_the_refresh_token_is_used_and_a_refused_one_given_up(shop: Shop) -> None:
    shop.far_side.say(token("a", refresh="r1"), token("b", refresh="r2"), Say(401), token("c"), token("d"))
    for name in "abcd":
        assert await shop.token() == f"Bearer {name}"
        await shop.clock.advance(3600)
    refreshes = [b'{"refresh":"r1"}', b'{"refresh":"r2"}', b'{"password":"hush"}', b'{"password":"hush"}']
    assert shop.logins == [b'{"password":"hush"}', *refreshes]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Say(401, {"error": "no"}), AccountRefused),
        (Say(400, {"error": "invalid_client"}), AccountRefused),
        (Say(402), Parked),
        (Say(429, headers={"Retry-After": "7"}), Retryable),
        (Say(200, b"<html>"), Retryable),
        (Say(cut=0), Retryable),
    ],
)
async def test_a_failed_login_concerns_the_account(shop: Shop, answer: Say, kind: type[PullError]) -> None:
    shop.far_side.say(answer)
    with pytest.raises(PullError, match="the login failed: ") as failed:
        await shop.token()
    assert type(failed.value) is kind
    assert not isinstance(failed.value, Retryable) or failed.value.whole_account


async def test_lost_ownership_stays_what_it_is() -> None:
    async def log_in(refresh: SecretStr | None) -> Token:
        raise NotOwner(f"not ours, {refresh}")

    with pytest.raises(NotOwner, match=r"^not ours, None$"):
        await TokenCredentials(log_in, ManualClock()).headers()
