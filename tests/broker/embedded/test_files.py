"""The data directory and its files: whose they may be, where they may lie, what they look like on the disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

import broker.embedded.directory
from broker.embedded.database import create_files
from broker.embedded.directory import DataDirectory, LogFile, file_system
from broker.embedded.schema import FORMAT
from broker.interface import Unavailable
from runtime.metrics import Metrics
from schemas.topics import commands_spec, events_spec
from tests.broker.log_contents import numbered, values
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.embedded.opening import Opener


async def test_only_its_owner_can_read_the_log(opener: Opener, directory: DataDirectory) -> None:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 1)])
    await (await log.publisher()).publish("ecommerce.events.demo", 0, numbered(0, 1))
    await Member().start(log, "group", "ecommerce.events.demo")
    everything = [directory.root, *directory.root.rglob("*")]
    assert len(everything) > 6
    assert {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in everything} == {
        path.name: 0 for path in everything
    }


async def test_many_may_create_it_at_once(opener: Opener) -> None:
    brokers = await asyncio.gather(*(opener.open() for _ in range(8)))
    specs = [events_spec("demo", 2)]
    assert await asyncio.gather(*(each.ensure_topics(specs) for each in brokers)) == [[]] * 8


def test_files_can_shrink_and_survive_a_crash(directory: DataDirectory) -> None:
    create_files(directory)
    for file in LogFile:
        connection = sqlite3.connect(directory.database(file))
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "auto_vacuum", "user_version")
        }
        connection.close()
        incremental = 2
        assert pragmas == {"journal_mode": "wal", "auto_vacuum": incremental, "user_version": FORMAT}


@pytest.mark.parametrize("file", list(LogFile))
@pytest.mark.parametrize(("version", "words"), [(FORMAT + 1, "a later"), (FORMAT - 1, "an earlier")])
async def test_another_format_is_refused(
    opener: Opener, directory: DataDirectory, file: LogFile, version: int, words: str
) -> None:
    await asyncio.to_thread(create_files, directory)
    connection = sqlite3.connect(directory.database(file), isolation_level=None)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(
        Unavailable, match=rf"{file.name.lower()}\.db was written by {words} version of Sluice \(format {version};"
    ):
        await opener.open()


async def test_another_programs_file_is_left_alone(opener: Opener, directory: DataDirectory) -> None:
    await asyncio.to_thread(directory.create)
    path = directory.database(LogFile.EVENTS)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(Unavailable, match=r"is not a log of Sluice's"):
        await opener.open()
    assert path.read_bytes() == before


async def test_what_is_no_database_is_refused(opener: Opener, directory: DataDirectory) -> None:
    await asyncio.to_thread(directory.create)
    directory.database(LogFile.EXPORTS).write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(Unavailable, match=r"exports\.db: the file is damaged"):
        await opener.open()


async def test_a_path_that_cannot_be_a_directory_is_named(opener: Opener) -> None:
    opener.root.write_text("in the way")
    with pytest.raises(Unavailable, match=r"the data directory .*/log cannot be made"):
        await opener.open()


def test_network_file_systems_are_refused(
    directory: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(broker.embedded.directory, "_MOUNTS", mounts)
    place = os.path.realpath(tmp_path)
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/share {place} nfs4 rw 0 0\n/dev/sdb {place}-other ext4 rw 0 0\n"
    )
    with pytest.raises(Unavailable, match=r"network file system \(nfs4\): set broker\.path to a local disk"):
        directory.create()
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/share {place} nfs4 rw 0 0\n/dev/sdb {place} xfs rw 0 0\n")
    directory.create()
    assert file_system(directory.root) == "xfs"
    (tmp_path / "a b").mkdir()
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nx {place}/a\\040b cifs rw 0 0\n")
    assert file_system(tmp_path / "a b") == "cifs"
    mounts.unlink()
    assert file_system(tmp_path) is None


async def test_topics_of_both_files_in_one_group(opener: Opener) -> None:
    log = await opener.open()
    topics = ["ecommerce.events.demo", "commands"]
    await log.ensure_topics([events_spec("demo", 2), commands_spec(1)])
    publisher = await log.publisher()
    for topic in topics:
        await publisher.publish(topic, 0, numbered(0, 5))
    member = Member()
    member.on_revoked = member.commit_read
    await member.start(log, "group", *topics)
    await member.until_owned(3)
    await member.until_read(10)
    await member.stop()
    standing = await log.committed("group", topics)
    assert {name.topic: commit.offset for name, commit in standing.items() if commit} == dict.fromkeys(topics, 5)
    assert await values(log, "commands") == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_disk_it_takes_is_measured(opener: Opener, directory: DataDirectory) -> None:
    metrics = Metrics()
    log = await opener.open(metrics=metrics)
    await log.ensure_topics([events_spec("demo", 1)])
    await (await log.publisher()).publish("ecommerce.events.demo", 0, numbered(0, 10))

    def measured() -> float:
        return metrics.registry.get_sample_value("sluice_broker_disk_bytes") or 0

    await eventually(lambda: measured() > 0, "the gauge is set")
    assert 8192 < measured() <= await asyncio.to_thread(directory.bytes_used)
    # The writer tells its callers first.
    await eventually(
        lambda: metrics.registry.get_sample_value("sluice_broker_append_seconds_count") == 1, "the append observed once"
    )
