"""A disk that is soon full: a real file system of a few megabytes, which only those see who are let in."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOUNT = 'mount -t tmpfs -o size="$2" tmpfs "$1" && echo mounted && exec cat'
_BLOCK = 512


class SmallDisk:
    """Mounted at `place` in a namespace of its own for as long as its holder lives: who is in it may die and come again."""

    def __init__(self, holder: int, place: Path) -> None:
        self.within: Sequence[str] = ("nsenter", "-t", str(holder), "-U", "-m", "--preserve-credentials")
        self.place = Path(f"/proc/{holder}/root{place}")
        """Where it is seen from outside."""

    def fill(self, leave: int = 0) -> None:
        """Let a file of somebody else's have all but `leave` bytes."""
        found = os.statvfs(self.place)
        size = found.f_bavail * found.f_frsize - leave
        if size > 0:
            with (self.place / "somebody-elses").open("ab") as file:
                os.posix_fallocate(file.fileno(), file.tell(), size)

    def empty(self) -> None:
        """Delete that file."""
        (self.place / "somebody-elses").unlink(missing_ok=True)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[SmallDisk | None]:
    """Yield a file system of `size` bytes at `place`, which must exist; None where this user may not mount any."""
    holder = subprocess.Popen(  # noqa: S603  # our own
        ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", str(place), str(size)],  # noqa: S607  # wherever the system has it
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        yield SmallDisk(holder.pid, place) if holder.stdout.readline() else None
    finally:
        # It ends as its standard input does, also when this process is killed.
        holder.stdin.close()
        holder.stdout.close()
        holder.wait()


def limited(size: int) -> Sequence[str]:
    """Return the command that runs a program whose files cannot grow beyond `size` bytes until it lifts that limit: what is left where
    nothing can be mounted.
    """
    return ("sh", "-c", f'ulimit -S -f {size // _BLOCK}; exec "$@"', "sh")
