"""Purchases and refunds count once in 24 hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import ManualClock
from sandbox.tolinku.deduplication import WINDOW_SECONDS, DeduplicationWindow, Order
from tests.sandbox.running import TRACK, Running, purchase, refund, running

if TYPE_CHECKING:
    from pathlib import Path


async def ignored(sandbox: Running) -> list[str | None]:
    return [each["ignored"] for each in await sandbox.arrivals()]


async def test_the_second_is_silently_ignored_and_its_arrival_kept(sandbox: Running) -> None:
    await sandbox.post(TRACK, purchase("o1", 10))
    again = await sandbox.post(TRACK, purchase("o1", 99))
    assert (again.status, again.body) == (200, {"ok": True})
    assert await ignored(sandbox) == [None, "duplicate"]
    assert (await sandbox.overview()).body["total_revenue"] == 10


async def test_also_within_one_batch(sandbox: Running) -> None:
    answer = await sandbox.batch(purchase("o1"), purchase("o2"), purchase("o1"))
    assert answer.body == {"ok": True, "accepted": 3}
    assert await ignored(sandbox) == [None, None, "duplicate"]


async def test_a_refund_may_bear_its_purchases_id(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1"), refund("o1"), refund("o1"))
    assert await ignored(sandbox) == [None, None, "duplicate"]


async def test_unless_the_switch_says_across_types(sandbox: Running) -> None:
    await sandbox.switch(deduplicate_across_types=True)
    await sandbox.batch(purchase("o1"), refund("o1"))
    assert await ignored(sandbox) == [None, "duplicate"]


async def test_appspaces_are_apart(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1"))
    await sandbox.batch(purchase("o1"), key="tolk_pub_other")
    assert await ignored(sandbox) == [None, None]


async def test_other_events_are_never_duplicates(sandbox: Running) -> None:
    credits_spent = {"event_type": "spend_credits", "revenue": 5, "transaction_id": "o1"}
    await sandbox.batch(credits_spent, credits_spent)
    assert await ignored(sandbox) == [None, None]


async def test_after_24_hours_it_counts_again(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        await sandbox.batch(purchase("o1"))
        await clock.advance(WINDOW_SECONDS - 1)
        await sandbox.batch(purchase("o1"))
        await clock.advance(1)  # the repeat did not prolong the window
        await sandbox.batch(purchase("o1"))
        assert await ignored(sandbox) == [None, "duplicate", None]


async def test_it_holds_across_restarts(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        await sandbox.batch(purchase("o1"))
    await clock.advance(WINDOW_SECONDS - 1)
    async with running(tmp_path, clock) as sandbox:
        await sandbox.batch(purchase("o1"))
    await clock.advance(1)
    async with running(tmp_path, clock) as sandbox:
        await sandbox.batch(purchase("o1"), purchase("o1"))
        assert await ignored(sandbox) == [None, "duplicate", None, "duplicate"]


async def test_an_impossible_amount_is_blocked_and_takes_no_order_away(sandbox: Running) -> None:
    answer = await sandbox.batch(purchase("o1", 1e12), purchase("o1", 5))
    assert answer.body == {"ok": True, "accepted": 2}
    assert await ignored(sandbox) == ["impossible", None]
    assert (await sandbox.overview()).body["total_revenue"] == 5


def test_the_window_forgets_what_is_old() -> None:
    window = DeduplicationWindow()
    for hour in range(100):
        window.remember(Order("acme", "purchase", f"o{hour}"), hour * 3600.0)
    assert len(window) == 24
    newest = Order("acme", "purchase", "o99")
    assert window.seen(newest, 99 * 3600.0, across_types=False)
    window.forget(newest)
    assert not window.seen(newest, 99 * 3600.0, across_types=False)
