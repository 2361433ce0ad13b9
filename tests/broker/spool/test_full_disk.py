"""A spool on a disk that is really full: nothing is claimed, nothing lost, and it recovers by itself as soon as it can drain."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.broker.spool import filling
from tests.chaos.length import SHORT
from tests.chaos.small_disk import limited, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[3]
DISK_BYTES = 48 << 20
FILE_BYTES = 24 << 20


@contextmanager
def full_file_system(path: Path) -> Iterator[Sequence[str]]:
    with small_disk(path, DISK_BYTES) as disk:
        if disk is None:
            pytest.skip("no file system may be mounted here: files that may not grow are tested all the same")
        yield disk.within


@contextmanager
def full_files(path: Path) -> Iterator[Sequence[str]]:
    with small_disk(path, DISK_BYTES) as disk:
        if disk is not None and SHORT:
            pytest.skip("a whole file system is full in the test beside this one: make chaos")
    yield limited(FILE_BYTES)


@pytest.mark.parametrize("full", [full_file_system, full_files])
async def test_what_was_accepted_is_drained_and_more_accepted(
    tmp_path: Path, full: Callable[[Path], AbstractContextManager[Sequence[str]]]
) -> None:
    with full(tmp_path) as within:
        process = await asyncio.create_subprocess_exec(
            *within,
            sys.executable,
            "-m",
            filling.__name__,
            str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        said, _ = await process.communicate()
    assert process.returncode == 0
    found = json.loads(said)
    assert found["before"] > 50
    assert found["meanwhile"] <= 2, "a full disk takes nothing, or the odd small thing"
    assert found["fault"] is not None
    assert found["after"] == 1
    accepted = found["accepted"][:-1]
    # What was in doubt may be there as well.
    assert [number for number in found["drained"] if number in accepted] == accepted
