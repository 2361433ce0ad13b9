"""One node: a JVM on a leash."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kafka import jars
from tests.kafka.question import brokers_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kafka.properties import NodePlace

_FREEZE_SECONDS = 5.0


def _is_stopped(pid: int) -> bool:
    states = (file.read_text().rpartition(")")[2].split()[0] for file in Path(f"/proc/{pid}/task").glob("*/stat"))
    try:
        return all(state in "Tt" for state in states)
    except (FileNotFoundError, ProcessLookupError):  # a thread ended just then
        return False


class Node:
    """A broker and controller in one JVM. Life: `format` once → `launch` → `wait` → `stop` or `kill` → `launch`
    again, on the same data and ports. Its output is appended to `log`.
    """

    def __init__(self, place: NodePlace, heap_mb: int, log: Path) -> None:
        self.place = place
        self.log = log
        self._heap_mb = heap_mb
        self._leash: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def running(self) -> bool:
        """Whether the JVM has not ended (it may be paused)."""
        return self._leash is not None and self._leash.poll() is None

    @property
    def pid(self) -> int:
        """The JVM's own process id."""
        return self._pid

    def format(self, cluster_id: str, properties: str) -> None:
        """Prepare the data directory. Waits for a JVM to start and end, about a second. Raises RuntimeError with
        what it said.
        """
        self.place.directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(properties)
        done = subprocess.run(  # noqa: S603 - Java itself, no shell
            [
                *self._java("-Xshare:auto", "-XX:TieredStopAtLevel=1"),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                str(self._properties),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the data directory could not be formatted:\n{done.stdout[-4000:]}")

    def launch(self) -> None:
        """Start the JVM; does not wait until it answers."""
        if self.running:
            raise RuntimeError(f"node {self.place.node_id} runs already")
        command = [*self._java(f"-Xmx{self._heap_mb}m", f"-Xms{self._heap_mb}m"), "kafka.Kafka", str(self._properties)]
        with self.log.open("ab") as out:
            self._leash = subprocess.Popen(  # noqa: S603 - our own leash and Java
                [sys.executable, str(Path(__file__).with_name("leash.py")), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                # Ctrl-C at the terminal is for us: the node is then stopped in good order.
                start_new_session=True,
            )
        if self._leash.stdout is None:
            raise RuntimeError("no pipe from the leash")
        self._pid = int(self._leash.stdout.readline())

    def wait(self, brokers: int, deadline: float) -> None:
        """Wait until the node answers and knows `brokers` brokers, at most until time.monotonic() is `deadline`.
        Raises RuntimeError with the end of its log when it does not or when it died.
        """
        while time.monotonic() < deadline:
            if not self.running:
                break
            with contextlib.suppress(OSError):  # not yet: asked again until the deadline
                if brokers_known(self.place.port) >= brokers:
                    return
            time.sleep(0.05)
        state = "does not answer" if self.running else "died"
        raise RuntimeError(f"node {self.place.node_id} {state}; its log {self.log} ends:\n{self._tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the JVM itself. Raises RuntimeError when it does not run."""
        if not self.running:
            raise RuntimeError(f"node {self.place.node_id} does not run")
        os.kill(self._pid, number)

    def freeze(self) -> None:
        """SIGSTOP, and wait until it has reached every thread: one on another core may answer a moment longer."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + _FREEZE_SECONDS
        while not _is_stopped(self._pid):
            if time.monotonic() > deadline:
                raise RuntimeError(f"node {self.place.node_id} did not stop")
            time.sleep(0.001)

    def kill(self) -> None:
        """End it as a power cut would; waits until it is gone. Fine when it is gone already."""
        self._end(lambda: None, 0)

    def stop(self, timeout: float = 20) -> None:
        """End it in good order, after `timeout` s by force. Fine when it is gone already."""
        self._end(lambda: self.signal(signal.SIGTERM), timeout)

    def _end(self, ask: Callable[[], None], timeout: float) -> None:
        leash = self._leash
        if leash is None:
            return
        if leash.poll() is None:
            ask()
            with contextlib.suppress(subprocess.TimeoutExpired):  # asked in vain: the leash is let go, which kills
                leash.wait(timeout)
        for pipe in (leash.stdin, leash.stdout):
            if pipe is not None:
                pipe.close()
        leash.wait(10)
        self._leash = None

    @property
    def _properties(self) -> Path:
        return self.place.directory / "server.properties"

    def _java(self, *options: str) -> list[str]:
        settings = Path(__file__).with_name("log4j2.properties")
        return [
            jars.java(),
            "-XX:+UseSerialGC",
            *options,
            "-Djava.net.preferIPv4Stack=true",
            f"-Dlog4j2.configurationFile={settings}",
            "-cp",
            jars.class_path(),
        ]

    def _tail(self) -> str:
        if not self.log.exists():
            return "(nothing)"
        return self.log.read_text(errors="replace")[-3000:]
