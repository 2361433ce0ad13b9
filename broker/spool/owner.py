"""Whose a spool is: one gateway's, with all its workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from broker.interface import Unavailable
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path


class SpoolInUse(OperatorError):
    """Another gateway uses the spool."""


class Owner:
    """Held by a gateway for as long as any of its processes may use the spool: those that inherit `descriptor` hold it too. Life:
    construct → `release`, or the end of all of them.
    """

    def __init__(self, path: Path) -> None:
        """Take the spool in the directory `path`, made where it is missing. Blocks, not for long. Raises SpoolInUse, Unavailable."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.descriptor = os.open(path / "gateway.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"the spool {path} cannot be used: {error.strerror}; set gateway.spool_path") from error
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self.descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            self.release()
            raise SpoolInUse(
                f"the spool {path} is another gateway's (process {holder}, or workers that it left behind):"
                " end that one first, or set gateway.spool_path to a directory of this one's own"
            ) from None
        with contextlib.suppress(OSError):  # on a full disk: it is only for those who are refused
            os.pwrite(self.descriptor, b"%-20d" % os.getpid(), 0)

    def release(self) -> None:
        """Let go of it. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
