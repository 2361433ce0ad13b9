"""One role of `sluice up`: its process, started again when it ends unasked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import OperatorError
from runtime.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cli.role_log import RoleLog
    from runtime.clock import Clock

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A process that lived so long starts again after the first pause, not the last."""
GRACE_SECONDS = 3.0
"""What a process gets to end beyond the time that it gives itself to drain."""


class RoleFailedError(OperatorError):
    """A role ended before it was ever ready: the others are not kept waiting for it."""


@dataclass(frozen=True, slots=True)
class RoleCommand:
    """How a role is started. `drain_seconds`: how long it takes at most to end in order."""

    role: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    pass_fds: Sequence[int]
    drain_seconds: float


class Child:
    """Life: made → `run` in a task → `drain`.

    `tell` is given every line that a user should see. `reasons` is why the role is not ready, as it said last; empty when
    it is. `admin_port` is where its admin server is, None while there is no process.
    """

    def __init__(self, command: RoleCommand, log: RoleLog, tell: Callable[[str], None], clock: Clock) -> None:
        self.role = command.role
        self.log = log
        self.admin_port: int | None = None
        self.reasons = {"process": "starting"}
        self._command = command
        self._tell = tell
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = False
        self._answers = self._hangs_up = False
        self._draining = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep the role running until `drain`. Raises RoleFailedError when it ends before it was ever ready."""
        pause = FIRST_PAUSE
        while not self._draining.is_set():
            began = self._clock.monotonic()
            self._process = await self._start()
            if self._draining.is_set():  # it was asked to end while it began
                self._process.terminate()
            code = await self._process.wait()
            self._process = self.admin_port = None
            self._answers = False
            if self._draining.is_set():
                return
            self.follow()
            if not self._was_ready:
                why = self.log.last_line or _how(code)
                raise RoleFailedError(f"{self._command.role} did not start: {why}; see {self.log.path}")
            if self._clock.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            self.reasons = {"process": f"{_how(code)}; it starts again"}
            self._tell(f"{_how(code)}; it starts again in {pause:g} s, see {self.log.path}")
            with contextlib.suppress(TimeoutError):  # the usual end of a pause
                await asyncio.wait_for(self._draining.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def heard(self, reasons: dict[str, str]) -> None:
        """Take down what the role says of its readiness: why it is not ready, nothing when it is."""
        self.reasons = reasons
        self._was_ready = self._was_ready or not reasons
        self._answers = self._process is not None
        if self._hangs_up:
            self.hang_up()

    def hang_up(self) -> None:
        """Let the role read its configuration anew: now, or as soon as it answers: SIGHUP would end one that is not so far. Does not
        wait.
        """
        self._hangs_up = not self._answers
        if self._answers and self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    def follow(self) -> None:
        """Tell the warnings and errors that the role has logged since the last call."""
        for alarm in self.log.news():
            # What keeps it from starting is told once, when it has ended.
            if self._was_ready or not alarm.error:
                self._tell(alarm.text)

    async def drain(self) -> None:
        """Ask the role to finish what it has and to end, and wait for that; it is killed when it takes too long."""
        asked, process = self._draining.is_set(), self._process
        self._draining.set()
        if process is None:
            return
        if not asked:
            # A second signal would end it at once.
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._command.drain_seconds + GRACE_SECONDS)
        except TimeoutError:
            self._tell("did not end in time and is killed; what it had not finished is done after the next start")
            process.kill()
            await process.wait()
        self.follow()

    def kill(self) -> None:
        """End the process at once. For signal handlers: it never waits."""
        self._draining.set()
        if self._process is not None:
            self._process.kill()

    async def _start(self) -> asyncio.subprocess.Process:
        command = self._command
        self.admin_port = free_port()
        environ = {**command.environ, "SLUICE_ADMIN__HOST": "127.0.0.1", "SLUICE_ADMIN__PORT": str(self.admin_port)}
        with self.log.opened() as descriptor:
            return await asyncio.create_subprocess_exec(
                *command.arguments,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                pass_fds=command.pass_fds,
                # Ctrl-C in a terminal goes to the whole process group; the order of draining is for us to give.
                start_new_session=True,
            )


def _how(code: int) -> str:
    """Return how a process ended, from its return code."""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
