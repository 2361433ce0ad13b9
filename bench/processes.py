"""Processes of a benchmark: started, waited for, measured, ended."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30
STOP_SECONDS = 30


class Measured:
    """A running process: its processor time and its memory."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = psutil.Process(process.pid)
        self.pid = process.pid

    def cpu_seconds(self) -> float:
        """Return user and system time so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def peak_mb(self) -> float:
        """Return the most memory that was resident at once, in MB (the kernel's high-water mark)."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return self._process.memory_info().rss / 1e6


@contextmanager
def running(command: list[str], log: Path, *, ready: str | int) -> Iterator[Measured]:
    """Run a command until the block ends; `ready`: a URL that must answer 200, or a port that must take connections."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
    try:
        _wait(process, ready, log)
        yield Measured(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this project."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def carried_out(command: list[str]) -> bytes:
    """Run a command to its end, and return what it printed."""
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[-2000:]}")
    return done.stdout


def answer(command: list[str]) -> dict[str, float]:
    """Run a command that prints one line of JSON."""
    found: dict[str, float] = orjson.loads(carried_out(command))
    return found


def _wait(process: subprocess.Popen[bytes], ready: str | int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _is_ready(ready):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")


def _is_ready(ready: str | int) -> bool:
    try:
        if isinstance(ready, int):
            socket.create_connection(("127.0.0.1", ready), timeout=1).close()
            return True
        with urllib.request.urlopen(ready, timeout=1) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except OSError:
        return False
