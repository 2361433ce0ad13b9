"""DELETE /v1/api/analytics/user/{id}: the user's events go, within moments."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from sandbox.database import Database
from sandbox.tolinku import deletions
from sandbox.tolinku.arrivals import Arrivals
from tests.sandbox.running import PUBLISHABLE, SECRET, VIEW, Answer, Running, purchase, running

if TYPE_CHECKING:
    from pathlib import Path


async def delete(sandbox: Running, user: str, key: str = SECRET) -> Answer:
    url = f"{sandbox.url}/v1/api/analytics/user/{quote(user, safe='')}"
    return await sandbox.request("DELETE", url, headers={"X-API-Key": key})


async def users(sandbox: Running, expected: list[str | None]) -> None:
    """Wait until exactly these users' events are left."""
    async with asyncio.timeout(10):
        while [each["user_id"] for each in await sandbox.arrivals("fields=user_id")] != expected:  # noqa: ASYNC110 - the table has no bell
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("user", ["user_123", "a/b c?d%", "Åse", "' or 1=1"])
async def test_what_the_user_sent_goes_and_only_that(sandbox: Running, user: str) -> None:
    await sandbox.batch(purchase("o1", 5, user_id=user), VIEW, VIEW | {"user_id": user}, VIEW | {"user_id": None})
    await sandbox.batch(VIEW | {"user_id": user}, key="tolk_pub_other")
    answer = await delete(sandbox, user)
    assert (answer.status, answer.body) == (200, {"ok": True, "deleted_user_id": user})
    await users(sandbox, ["u1", None, user])
    assert (await sandbox.overview()).body["total_orders"] == 0
    assert [each["appspace"] for each in await sandbox.arrivals("fields=appspace")] == ["acme", "acme", "other"]


async def test_what_comes_later_stays(sandbox: Running) -> None:
    await sandbox.batch(VIEW)
    await delete(sandbox, "u1")
    await sandbox.batch(VIEW | {"user_id": "u2"}, VIEW)
    await users(sandbox, ["u2", "u1"])
    assert [each["arrival"] for each in await sandbox.arrivals("fields=arrival")] == [2, 3]


async def test_many_at_once_among_events(sandbox: Running) -> None:
    await sandbox.batch(*[VIEW | {"user_id": f"u{number}"} for number in range(50)])
    gone = [delete(sandbox, f"u{number}") for number in range(49)]
    answers = await asyncio.gather(*gone, *[sandbox.batch(VIEW | {"user_id": "late"}) for _ in range(20)])
    assert {answer.status for answer in answers} == {200}
    await users(sandbox, ["u49", *["late"] * 20])


async def test_a_user_that_nobody_knows(sandbox: Running) -> None:
    assert (await delete(sandbox, "nobody")).body == {"ok": True, "deleted_user_id": "nobody"}


async def test_only_a_secret_key_may(sandbox: Running) -> None:
    await sandbox.batch(VIEW)
    refused = await delete(sandbox, "u1", PUBLISHABLE)
    assert (refused.status, refused.body["code"]) == (403, "SECRET_KEY_REQUIRED")
    await sandbox.batch(VIEW)
    assert len(await sandbox.arrivals()) == 2


async def test_what_a_killed_process_left_is_done_at_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as sandbox:
        await sandbox.batch(VIEW, VIEW | {"user_id": "u2"})

    def wish() -> None:
        database = Database(tmp_path)
        with closing(Arrivals(database).connect()) as connection:
            connection.execute("insert into deletions values ('acme', 'u1', 2)")
        database.close()

    await asyncio.to_thread(wish)
    async with running(tmp_path) as sandbox:
        await users(sandbox, ["u2"])


async def test_a_removal_that_fails_is_told_and_tried_again(sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await sandbox.batch(VIEW)
    monkeypatch.setattr(deletions, "REMOVE", "delete from nowhere")
    assert (await delete(sandbox, "u1")).status == 200
    await sandbox.batch(VIEW | {"user_id": "u2"})
    await users(sandbox, ["u1", "u2"])
    monkeypatch.undo()
    await sandbox.batch(VIEW | {"user_id": "u2"})
    await users(sandbox, ["u2", "u2"])
