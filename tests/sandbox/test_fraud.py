"""The fraud rules: severity 1 is marked and counted, severity 2 silently ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.clock import ManualClock
from tests.sandbox.running import ROOT, VIEW, Running, purchase, running

if TYPE_CHECKING:
    from pathlib import Path

BOT = {"properties": {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}}


async def marks(sandbox: Running) -> list[tuple[str | None, str | None]]:
    """What each arrival is ignored for, and flagged with."""
    return [(each["ignored"], each["flagged"]) for each in await sandbox.arrivals("fields=ignored,flagged")]


@pytest.mark.parametrize(
    ("rule", "settings", "event"),
    [
        ("bot", {}, purchase("o1", 5, **BOT)),
        ("bot", {}, purchase("o1", 5, properties={"bot": "true"})),
        ("revenue", {"most_revenue": 4.99}, purchase("o1", 5)),
        ("revenue", {"most_revenue": 900}, purchase("o1", 1000, currency="USD")),
        ("revenue", {"most_revenue": 4.99}, purchase("o1", -5)),
        ("currency", {"currencies": ["EUR", "USD"]}, purchase("o1", 5, currency="GBP")),
    ],
)
@pytest.mark.parametrize("severity", [0, 1, 2])
async def test_what_follows(
    sandbox: Running, rule: str, settings: dict[str, Any], event: dict[str, Any], severity: int
) -> None:
    await sandbox.switch(fraud={**settings, rule: severity}, accepted_counts_ignored=False)
    answer = await sandbox.post(f"{ROOT}/track", event)
    assert (answer.status, answer.body) == (200, {"ok": True})
    assert await marks(sandbox) == [{0: (None, None), 1: (None, rule), 2: (rule, None)}[severity]]
    assert (await sandbox.overview()).body["total_orders"] == (severity < 2)
    # What was blocked was never seen: it does not make another one a duplicate.
    await sandbox.switch(accepted_counts_ignored=False)
    again = await sandbox.batch(purchase("o1", 5))
    assert again.body["accepted"] == (severity == 2)


async def test_honest_events_break_no_rule(sandbox: Running) -> None:
    await sandbox.switch(
        fraud={"bot": 2, "most_revenue": 100, "events_per_minute": 3, "velocity": 2, "currencies": ["EUR"]}
    )
    phone = {"properties": {"user_agent": "Mozilla/5.0 (iPhone) Cubot Mobile", "bot": "false"}}
    await sandbox.batch(purchase("o1", 100, **phone), purchase("o2", 100, currency="eur"), VIEW)
    assert await marks(sandbox) == [(None, None)] * 3


async def test_velocity(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        await sandbox.switch(fraud={"events_per_minute": 2, "velocity": 2})
        other = VIEW | {"user_id": None, "cart_id": "c1"}
        await sandbox.batch(VIEW, other, VIEW, VIEW, other, {"event_type": "search"}, {"event_type": "search"})
        await sandbox.batch(VIEW, key="tolk_pub_other")
        assert [ignored for ignored, _ in await marks(sandbox)] == [None] * 3 + ["velocity"] + [None] * 4
        await clock.advance(60)
        await sandbox.batch(VIEW)
        assert (await marks(sandbox))[-1] == (None, None)


async def test_the_most_severe_counts(sandbox: Running) -> None:
    await sandbox.switch(fraud={"bot": 1, "revenue": 2, "most_revenue": 1})
    await sandbox.batch(purchase("o1", 5, **BOT))
    assert await marks(sandbox) == [("revenue", None)]


@pytest.mark.parametrize("reads", [True, False])
async def test_whether_the_request_says_that_a_bot_sends(sandbox: Running, *, reads: bool) -> None:
    await sandbox.switch(reads_request=reads)
    await sandbox.post(f"{ROOT}/track", VIEW, headers={"User-Agent": "HeadlessChrome/120"})
    assert await marks(sandbox) == [(None, "bot" if reads else None)]


@pytest.mark.parametrize("fraud", [{"bot": 3}, {"most_revenue": 0}, {"events_per_minute": 0}, {"speed": 1}, 1])
async def test_wrong_rules_are_refused(sandbox: Running, fraud: Any) -> None:
    answer = await sandbox.request("PUT", f"{sandbox.control_url}/switches", {"fraud": fraud})
    assert (answer.status, "fraud" in answer.body["error"]) == (400, True)
