"""A role of Sluice as a real process, to be started, frozen and killed."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import psutil
from prometheus_client.parser import text_string_to_metric_families

from runtime.parent import Leash

if TYPE_CHECKING:
    from collections.abc import Sequence

SLUICE = Path(sys.executable).with_name("sluice")
READY_SECONDS = 60.0
END_SECONDS = 40.0


class EndedByItselfError(AssertionError):
    """A role ended although nobody asked it to."""


class Role:
    """One process and its successors. Life: `start` → `wait_ready` → `kill` or `terminate` → `start` …

    Every method that waits blocks its thread: in a coroutine call it with `asyncio.to_thread`. The process writes to
    `log`. However this process ends, the role ends too.
    """

    def __init__(self, name: str, arguments: Sequence[str], admin_port: int, log: Path) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self.within: Sequence[str] = ()
        """A command that runs it somewhere else than here: it ends in what it is given to run."""
        self._arguments = arguments
        self._admin_port = admin_port
        self._process: subprocess.Popen[bytes] | None = None
        self._leash = Leash()
        self._asked_to_end = False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The present process, or the last one."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; does not wait until it serves."""
        assert not self.running, f"{self.name} runs already"
        environ = {
            **os.environ,
            **self._leash.environment(),
            "SLUICE_ADMIN__PORT": str(self._admin_port),
            "SLUICE_LOG_FORMAT": "json",
        }
        self._asked_to_end = False
        self.starts += 1
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*self.within, SLUICE, *self._arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=self._leash.pass_fds,
                start_new_session=True,  # Ctrl-C at the terminal is for the tests
            )

    def unready(self) -> dict[str, str]:
        """Return why it is not ready, nothing when it is. Raises EndedByItselfError."""
        self.require_alive()
        try:
            answer = orjson.loads(self._admin("/readyz"))
        except (OSError, http.client.HTTPException) as error:
            return {"process": f"does not answer: {error!r}"}
        return {} if answer["ready"] else dict(answer["reasons"])

    def gauge(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        families = text_string_to_metric_families(self._admin("/metrics").decode())
        return sum(sample.value for family in families if family.name == name for sample in family.samples)

    def _admin(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=5)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until /readyz says so."""
        deadline = time.monotonic() + seconds
        while reasons := self.unready():
            assert time.monotonic() < deadline, (
                f"{self.name} not ready within {seconds:g} s: {reasons}; log: {self.log}"
            )
            time.sleep(0.05)

    def require_alive(self) -> None:
        """Raise EndedByItselfError when it ended unasked."""
        if not self._asked_to_end and not self.running:
            raise EndedByItselfError(
                f"{self.name} ended by itself with {self.process.returncode}; its log {self.log} ends:\n{self.tail()}"
            )

    def kill(self) -> None:
        """SIGKILL, with all that it started, and wait until they are gone. Fine when it is gone already."""
        self._asked_to_end = True
        if self._process is None:
            return
        family = self.family()
        for member in family:
            member.kill()
        self._process.wait(END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while any(map(_lives, family)):
            assert time.monotonic() < deadline, f"{self.name} has children that survive SIGKILL"
            time.sleep(0.01)

    def kill_alone(self) -> None:
        """SIGKILL to itself only: what it started is orphaned."""
        self._asked_to_end = True
        self.process.kill()
        self.process.wait(END_SECONDS)

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started, in the order of their start."""
        if not self.running:
            return []
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself. One that ends it counts as asking."""
        self._asked_to_end = self._asked_to_end or number in (signal.SIGTERM, signal.SIGINT)
        self.process.send_signal(number)

    def wait_end(self, seconds: float = END_SECONDS) -> int:
        """Wait until it has ended, and return its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds:g} s; log: {self.log}") from None

    def terminate(self) -> int:
        """SIGTERM; wait until it has drained, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end()

    def close(self) -> None:
        """End it for good, whatever it is doing."""
        self.kill()
        self._leash.close()

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "(nothing)"


def _lives(process: psutil.Process) -> bool:
    """Say whether a process still runs. An orphan that is dead but that nobody has buried yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
