"""A core for what is measured, kept free of everything else that a benchmark runs."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PASSES = 2
"""Over a process's threads: one that was made during the first came of one that was not moved yet."""


@contextmanager
def one_core(others: Iterable[int]) -> Iterator[list[str]]:
    """Take a core away from this process, from what it starts, and from `others` (process ids), until the block ends.

    Yields what is put before a command to hold it to that core: nothing where there is no taskset, or no second core.
    """
    cores = os.sched_getaffinity(0)
    taskset = shutil.which("taskset")
    if taskset is None or len(cores) == 1:
        yield []
        return
    core = min(cores)
    moved = [os.getpid(), *others]
    _move(moved, cores - {core})
    try:
        yield [taskset, "--cpu-list", str(core)]
    finally:
        _move(moved, cores)


def _move(processes: Iterable[int], cores: set[int]) -> None:
    for _ in range(PASSES):
        for process in processes:
            for thread in Path(f"/proc/{process}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)
