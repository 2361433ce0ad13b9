from __future__ import annotations

import asyncio
import gzip
import re
import tracemalloc
from typing import TYPE_CHECKING

import orjson
import pytest
from pydantic import SecretStr

from runtime.clock import ManualClock, SystemClock
from scheduler.budget import Budget
from scheduler.credentials import KeyCredentials, Token, TokenCredentials
from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable
from scheduler.exchange import Limits
from scheduler.refusals import usual
from tests.scheduler.far_side import Say, until
from tests.scheduler.shop import KEY, OFTEN, Lost, document, failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduler.reply import Reply
    from tests.scheduler.shop import Shop


async def test_what_arrives(shop: Shop) -> None:
    async with shop.caller().ask(
        "POST",
        "/reports/a%2Fb:c",
        judge=usual,
        query={"start": "2026-11-21T00:00:00+01:00", "q": "a&b=c d/é"},
        body={"metrics": ["TURNOVER"]},
        headers={"Accept": "application/vnd.api.v1+json"},
    ) as reply:
        assert reply.document() == {"ok": True}
    (got,) = shop.far_side.got
    assert (got.method, got.target.partition("?")[0]) == ("POST", "/base/reports/a%2Fb:c")
    assert got.query == {"start": "2026-11-21T00:00:00+01:00", "q": "a&b=c d/é"}
    assert orjson.loads(got.body) == {"metrics": ["TURNOVER"]}
    assert got.headers["X-API-Key"] == KEY
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Accept"] == "application/vnd.api.v1+json"
    assert got.headers["User-Agent"].startswith("sluice/")
    assert shop.logged.entries == []


@pytest.mark.parametrize("path", ["sales", "/sales?key=1", "/sales#1"])
async def test_what_is_no_path(shop: Shop, path: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        async with shop.caller().ask("GET", path, judge=usual):
            pass


async def test_a_large_answer_passes_through_little_memory(shop: Shop) -> None:
    piece = b'{"revenue": 12.5}\n' * 8192
    shop.far_side.answer = Say(200, piece, repeat=200)
    async with shop.caller().ask("GET", "/rows", judge=usual) as reply:  # what is loaded once is loaded
        assert reply.size == 200 * len(piece)
    tracemalloc.start()
    async with shop.caller().ask("GET", "/rows", judge=usual) as reply:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        with reply.open() as file:
            assert file.read(len(piece)) == piece
    assert peak < 6 * 1024 * 1024
    assert list(shop.directory.iterdir()) == []


async def test_gzip_is_unpacked_and_a_part_of_it_is_none(shop: Shop) -> None:
    packed = gzip.compress(orjson.dumps({"rows": list(range(100_000))}))
    headers = {"Content-Encoding": "gzip"}
    shop.far_side.say(
        Say(200, packed, headers),
        Say(200, packed[:-9], headers),
        Say(200, b"not gzip", headers),
        Say(200, packed, {"Content-Encoding": "br"}),
    )
    caller = shop.caller()
    assert (await document(caller))["rows"][-1] == 99_999
    assert re.fullmatch("the answer was cut off after [0-9]+ bytes, within its compression", str(await failure(caller)))
    assert str(await failure(caller)) == "the answer's compression is broken after 0 bytes"
    assert str(await failure(caller)) == "the answer is encoded as br, which was not asked for"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Say(cut=0), "the vendor closed the connection without an answer"),
        (Say(200, b"x" * 100, cut=30), "the answer was cut off after 30 bytes"),
        (Say(200, b"x" * 100, cut=30, sized=False), "the answer was cut off after 30 bytes"),
    ],
)
async def test_what_breaks_off(shop: Shop, answer: Say, reason: str) -> None:
    shop.far_side.answer = answer
    error = await failure(shop.caller())
    assert isinstance(error, Retryable)
    assert str(error) == reason


async def test_who_takes_too_long(shop: Shop) -> None:
    never = asyncio.Event()
    shop.far_side.say(
        Say(before=never), Say(200, b"x" * 9, cut=5, stalls=never), Say(200, b"x" * 9, cut=5, stalls=never)
    )
    reasons = [
        str(await failure(shop.caller(), timeout_seconds=0.05)),
        str(await failure(shop.caller(limits=Limits(idle_seconds=0.05)))),
        str(await failure(shop.caller(limits=Limits(longest_seconds=0.05)))),
    ]
    assert reasons == [
        "the vendor did not begin to answer within 0.05 s",
        "the answer stopped after 5 bytes: nothing more came for 0.05 s",
        "the answer did not come to its end in time; 5 bytes came",
    ]


async def test_nobody_there(shop: Shop, unused_tcp_port: int) -> None:
    error = await failure(shop.caller(url=f"http://127.0.0.1:{unused_tcp_port}"), query={"token": "hush"})
    assert isinstance(error, Retryable)
    assert str(error).startswith(f"no connection to 127.0.0.1:{unused_tcp_port} (")
    assert "hush" not in str(error)


async def test_an_answer_too_large_is_not_asked_for_again(shop: Shop) -> None:
    shop.far_side.answer = Say(200, b"x" * 1000, repeat=3)
    error = await failure(shop.caller(limits=Limits(max_bytes=2999)))
    assert isinstance(error, ExportRefused)
    assert str(error) == "the answer is larger than 2999 bytes; ask for less of it at once"


async def test_a_disk_that_takes_nothing(shop: Shop) -> None:
    shop.far_side.answer = Say(200, bytes(2_000_000))
    shop.directory /= "missing"
    error = await failure(shop.caller())
    assert isinstance(error, Retryable)
    assert str(error) == "the answer could not be put on disk: No such file or directory"


async def test_a_redirection_is_not_followed(shop: Shop) -> None:
    shop.far_side.answer = Say(302, headers={"Location": shop.far_side.url + "/elsewhere"})
    error = await failure(shop.caller(), judge=lambda _: None)
    assert isinstance(error, ExportRefused)
    assert len(shop.far_side.got) == 1


async def test_the_judge_may_find_a_fault_in_a_good_status_or_no_json_in_it(shop: Shop) -> None:
    def judge(reply: Reply) -> PullError | None:
        return None if reply.document()["success"] else AccountRefused("not ours")

    shop.far_side.say(Say(200, {"success": False}), Say(200, b"<html>"), Say(504, {"success": True}))
    caller = shop.caller()
    assert isinstance(await failure(caller, judge=judge), AccountRefused)
    assert isinstance(await failure(caller, judge=judge), Retryable)
    assert await document(caller, judge=judge) == {"success": True}, "what a status means is the judge's"
    assert [entry["status"] for entry in shop.logged.entries] == [200, 200]


async def test_the_account_rests_when_the_vendor_says_so(shop: Shop) -> None:
    clock = ManualClock()
    budget = Budget(OFTEN, None, 2, clock)
    await clock.advance(1)
    shop.far_side.say(Say(429, headers={"Retry-After": "30"}))
    caller = shop.caller(clock=clock, budget=budget)
    assert isinstance(await failure(caller), Retryable)
    waiting = asyncio.create_task(document(caller))
    await asyncio.sleep(0)
    await clock.advance(29)
    assert len(shop.far_side.got) == 1
    await clock.advance(1.1)
    assert await waiting == {"ok": True}


async def test_the_places_are_the_budgets_and_free_once_the_answer_is_there(shop: Shop) -> None:
    caller = shop.caller(budget=Budget(OFTEN, None, 2, SystemClock()))
    gate = asyncio.Event()
    shop.far_side.answer = Say(200, {"ok": True}, before=gate)
    asking = [asyncio.create_task(document(caller)) for _ in range(6)]
    await until(lambda: shop.far_side.open == 2)
    gate.set()
    assert len(await asyncio.gather(*asking)) == 6
    assert shop.far_side.most_open == 2
    one = shop.caller(budget=Budget(OFTEN, None, 1, SystemClock()))
    async with one.ask("GET", "/a", judge=usual):
        assert await document(one) == {"ok": True}


async def test_a_month_that_is_used_up_costs_no_request(shop: Shop) -> None:
    caller = shop.caller(budget=Budget(OFTEN, 1, 1, SystemClock()))
    await document(caller)
    assert isinstance(await failure(caller), Parked)
    assert len(shop.far_side.got) == 1


class Door:
    """Logins that give a new token each time."""

    def __init__(self) -> None:
        self.count = 0
        self.credentials = TokenCredentials(self.fetch, ManualClock())

    async def fetch(self, refresh: SecretStr | None) -> Token:
        del refresh
        self.count += 1
        return Token(SecretStr(f"token-{self.count}"), 3600)


async def test_a_401_gets_one_new_token_and_one_repeat(shop: Shop) -> None:
    door = Door()
    budget = Budget(OFTEN, None, 1, SystemClock())
    caller = shop.caller(credentials=door.credentials, budget=budget)
    shop.far_side.say(Say(401))
    assert await document(caller) == {"ok": True}
    shop.far_side.say(Say(401), Say(401, {"error": "no token-3"}))
    error = await failure(caller)
    assert isinstance(error, AccountRefused)
    assert str(error) == "the vendor refuses the credentials (401): no [secret]"
    carried = [got.headers["Authorization"] for got in shop.far_side.got]
    assert carried == ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-3"]
    assert budget.spent.requests == 4
    assert len(shop.logged.entries) == 1


async def test_a_401_with_a_key_is_not_repeated(shop: Shop) -> None:
    shop.far_side.answer = Say(401)
    assert isinstance(await failure(shop.caller()), AccountRefused)
    assert len(shop.far_side.got) == 1


async def test_a_login_that_fails_after_a_401(shop: Shop) -> None:
    class Locked(KeyCredentials):
        async def renew(self, refused: Mapping[str, str]) -> bool:
            raise AccountRefused(f"the login failed: {len(refused)}")

    shop.far_side.answer = Say(401)
    error = await failure(shop.caller(credentials=Locked("X-API-Key", SecretStr(KEY))))
    assert str(error) == "the login failed: 1"


@pytest.mark.parametrize(("lost_at", "logins", "requests"), [(1, 0, 0), (2, 1, 0), (3, 1, 1), (4, 2, 1)])
async def test_nothing_is_asked_of_an_account_that_may_be_anothers(
    shop: Shop, lost_at: int, logins: int, requests: int
) -> None:
    door = Door()
    shop.lost_at = lost_at
    shop.far_side.answer = Say(401)
    assert isinstance(await failure(shop.caller(credentials=door.credentials)), Lost)
    assert (door.count, len(shop.far_side.got)) == (logins, requests)


@pytest.mark.parametrize("is_begun", [False, True])
async def test_cancelled_it_leaves_the_place_free_and_nothing_behind(shop: Shop, *, is_begun: bool) -> None:
    never = asyncio.Event()
    caller = shop.caller(budget=Budget(OFTEN, None, 1, SystemClock()))
    begun = Say(200, bytes(3_000_000), cut=2_000_000, stalls=never)
    shop.far_side.say(begun if is_begun else Say(before=never))
    asking = asyncio.create_task(document(caller))
    await until(lambda: shop.far_side.sent == (2_000_000 if is_begun else 0) and shop.far_side.open)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await document(caller) == {"ok": True}
