"""A role's log: a file that is bounded, and the warnings in it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 32 * 1024 * 1024
MOST_SHOWN = 300
"""How many characters of a fact are shown; the file has all of it."""
ALARMING = frozenset({"warning", "error", "critical"})
_NOT_FACTS = frozenset({"timestamp", "level", "event", "role", "exception"})


class Alarm(NamedTuple):
    """A line of a log that somebody should see."""

    text: str
    error: bool


class RoleLog:
    """The file `<folder>/<role>.log`, to which the role itself writes; here it is opened, followed and cut.

    At 32 MiB it is moved to `<role>.log.1` (which is overwritten) and begins anew.
    """

    def __init__(self, folder: Path, role: str) -> None:
        self.path = folder / f"{role}.log"
        self.last_line = ""
        self._read = self.path.stat().st_size if self.path.exists() else 0
        self._rest = b""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Give a descriptor for the role to append to, for as long as the block runs."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def news(self) -> list[Alarm]:
        """Return the warnings and errors since the last call. Cuts the file when it has grown too long."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [alarm for line in lines if (alarm := self._alarm(line)) is not None]
        if self._read > MAX_BYTES:
            self._cut()
        return found

    def _alarm(self, line: bytes) -> Alarm | None:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict):
            # What Python itself prints when it fails; the last line says what it was.
            self.last_line = line.decode(errors="replace").strip() or self.last_line
            return None
        level = entry.get("level")
        if level not in ALARMING:
            return None
        self.last_line = _text(entry)
        return Alarm(self.last_line, error=level != "warning")

    def _cut(self) -> None:
        # The role has the file open for appending, so it has to be emptied in place. A line that is written between the
        # copy and the cut is lost.
        shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
        os.truncate(self.path, 0)
        self._read = 0


def _text(entry: dict[str, Any]) -> str:
    """Return what to show of a log line: the event and its facts. A vendor's answer is for the file."""
    facts = [f"{name}={_shown(value)}" for name, value in entry.items() if name not in _NOT_FACTS]
    return " ".join([str(entry.get("event", "")), *facts])


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
