"""Plan, quota, rate limit and the knobs for what nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.clock import ManualClock
from tests.sandbox.running import BATCH, TRACK, VIEW, Running, purchase, running

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_quota(sandbox: Running) -> None:
    await sandbox.switch(quota_exceeded=True)
    for path, body in ((TRACK, VIEW), (BATCH, {"events": [VIEW]})):
        answer = await sandbox.post(path, body)
        assert (answer.status, answer.body["error"]) == (429, "Ecommerce event quota exceeded")
        assert "Retry-After" not in answer.headers
    assert (await sandbox.overview()).status == 200
    assert await sandbox.arrivals() == []


async def test_the_quota_told_event_by_event(sandbox: Running) -> None:
    await sandbox.switch(quota_exceeded=True, batch_quota="errors")
    answer = await sandbox.batch(VIEW)
    errors = ["events[0]: Ecommerce event quota exceeded"]
    assert (answer.status, answer.body) == (200, {"ok": True, "accepted": 0, "errors": errors})


@pytest.mark.parametrize(
    ("switches", "body"),
    [
        (
            {"plan": "free"},
            {"error": "Ecommerce events are not available on the free tier", "code": "FEATURE_GATED"},
        ),
        ({"plan": "frozen"}, {"error": "Appspace is frozen", "code": "APPSPACE_FROZEN"}),
        ({"usage_percent": 111}, {"error": "Monthly API usage exceeded", "code": "USAGE_EXCEEDED"}),
    ],
)
async def test_the_plan(sandbox: Running, switches: dict[str, Any], body: dict[str, str]) -> None:
    await sandbox.switch(**switches)
    for path, sent in ((TRACK, VIEW), (BATCH, {"events": [VIEW]})):
        answer = await sandbox.post(path, sent)
        assert (answer.status, answer.body) == (403, body)
    assert (await sandbox.overview()).status == 403


@pytest.mark.parametrize(("percent", "warning"), [(79, None), (80, "80%"), (110, "110%")])
async def test_the_usage_warning(sandbox: Running, percent: int, warning: str | None) -> None:
    await sandbox.switch(usage_percent=percent)
    answer = await sandbox.batch(VIEW)
    assert answer.status == 200
    assert answer.headers.get("X-Usage-Warning") == warning


async def test_one_appspace_may_have_its_own(sandbox: Running) -> None:
    await sandbox.switch("acme", quota_exceeded=True)
    assert (await sandbox.batch(VIEW)).status == 429
    assert (await sandbox.batch(VIEW, key="tolk_pub_other")).status == 200
    cleared = await sandbox.request("DELETE", f"{sandbox.control_url}/switches")
    assert cleared.body["appspaces"] == {}
    assert (await sandbox.batch(VIEW)).status == 200


async def test_an_appspace_that_there_is_not(sandbox: Running) -> None:
    answer = await sandbox.request("PUT", f"{sandbox.control_url}/switches/amce", {})
    assert (answer.status, answer.body) == (404, {"error": "there is no appspace amce; there are: acme, other"})


@pytest.mark.parametrize(("counts_ignored", "accepted"), [(True, 2), (False, 1)])
async def test_whether_accepted_counts_what_is_ignored(
    sandbox: Running, *, counts_ignored: bool, accepted: int
) -> None:
    await sandbox.switch(accepted_counts_ignored=counts_ignored)
    answer = await sandbox.batch(purchase("o1"), purchase("o1"))
    assert answer.body == {"ok": True, "accepted": accepted}


async def test_the_rate_limit(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        assert "RateLimit-Limit" not in (await sandbox.batch(VIEW)).headers
        await sandbox.switch(rate_limit_per_minute=2, retry_after=True)
        seen = []
        for _ in range(3):
            answer = await sandbox.batch(VIEW)
            seen.append((answer.status, answer.headers["RateLimit-Remaining"], answer.headers["RateLimit-Reset"]))
            await clock.advance(10)
        assert seen == [(200, "1", "60"), (200, "0", "50"), (429, "0", "40")]
        answer = await sandbox.batch(VIEW)
        assert answer.body == {"error": "Too many requests. Please slow down."}
        assert (answer.headers["RateLimit-Limit"], answer.headers["Retry-After"]) == ("2", "30")
        await clock.advance(30)
        assert (await sandbox.batch(VIEW)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"plan": "gold"}',
        b'{"quota": true}',
        b'{"base_currency": "XXX"}',
        b'{"time_zone": "Mars/Olympus"}',
        b'{"time_zone": "Europe"}',
        b'{"time_zone": "../x"}',
    ],
)
async def test_wrong_switches_are_refused(sandbox: Running, body: bytes) -> None:
    answer = await sandbox.request("PUT", f"{sandbox.control_url}/switches", body)
    assert answer.status == 400
    assert answer.body["error"]
