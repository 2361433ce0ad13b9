"""The ledger in its owner's hands: what goes into one transaction, and what the next owner reads."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import orjson
import pytest
import structlog
from pydantic import SecretStr

from broker.factory import open_broker
from broker.interface import TransactionalPublisher, Unavailable
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import AccountSettings, BrokerSettings, ExportSettings
from scheduler.cache import TRANSACTION_BYTES, Cache
from scheduler.errors import ExportRefused, Retryable
from scheduler.ledger import CHUNK_BYTES, taken_over
from scheduler.plan import Plan, Shape, Window
from scheduler.publication import Publication, Target
from scheduler.sources.interface import Answer, Ask, Found
from scheduler.stage import EVERYTHING, Stage
from schemas.exports import fingerprint
from schemas.ledger import AccountState, ExportState, Shard, shard_key
from schemas.topics import LEDGER, ledger_spec, metrics_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from broker.interface import Broker, Message, Transaction
    from scheduler.cache import Change

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(FIRST, FIRST + timedelta(days=1))
BUCKET = "2026-11-01T00:00:00Z"
ROWS = replace(metrics_spec("profitmetrics", "reports", 1), max_message_bytes=4_000)
MANY = 30


class Counted(TransactionalPublisher):
    """The log's own; it counts the transactions."""

    def __init__(self, publisher: TransactionalPublisher) -> None:
        self.begun = 0
        self._publisher = publisher

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        self.begun += 1
        return self._publisher.transaction()

    async def close(self) -> None:
        await self._publisher.close()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    settings = BrokerSettings(path=str(tmp_path / "log"), partitions=1)
    async with open_broker(settings, Metrics(), structlog.get_logger(), SystemClock()) as broker:
        await broker.ensure_topics([ledger_spec(1), ROWS])
        yield broker


@pytest.fixture
def counted(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    """Every owner of the ledger that was begun, the latest last."""
    owners: list[Counted] = []
    begin = broker.transactional

    async def transactional(transactional_id: str) -> Counted:
        owners.append(Counted(await begin(transactional_id)))
        return owners[-1]

    monkeypatch.setattr(broker, "transactional", transactional)
    return owners


async def _no_job(_: Mapping[str, Any]) -> None:
    raise AssertionError("nothing here has a job")


def staged(name: str, turnover: float, **attributes: Any) -> Stage:
    """Return the stage of a pull of one row."""
    account = AccountSettings(name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"))
    export = ExportSettings.model_validate({"name": name, "account": "a", "dataset": "reports", "every": "1h"})
    stage, plan = Stage(), Plan(export, account, Shape("DAY", ZoneInfo("UTC")))
    ask = Ask(plan, WINDOW, None, {}, {}, FIRST + timedelta(days=9), "1", None, _no_job)
    sink = stage.sink(ask)
    sink.put(Found(WINDOW, {}, {"TURNOVER": turnover}, attributes))
    stage.answered(sink, Answer())
    return stage


def publication(name: str, stage: Stage) -> Publication:
    """Return what publishes the stage."""

    def settled(_: Change, rows: int) -> tuple[ExportState, AccountState]:
        return ExportState(account="a", source="profitmetrics", dataset="reports", query="", access="", rows=rows), (
            AccountState()
        )

    return Publication(name, Target(ROWS.name, 0), stage, EVERYTHING, None, "2026-11-20T00:00:00.000Z", settled)


async def turnovers(broker: Broker) -> dict[str, float]:
    """Return what the topic of the rows tells, by export; each has one row."""
    return {
        orjson.loads(record.key or b"")[0]: orjson.loads(record.value or b"")["metrics"]["TURNOVER"]
        async for record in broker.read(ROWS.name)
    }


async def test_what_waits_for_the_partition_goes_in_one_transaction(
    broker: Broker, counted: list[Counted], tmp_path: Path
) -> None:
    names = [f"e{number}" for number in range(MANY)]
    async with taken_over(broker, 0, tmp_path) as ledger:
        changes = await asyncio.gather(*(ledger.publish(publication(name, staged(name, 1.5))) for name in names))
        assert counted[-1].begun == 2  # the first did not wait for any other
        assert [change and change.new for change in changes] == [1] * MANY
        assert ledger.exports.keys() == set(names)
        again = await asyncio.gather(*(ledger.publish(publication(name, staged(name, 1.5))) for name in names))
        assert [change and (change.messages, change.unchanged) for change in again] == [(0, 1)] * MANY
    assert await turnovers(broker) == dict.fromkeys(names, 1.5)
    async with taken_over(broker, 0, tmp_path) as heir:
        assert {name: state.rows for name, state in heir.exports.items()} == dict.fromkeys(names, 1)


@pytest.mark.parametrize("most", [TRANSACTION_BYTES, 3_000])
async def test_one_that_the_log_does_not_take_spoils_no_other(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("scheduler.cache.TRANSACTION_BYTES", most)
    names = [f"e{number}" for number in range(MANY)]
    stages = {name: staged(name, 1.5) for name in names} | {"e7": staged("e7", 1.5, blob="x" * 5_000)}
    async with taken_over(broker, 0, tmp_path) as ledger:
        published = (ledger.publish(publication(name, stage)) for name, stage in stages.items())
        outcomes = dict(zip(names, await asyncio.gather(*published, return_exceptions=True), strict=True))
        assert isinstance(outcomes.pop("e7"), ExportRefused)
        assert not [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        assert ledger.exports.keys() == outcomes.keys()
        again = await ledger.publish(publication("e7", staged("e7", 1.5)))
        assert again is not None
        assert again.new == 1
    assert await turnovers(broker) == dict.fromkeys(names, 1.5)


def _full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


async def test_a_full_disk_is_waited_for_and_nothing_is_published(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taken_over(broker, 0, tmp_path) as ledger:
        with monkeypatch.context() as full:
            full.setattr(Cache, "apply", _full)
            with pytest.raises(Retryable, match="disk is full"):
                await ledger.publish(publication("e0", staged("e0", 1.5)))
        assert await turnovers(broker) == {}
        await ledger.publish(publication("e0", staged("e0", 1.5)))
    assert await turnovers(broker) == {"e0": 1.5}


async def test_what_the_log_has_and_the_cache_lacks_is_read_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taken_over(broker, 0, tmp_path) as ledger:
        with monkeypatch.context() as full:
            full.setattr(Cache, "commit", _full)
            with pytest.raises(Unavailable, match="disk is full"):
                await ledger.publish(publication("e0", staged("e0", 1.5)))
        with pytest.raises(Unavailable, match="not certain"):
            await ledger.publish(publication("e0", staged("e0", 1.5)))
    async with taken_over(broker, 0, tmp_path) as heir:
        again = await heir.publish(publication("e0", staged("e0", 1.5)))
    assert again is not None
    assert (again.new, again.unchanged) == (0, 1)


async def test_of_many_records_of_one_shard_the_next_owner_knows_the_last(broker: Broker, tmp_path: Path) -> None:
    [row] = staged("e0", 2.5).rows()

    def shard(print_: str, revision: int) -> bytes:
        return msgspec.json.encode(Shard(end="2026-11-02T00:00:00Z", rows={row.dimensions: (print_, revision)}))

    count = 2 * CHUNK_BYTES // len(shard("", 1))
    records: list[Message] = [(shard_key(f"e{number}", BUCKET, 0, 1), shard("other", 1), ()) for number in range(count)]
    records += [
        (shard_key("e0", BUCKET, 0, 1), shard(fingerprint(row.content), 4), ()),
        (shard_key("e1", BUCKET, 0, 1), None, ()),
    ]
    publisher = await broker.publisher()
    await publisher.publish(LEDGER, 0, records)
    await publisher.close()
    async with taken_over(broker, 0, tmp_path) as ledger:
        changes = [await ledger.publish(publication(name, staged(name, 2.5))) for name in ("e0", "e1", "e2")]
    assert [(change.unchanged, change.new, change.restated) for change in changes if change] == [
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
    ]
