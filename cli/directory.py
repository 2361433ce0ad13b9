"""The data directory of `sluice up`: one at a time, and not before the processes of the last one have ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING, Self

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

OURS = "up.lock"
ROLES = "roles.lock"


class DataDirectory:
    """`path` with everything that `up` keeps in it, and the right to use it.

    Two locks: one that only `up` itself holds, and one that its roles inherit. The kernel drops a lock with the last
    process that holds it, however that ends. `tell` is given what a user should know meanwhile. Life: `async with`.
    """

    def __init__(self, path: Path, patience: float, tell: Callable[[str], None]) -> None:
        self.path = path
        self._patience = patience
        self._tell = tell
        self._descriptors: list[int] = []

    @property
    def logs(self) -> Path:
        """Where the roles' logs are."""
        return self.path / "logs"

    @property
    def demo(self) -> Path:
        """Where the demo keeps its days."""
        return self.path / "demo"

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """What a role must inherit: the lock that tells that it lives."""
        return tuple(self._descriptors[1:])

    async def __aenter__(self) -> Self:
        """Make the directory if need be and take the locks.

        Waits up to `patience` s for the roles of an `up` that was killed to finish. Raises OperatorError when another
        `up` is running on it, or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self._descriptors = [
                os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for name in (OURS, ROLES)
            ]
        except OSError as error:
            raise OperatorError(f"cannot use {self.path}: {error.strerror}; change broker.path") from None
        ours, roles = self._descriptors
        try:
            if not _locked(ours):
                raise OperatorError(f"another `sluice up` is running on {self.path}; stop it, or change broker.path")
            await self._lock_after_the_last(roles)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it back."""
        self._close()

    async def _lock_after_the_last(self, roles: int) -> None:
        if _locked(roles):
            return
        self._tell("the processes of the last run have not ended yet; waiting for them …")
        try:
            async with asyncio.timeout(self._patience):
                while not _locked(roles):  # noqa: ASYNC110  # the kernel sets no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise OperatorError(f"processes of an earlier `sluice up` still use {self.path}") from None

    def _close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
