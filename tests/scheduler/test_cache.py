"""Fingerprints and revisions: what a pull changed, what the ledger then says, and that it can be read back."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from pydantic import SecretStr

from runtime.settings import AccountSettings, ExportSettings
from scheduler.cache import Cache, Scope
from scheduler.plan import Plan, Shape, Window
from scheduler.sources.interface import Answer, Ask, Found
from scheduler.stage import EVERYTHING, PIECE_BYTES, Stage
from schemas.exports import bucket_name, row_key
from schemas.ledger import MAX_SHARD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from broker.interface import Message

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(FIRST, FIRST + 3 * DAY)
SCOPE = Scope(bucket_name(WINDOW.start), bucket_name(WINDOW.end))


async def _no_job(_: Mapping[str, Any]) -> None:
    raise AssertionError("nothing here has a job")


def an_ask() -> Ask:
    account = AccountSettings(name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"))
    export = ExportSettings.model_validate(
        {"name": "e", "account": "a", "dataset": "d", "every": "1h", "drop": ["email"]}
    )
    plan = Plan(export, account, Shape("DAY", ZoneInfo("UTC")))
    return Ask(plan, WINDOW, None, {}, {"shop": "dk"}, FIRST + 30 * DAY, "1", None, _no_job)


def staged(rows: Iterable[tuple[int, str, float]], attributes: Mapping[str, Any] | None = None) -> Stage:
    """Return a stage with rows: the day's number, a channel, a turnover."""
    stage, ask = Stage(), an_ask()
    sink = stage.sink(ask)
    for day, channel, turnover in rows:
        bucket = Window(FIRST + day * DAY, FIRST + (day + 1) * DAY)
        sink.put(Found(bucket, {"channel": channel}, {"TURNOVER": turnover}, attributes or {}))
    stage.answered(sink, Answer(currency="EUR", timezone="UTC", flags=["clamped"]))
    return stage


def pull(cache: Cache, stage: Stage, scope: Scope | None = SCOPE) -> tuple[list[Message], list[Message]]:
    """Take a stage over and return what goes to the topic and to the ledger."""
    cache.begin()
    change = cache.apply("e", stage, EVERYTHING, scope)
    rows = list(cache.messages("e", "2026-11-20T00:00:00.000Z"))
    shards = list(cache.shards("e", change))
    cache.commit()
    stage.close()
    return rows, shards


@pytest.fixture
def cache(tmp_path: Path) -> Iterable[Cache]:
    made = Cache(tmp_path / "cache.sqlite")
    made.restored()
    yield made
    made.close()


def _revisions(messages: list[Message]) -> list[int | None]:
    return [None if value is None else orjson.loads(value)["revision"] for _, value, _ in messages]


def test_a_row_is_whole_and_its_key_canonical(cache: Cache) -> None:
    [(key, value, _)], _ = pull(cache, staged([(0, "Google", 1.5)], {"email": "a@b", "seen": 1}))
    assert key == row_key("e", "2026-11-01T00:00:00Z", {"shop": "dk", "channel": "Google"})
    assert orjson.loads(value or b"") == {
        "export": "e",
        "source": "profitmetrics",
        "dataset": "d",
        "account": "a",
        "bucket_start": "2026-11-01T00:00:00+00:00",
        "bucket_end": "2026-11-02T00:00:00+00:00",
        "resolution": "DAY",
        "timezone": "UTC",
        "currency": "EUR",
        "dimensions": {"shop": "dk", "channel": "Google"},
        "metrics": {"TURNOVER": 1.5},
        "attributes": {"seen": 1},
        "unavailable": [],
        "flags": ["clamped"],
        "provisional": False,
        "revision": 1,
        "pulled_at": "2026-11-20T00:00:00.000Z",
    }


def test_only_changes_go_out_and_revisions_count_on_across_a_tombstone(cache: Cache) -> None:
    both = [(0, "Google", 1.0), (1, "Google", 2.0)]
    assert _revisions(pull(cache, staged(both))[0]) == [1, 1]
    assert pull(cache, staged(reversed(both))) == ([], [])
    assert _revisions(pull(cache, staged([(0, "Google", 1.0), (1, "Google", 3.0)]))[0]) == [2]
    assert _revisions(pull(cache, staged([(0, "Google", 1.0)]))[0]) == [None]
    assert pull(cache, staged([(0, "Google", 1.0)])) == ([], [])
    assert _revisions(pull(cache, staged([(0, "Google", 1.0), (1, "Google", 3.0)]))[0]) == [4]


def test_nothing_vanishes_outside_of_what_was_asked_for(cache: Cache) -> None:
    pull(cache, staged([(0, "Google", 1.0), (2, "Google", 1.0)]))
    later = Scope(bucket_name(FIRST + DAY), bucket_name(FIRST + 2 * DAY))
    assert pull(cache, staged([]), later) == ([], [])
    assert pull(cache, staged([]), None) == ([], [])
    assert cache.vanishing("e", staged([(0, "Google", 5.0)]), SCOPE) == (1, 2)
    assert cache.live("e") == 2


def test_what_is_rolled_back_never_was(cache: Cache) -> None:
    cache.begin()
    cache.apply("e", staged([(0, "Google", 1.0)]), EVERYTHING, SCOPE)
    cache.rollback()
    cache.rollback()
    assert _revisions(pull(cache, staged([(0, "Google", 1.0)]))[0]) == [1]


def test_the_ledgers_shards_give_the_same_state_to_the_next_owner(cache: Cache, tmp_path: Path) -> None:
    ledger: dict[bytes, bytes | None] = {}
    for count in (10, 3000, 2500):
        _, shards = pull(cache, staged((0, f"channel {number:05} {'x' * 100}", 1.0) for number in range(count)))
        ledger |= {key or b"": value for key, value, _ in shards}
    sizes = [len(value) for value in ledger.values() if value is not None]
    assert len(sizes) > 1
    assert max(sizes) <= MAX_SHARD_BYTES
    assert ledger[b"e/2026-11-01T00:00:00Z"] is None  # one shard was enough for ten
    heir = Cache(tmp_path / "heir.sqlite")
    heir.restore((key.decode(), value) for key, value in ledger.items())
    heir.restored()
    assert heir.live("e") == cache.live("e") == 2500
    same = [(0, f"channel {number:05} {'x' * 100}", 1.0) for number in range(2500)]
    assert pull(heir, staged(same)) == ([], [])
    assert _revisions(pull(heir, staged([*same, (0, f"channel 02999 {'x' * 100}", 1.0)]))[0]) == [3]
    heir.close()
    assert not (tmp_path / "heir.sqlite").exists()


def test_a_large_pull_goes_in_pieces_of_whole_buckets(cache: Cache) -> None:
    size = PIECE_BYTES // 2
    stage = staged(((day, "Google", 1.0) for day in range(3)), {"blob": "x" * size})
    pieces = stage.pieces()
    assert [piece.low for piece in pieces] == ["", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"]
    assert pieces[-1].high is None
    found = 0
    for piece in pieces:
        cache.begin()
        found += cache.apply("e", stage, piece, SCOPE).new
        cache.commit()
    assert found == 3
    stage.close()
    with pytest.raises(sqlite3.ProgrammingError):
        stage.pieces()
