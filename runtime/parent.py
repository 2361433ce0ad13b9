"""How a supervised process learns that its supervisor is gone, also when that was killed without a word.

The supervisor holds the write end of a pipe open and never writes; the child holds the read end, whose number stands in
`SLUICE_PARENT_FD`. However the supervisor ends, the kernel closes the write end, and the child reads the end of the
pipe.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PARENT_FD: Final = "SLUICE_PARENT_FD"


class Leash:
    """The supervisor's side: one pipe for any number of children.

    Life: made → children started → `close`, or the process's end. A child is started with `pass_fds=leash.pass_fds` and
    `environment()` added to its environment.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()  # neither is inherited unless passed on

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """What `subprocess` must let a child inherit."""
        return (self._read,)

    def environment(self) -> dict[str, str]:
        """Return what a child's environment must hold."""
        return {PARENT_FD: str(self._read)}

    def close(self) -> None:
        """Let go: every child that is still there stops. Idempotent."""
        for descriptor in (self._write, self._read):
            if descriptor >= 0:
                os.close(descriptor)
        self._read = self._write = -1


@contextmanager
def watching(environ: Mapping[str, str], gone: Callable[[], None]) -> Iterator[None]:
    """While the block runs, call `gone` once on the running event loop when the supervisor named in `environ` ends.

    Without `SLUICE_PARENT_FD` nothing is watched. Raises OperatorError when it names no open pipe.
    """
    value = environ.get(PARENT_FD)
    if not value:
        yield
        return
    try:
        descriptor = int(value)
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # grandchildren are not supervised by it
    except (ValueError, OSError) as error:
        raise OperatorError(
            f'{PARENT_FD}: "{value}" is no open file descriptor; a supervisor sets it, unset it'
        ) from error
    loop = asyncio.get_running_loop()

    def readable() -> None:
        loop.remove_reader(descriptor)
        gone()

    loop.add_reader(descriptor, readable)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
