"""What a refusal or an answer that cannot be read leaves in the log: what the vendor's support asks for, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from runtime.clock import ManualClock, SystemClock
from scheduler.budget import Budget
from scheduler.errors import ExportRefused, Retryable
from scheduler.refusals import usual
from tests.scheduler.far_side import Say
from tests.scheduler.shop import KEY, OFTEN

if TYPE_CHECKING:
    from tests.scheduler.shop import Shop


async def test_a_refusal_is_logged_once_with_what_the_vendors_support_asks_for(shop: Shop) -> None:
    words = f"no metric X for {KEY}"
    shop.far_side.answer = Say(400, {"error": words}, {"X-Request-Id": "t-1"})
    clock = ManualClock(1_800_000_000.0)
    caller = shop.caller(clock=clock, budget=Budget(OFTEN, None, 1, SystemClock()))
    with pytest.raises(ExportRefused) as refused:
        async with caller.ask("POST", "/sales", judge=usual, query={"a": "1"}, body={"metrics": ["X"], "note": KEY}):
            pass
    reason = "the vendor refuses the request (400): no metric X for [secret]"
    assert str(refused.value) == reason
    assert shop.logged.entries == [
        {
            "event": "vendor refused",
            "log_level": "warning",
            "account": "shop",
            "source": "tolinku",
            "method": "POST",
            "path": "/sales",
            "query": {"a": "1"},
            "body": '{"metrics":["X"],"note":"[secret]"}',
            "status": 400,
            "answer": '{"error":"no metric X for [secret]"}',
            "answer_bytes": 47,
            "at": "2027-01-15T08:00:00+00:00",
            "trace_id": "t-1",
            "reason": reason,
        }
    ]


async def test_an_answer_that_cannot_be_read_is_logged_like_a_refusal(shop: Shop) -> None:
    shop.far_side.answer = Say(200, {"series": None, "key": KEY}, {"X-Request-Id": f"t-2 {KEY}"})
    clock = ManualClock(1_800_000_000.0)
    caller = shop.caller(clock=clock, budget=Budget(OFTEN, None, 1, SystemClock()))
    with pytest.raises(Retryable) as failed:
        async with caller.ask("POST", "/sales", judge=usual, body={"note": KEY}):
            raise Retryable(f"no series for {KEY}")
    assert str(failed.value) == "no series for [secret]"
    (entry,) = shop.logged.entries
    assert (entry["event"], entry["log_level"], entry["reason"]) == (
        "answer not understood",
        "warning",
        "no series for [secret]",
    )
    assert (entry["method"], entry["path"], entry["body"]) == ("POST", "/sales", '{"note":"[secret]"}')
    assert (entry["status"], entry["answer"]) == (200, '{"series":null,"key":"[secret]"}')
    assert (entry["at"], entry["trace_id"]) == ("2027-01-15T08:00:00+00:00", "t-2 [secret]")


async def test_a_fault_of_ours_is_told_by_its_kind_alone(shop: Shop) -> None:
    with pytest.raises(KeyError):
        async with shop.caller().ask("GET", "/sales", judge=usual) as reply:
            reply.document()[KEY]
    (entry,) = shop.logged.entries
    assert (entry["event"], entry["reason"], entry["answer"]) == ("answer not understood", "KeyError", '{"ok":true}')


async def test_what_is_wrong_with_a_part_is_logged_while_the_rest_is_good(shop: Shop) -> None:
    async with shop.caller().ask("GET", "/sales", judge=usual) as reply:
        assert reply.document() == {"ok": True}
        reply.faults += [Retryable(f"no report 1 {KEY}"), ExportRefused("no site 2")]
    assert [entry["reason"] for entry in shop.logged.entries] == ["no report 1 [secret]", "no site 2"]
    assert [str(fault) for fault in reply.faults] == ["no report 1 [secret]", "no site 2"]


async def test_a_long_answer_is_shown_at_its_beginning_and_so_is_a_long_body(shop: Shop) -> None:
    # The key stands where the excerpt ends: not even its beginning is shown.
    shop.far_side.answer = Say(500, b"x" * 4090 + KEY.encode() + b"y" * 100_000)
    with pytest.raises(Retryable):
        async with shop.caller().ask("POST", "/sales", judge=usual, body={"sites": list(range(10_000))}):
            pass
    (entry,) = shop.logged.entries
    assert entry["answer"] == "x" * 4090 + "[secret]…"
    assert entry["answer_bytes"] == 4090 + len(KEY) + 100_000
    assert len(entry["body"]) == 16_384
    assert len(orjson.dumps(entry)) < 24_000
