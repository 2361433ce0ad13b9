from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from scheduler.body import MEMORY_BYTES, Body

if TYPE_CHECKING:
    from pathlib import Path

PIECE = bytes(range(256)) * 256


async def staged(directory: Path, pieces: int) -> Body:
    body = Body(directory)
    for _ in range(pieces):
        await body.write(PIECE)
    await body.finish()
    return body


@pytest.mark.parametrize("pieces", [0, 1, MEMORY_BYTES // len(PIECE), MEMORY_BYTES // len(PIECE) + 1, 40])
async def test_what_was_written_is_read(tmp_path: Path, pieces: int) -> None:
    body = await staged(tmp_path, pieces)
    with body.open() as file:
        assert file.read() == PIECE * pieces
    assert body.size == len(PIECE) * pieces
    body.close()


async def test_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    body = await staged(tmp_path, 40)

    def read() -> bytes:
        with body.open() as file:
            return b"".join(iter(lambda: file.read(1000), b""))

    assert await asyncio.gather(*(asyncio.to_thread(read) for _ in range(4))) == [PIECE * 40] * 4
    body.close()


async def test_nothing_of_it_has_a_name(tmp_path: Path) -> None:
    body = await staged(tmp_path, 40)
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # a listing is all that is wanted
    body.close()


async def test_a_reader_goes_on_when_the_body_is_closed(tmp_path: Path) -> None:
    body = await staged(tmp_path, 40)
    with body.open() as file:
        body.close()
        body.close()
        assert len(file.read()) == 40 * len(PIECE)
    with pytest.raises(ValueError, match="closed"):
        body.open()


async def test_a_full_disk_is_told(tmp_path: Path) -> None:
    body = Body(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        await body.write(bytes(MEMORY_BYTES + 1))
    body.close()


async def test_cancelled_while_it_writes(tmp_path: Path) -> None:
    body = Body(tmp_path)
    writing = asyncio.create_task(body.write(bytes(8 * MEMORY_BYTES)))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with body.open() as file:
        assert len(file.read()) == 8 * MEMORY_BYTES, "the thread had ended when the cancellation came out"
    body.close()
