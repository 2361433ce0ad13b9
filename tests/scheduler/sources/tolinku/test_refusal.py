"""What each of the vendor's errors means, and what an account does about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runtime.clock import ManualClock
from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable
from scheduler.sources.tolinku.journey import journey
from scheduler.sources.tolinku.refusal import judge
from tests.scheduler.far_side import Say, until
from tests.scheduler.replies import reply
from tests.scheduler.sources.tolinku import seed
from tests.scheduler.sources.tolinku.world import Asking, export

if TYPE_CHECKING:
    import aiohttp

    from tests.scheduler.far_side import FarSide

CASES: list[tuple[int, Any, type[PullError], str]] = [
    (400, {"error": "days must be a positive integer"}, ExportRefused, "days must be a positive integer"),
    (401, {"error": "Invalid API key", "code": "INVALID_KEY"}, AccountRefused, "INVALID_KEY"),
    (403, {"error": "Secret key required"}, AccountRefused, "not a secret one"),
    (403, {"error": "Forbidden"}, AccountRefused, "403"),
    (403, b"<html>no</html>", AccountRefused, "403"),
    (404, {"error": "Not found"}, ExportRefused, "404"),
    (500, b"oops", Retryable, "500"),
    (502, b"<html>bad gateway</html>", Retryable, "502"),
    (599, b"", Retryable, "599"),
    (200, b"<html>hotel wifi</html>", Retryable, "no JSON object"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), CASES)
async def test_errors(status: int, body: Any, kind: type[PullError], words: str) -> None:
    error = judge(await reply(status, body))

    assert type(error) is kind
    assert words in str(error)


PARKED: list[tuple[int, Any, str]] = [
    (403, {"error": "Ecommerce events are not available on the free tier"}, "plan"),
    (403, {"error": "Upgrade", "code": "FEATURE_GATED"}, "plan"),
    (403, {"error": "Appspace is frozen", "code": "APPSPACE_FROZEN"}, "plan"),
    (403, {"error": "Monthly API usage exceeded", "code": "USAGE_EXCEEDED"}, "quota"),
    (429, {"error": "Ecommerce event quota exceeded"}, "quota"),
]


@pytest.mark.parametrize(("status", "body", "kind"), PARKED)
async def test_plan_and_quota_park_the_account(status: int, body: Any, kind: str) -> None:
    error = judge(await reply(status, body))

    assert isinstance(error, Parked)
    assert error.kind == kind
    assert body["error"] in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7", "RateLimit-Reset": "30"}, 7),
        ({"RateLimit-Reset": "30"}, 30),
        ({"RateLimit-Reset": "0"}, None),
        ({}, None),
    ],
)
async def test_pace_is_the_whole_accounts(headers: dict[str, str], seconds: float | None) -> None:
    error = judge(await reply(429, {"error": "Too many requests. Please slow down."}, headers))

    assert isinstance(error, Retryable)
    assert (error.whole_account, error.retry_after) == (True, seconds)


async def test_an_answer_is_no_refusal() -> None:
    assert judge(await reply(200, b' \n{"days": 30}')) is None


async def test_an_account_without_requests_left_rests(far_side: FarSide, session: aiohttp.ClientSession) -> None:
    clock = ManualClock()
    asking = Asking(far_side.url, session, clock=clock)
    far_side.say(
        Say(body=seed.OVERVIEW, headers={"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}),
        Say(body=seed.OVERVIEW, headers={"RateLimit-Remaining": "99", "RateLimit-Reset": "60"}),
    )
    first = asyncio.create_task(asking.one(export()))
    await until(lambda: clock.slept)  # for the budget's first token
    await clock.advance(1)
    await first

    second = asyncio.create_task(asking.one(export()))
    await until(lambda: len(clock.slept) > 1)
    await clock.advance(29)
    assert len(far_side.got) == 1
    await clock.advance(1)
    await second

    assert len(far_side.got) == 2


async def test_usage_is_logged_when_it_changes(far_side: FarSide, asking: Asking) -> None:
    for warning in ("85%", "85%", "90%", None, None):
        headers: dict[str, str] = {} if warning is None else {"X-Usage-Warning": warning}
        far_side.say(Say(body=seed.OVERVIEW, headers=headers))
        await asking.one(export())

    assert [call.kwargs for call in asking.log.calls] == [
        {"event": "vendor warns of usage", "account": "acme-tolinku", "source": "tolinku", "usage": usage}
        for usage in ("85%", "90%", "no longer")
    ]


async def test_a_refusal_of_one_ask_is_raised_for_its_export(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(400, {"error": "Invalid model"}))

    with pytest.raises(ExportRefused, match="Invalid model"):
        await asking.one(export("attribution"))


async def test_a_journey_is_the_vendors_answer(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=seed.JOURNEY))

    answer = await journey(asking.caller, "user 1&2")

    assert [event["event_type"] for event in answer["events"]] == ["view_item", "purchase"]
    assert far_side.got[0].query["user_id"] == "user 1&2"


@pytest.mark.parametrize("body", [b"{}", b'{"events": 1}', b"<html>", b'{"events": ['])
async def test_a_journey_without_events_is_no_answer(far_side: FarSide, asking: Asking, body: bytes) -> None:
    far_side.say(Say(body=body))

    with pytest.raises(Retryable):
        await journey(asking.caller, "u")
