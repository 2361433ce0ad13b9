"""Every fault, as a sender sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from runtime.clock import ManualClock, SystemClock
from tests.sandbox.running import BATCH, OVERVIEW, TRACK, VIEW, Running, purchase, running

if TYPE_CHECKING:
    from pathlib import Path


async def stored(sandbox: Running) -> int:
    return len(await sandbox.arrivals("fields=arrival"))


async def test_status_with_body_and_headers(sandbox: Running) -> None:
    await sandbox.fault({"effect": "status", "status": 429, "body": {"error": "no"}, "headers": {"Retry-After": "0.5"}})
    answer = await sandbox.batch(VIEW)
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, {"error": "no"}, "0.5")
    assert await stored(sandbox) == 0


async def test_status_without_a_body_has_the_apis_shape(sandbox: Running) -> None:
    await sandbox.fault({"effect": "status", "status": 503})
    answer = await sandbox.batch(VIEW)
    assert (answer.status, answer.body) == (503, {"error": "Service Unavailable"})
    await sandbox.fault({"effect": "status", "status": 599})
    answer = await sandbox.batch(VIEW)
    assert (answer.status, answer.body) == (599, {"error": "Status 599"})


async def test_status_after_delivery(sandbox: Running) -> None:
    await sandbox.fault({"effect": "status", "status": 502, "body": "Bad gateway", "after_delivery": True})
    answer = await sandbox.batch(VIEW)
    assert (answer.status, answer.body) == (502, b"Bad gateway")
    assert await stored(sandbox) == 1


async def test_status_for_a_batch_that_holds_one_bad_event(sandbox: Running) -> None:
    await sandbox.fault({"effect": "status", "status": 400, "body": {"error": "no"}, "containing": '"o2"'})
    for _ in range(2):
        assert (await sandbox.batch(purchase("o1"), purchase("o2"))).status == 400
    assert await stored(sandbox) == 0
    assert (await sandbox.batch(purchase("o1"))).body == {"ok": True, "accepted": 1}
    assert await applied(sandbox) == [2]


async def test_html(sandbox: Running) -> None:
    await sandbox.fault({"effect": "html"})
    answer = await sandbox.batch(VIEW)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert await stored(sandbox) == 0


@pytest.mark.parametrize(("effect", "arrived"), [("reset", 0), ("reset_after_delivery", 1)])
async def test_resets(sandbox: Running, effect: str, arrived: int) -> None:
    await sandbox.fault({"effect": effect, "times": 1})
    with pytest.raises(aiohttp.ClientOSError) as failure:
        await sandbox.batch(VIEW)
    assert isinstance(failure.value, ConnectionResetError) or failure.value.errno == 104
    assert await stored(sandbox) == arrived
    assert (await sandbox.batch(VIEW)).status == 200


async def test_latency_comes_after_delivery_and_adds_up(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        await sandbox.fault(
            {"effect": "latency", "milliseconds": 1500},
            {"effect": "latency", "milliseconds": 500},
            {"effect": "status", "status": 500, "after_delivery": True},
        )
        asked = asyncio.ensure_future(sandbox.batch(VIEW))
        async with asyncio.timeout(10):
            while not clock.slept:  # noqa: ASYNC110 - another connection's request cannot set our event
                await asyncio.sleep(0.01)
        assert clock.slept == [2.0]
        assert await stored(sandbox) == 1
        assert not asked.done()
        await clock.advance(2)
        assert (await asked).status == 500


@pytest.mark.parametrize(("after_delivery", "arrived"), [(False, 0), (True, 1)])
async def test_hang_ends_when_the_sender_goes(sandbox: Running, *, after_delivery: bool, arrived: int) -> None:
    await sandbox.fault({"effect": "hang", "times": 1, "after_delivery": after_delivery})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await sandbox.batch(VIEW)
    assert await stored(sandbox) == arrived
    assert (await sandbox.batch(VIEW)).status == 200


async def test_a_hang_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with running(tmp_path, SystemClock()) as sandbox:
            await sandbox.fault({"effect": "hang"})
            asked = asyncio.ensure_future(session.post(sandbox.url + BATCH, json={"events": [VIEW]}))
            async with asyncio.timeout(10):
                while not (await applied(sandbox))[0]:  # noqa: ASYNC110 - another connection's request cannot set our event
                    await asyncio.sleep(0.01)
            loop = asyncio.get_running_loop()
            began = loop.time()
        assert loop.time() - began < 3
        with pytest.raises(aiohttp.ClientError):
            await asked


async def applied(sandbox: Running) -> list[int]:
    answer = await sandbox.request("GET", f"{sandbox.control_url}/faults")
    return [rule["applied"] for rule in answer.body["rules"]]


async def test_partial_by_index(sandbox: Running) -> None:
    await sandbox.fault({"effect": "partial", "indices": [0, 2], "error": "no luck"})
    answer = await sandbox.batch(VIEW, {}, VIEW, VIEW)
    errors = ["events[0]: no luck", "events[1]: event_type is required", "events[2]: no luck"]
    assert answer.body == {"ok": True, "accepted": 1, "errors": errors}
    refused = await sandbox.post(TRACK, VIEW)
    assert (refused.status, refused.body["error"]) == (400, "no luck")
    assert await stored(sandbox) == 1


async def test_partial_by_content_is_the_same_at_every_attempt(sandbox: Running) -> None:
    await sandbox.fault({"effect": "partial", "containing": '"o2"'})
    for _ in range(3):
        answer = await sandbox.batch(purchase("o1"), purchase("o2"))
        assert answer.body["errors"] == ["events[1]: Event refused by a fault rule"]


async def test_partial_by_chance(sandbox: Running) -> None:
    runs = []
    for _ in range(2):
        await sandbox.fault({"effect": "partial", "event_probability": 0.5}, seed=7)
        runs.append((await sandbox.batch(*[VIEW] * 100)).body)
    assert runs[0] == runs[1]
    assert 30 < runs[0]["accepted"] < 70


async def test_rules_match_by_appspace_and_path_in_their_order(sandbox: Running) -> None:
    await sandbox.fault(
        {"effect": "status", "status": 500, "appspace": "other"},
        {"effect": "status", "status": 501, "path": "*/track", "times": 1},
        {"effect": "status", "status": 502, "path": "*/track"},
        {"effect": "status", "status": 503, "path": OVERVIEW},
    )
    assert (await sandbox.batch(VIEW)).status == 200
    assert (await sandbox.batch(VIEW, key="tolk_pub_other")).status == 500
    assert [(await sandbox.post(TRACK, VIEW)).status for _ in range(3)] == [501, 502, 502]
    assert (await sandbox.overview()).status == 503
    assert await applied(sandbox) == [1, 1, 2, 1]


async def test_chances_are_seeded(sandbox: Running) -> None:
    rule = {"effect": "status", "status": 500, "probability": 0.5}
    runs = []
    for seed in (1, 1, 2):
        await sandbox.fault(rule, seed=seed)
        runs.append([(await sandbox.batch(VIEW)).status for _ in range(40)])
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(500) < 35


async def test_without_a_key_only_rules_for_all_strike(sandbox: Running) -> None:
    await sandbox.fault({"effect": "status", "status": 500, "appspace": "acme"})
    assert (await sandbox.post(BATCH, {"events": [VIEW]}, key=None)).status == 401
    await sandbox.fault({"effect": "status", "status": 500})
    assert (await sandbox.post(BATCH, {"events": [VIEW]}, key=None)).status == 500


async def test_faults_are_taken_back(sandbox: Running) -> None:
    await sandbox.fault({"effect": "reset"})
    answer = await sandbox.request("DELETE", f"{sandbox.control_url}/faults")
    assert answer.body == {"seed": 0, "rules": []}
    assert (await sandbox.batch(VIEW)).status == 200


@pytest.mark.parametrize(
    "plan",
    [
        {"rules": [{"effect": "explode"}]},
        {"rules": [{"effect": "status"}]},
        {"rules": [{"effect": "status", "status": 600}]},
        {"rules": [{"effect": "html", "probability": 2}]},
        {"rules": [{"effect": "html", "colour": "red"}]},
        [],
    ],
)
async def test_crooked_rules_are_refused_and_the_old_ones_stay(sandbox: Running, plan: Any) -> None:
    await sandbox.fault({"effect": "html"})
    answer = await sandbox.request("PUT", f"{sandbox.control_url}/faults", plan)
    assert answer.status == 400
    assert answer.body["error"]
    assert await applied(sandbox) == [0]


async def test_the_fault_port_explains_itself(sandbox: Running) -> None:
    answer = await sandbox.request("GET", sandbox.control_url)
    assert b"/store/arrivals" in answer.body
