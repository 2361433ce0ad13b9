"""What is kept back on a disk, so that a spool that filled it can still be emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.spool.reserve import MIB, Found, Reserve

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 16 * MIB
NEEDED = 2 * MIB


class Disk:
    """So many bytes, of which a reserve in a directory takes its part."""

    def __init__(self, path: Path, size: int) -> None:
        self.left = size
        self._reserve = path / "reserve"

    def free(self, _: Path) -> int:
        return self.left - (self._reserve.stat().st_size if self._reserve.exists() else 0)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path, 100 * MIB)


@pytest.fixture
def reserve(tmp_path: Path, disk: Disk) -> Reserve:
    return Reserve(tmp_path, 1 << 30, disk.free)


def kept(path: Path) -> int:
    return (path / "reserve").stat().st_size


def test_it_is_made_where_there_is_room(reserve: Reserve, tmp_path: Path) -> None:
    assert reserve.look(0, 0).full is None
    assert kept(tmp_path) == SIZE
    assert reserve.look(0, 0) == Found((100 * MIB - SIZE - NEEDED) // 2, None), "an append is written twice"
    small = Reserve(tmp_path / "none", 16_000, lambda _: MIB)
    assert small.size == 1_000


def test_it_is_given_up_when_the_disk_stays_full_and_made_again(reserve: Reserve, disk: Disk, tmp_path: Path) -> None:
    assert reserve.look(0, 0).full is None
    disk.left = SIZE + NEEDED - 1
    assert f"{NEEDED - 1} bytes are free, {NEEDED} are needed" in (reserve.look(1, 0).full or "")
    assert reserve.look(12, 0).full is not None
    assert kept(tmp_path) == SIZE, "what was let in before may still wait for the disk"
    assert reserve.look(14, 0).full is not None
    assert kept(tmp_path) == 0
    assert reserve.look(15, 0).full is not None, "what was given up is not room for more"
    disk.left = SIZE + 2 * NEEDED - 1
    assert reserve.look(16, 0).full is not None
    disk.left += 1
    assert reserve.look(16, 0).full is None
    assert kept(tmp_path) == SIZE


def test_a_disk_that_is_full_for_a_moment_costs_nothing(reserve: Reserve, disk: Disk, tmp_path: Path) -> None:
    disk.left = SIZE
    assert reserve.look(0, 0).full is not None
    disk.left = 2 * SIZE
    assert reserve.look(5, 0).full is None
    disk.left = SIZE
    assert reserve.look(13, 0).full is not None
    assert kept(tmp_path) == SIZE


def test_what_a_checkpoint_needs_must_fit(reserve: Reserve, disk: Disk) -> None:
    assert reserve.look(0, 0).full is None
    disk.left = SIZE + NEEDED + MIB
    assert reserve.look(1, MIB) == Found(0, None)
    assert f"{NEEDED + MIB + 1} are needed" in (reserve.look(1, MIB + 1).full or "")


def test_processes_share_it(reserve: Reserve, disk: Disk, tmp_path: Path) -> None:
    other = Reserve(tmp_path, 1 << 30, disk.free)
    assert reserve.look(0, 0).full is None
    assert other.look(0, 0).full is None
    disk.left = SIZE
    for now in (1, 14):
        assert reserve.look(now, 0).full is not None
    assert other.look(15, 0).full is not None
    assert kept(tmp_path) == 0
