"""On which line of a TOML file each key stands: what `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final, TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"
"""Where a value is: `("storefronts", 0, "ingestion", "url")`."""

_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''',
    re.DOTALL,
)
_BARE: Final = re.compile(r"[^,\]}#\n]*")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every table, key and list item in `text`, which `tomllib` must have accepted."""
    return _Scanner(text).scan()


class _Scanner:
    """Reads a text once from front to back. That it is valid TOML spares every check."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [index for index, character in enumerate(text) if character == "\n"]
        self._lines: dict[Path, int] = {}
        self._last: dict[Path, int] = {}  # of each array of tables: the index of the table that stands last

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_GAP) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        """Read `[table]` or `[[table]]` and return where its keys go."""
        array = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if array else 1
        names = self._key()
        self._at += 2 if array else 1
        path: Path = ()
        for name in names[:-1]:
            path = self._entered((*path, name))
        path = (*path, names[-1])
        if array:
            self._last[path] = self._last.get(path, -1) + 1
            self._note(path, start)
        path = self._entered(path)
        self._note(path, start)
        return path

    def _entered(self, path: Path) -> Path:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: Path) -> None:
        """Read `a.b = value`."""
        start = self._at
        path = table
        for name in self._key():
            path = (*path, name)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        """Read a dotted key and what is blank around it."""
        names = []
        while True:
            self._skip(_BLANK)
            names.append(_unquoted(self._take(_KEY)))
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in "\"'":
            self._take(_STRING)
        else:
            self._take(_BARE)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while not self._closes("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Skip to the next item and say that there is none."""
        self._skip(_GAP)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_GAP)
        if not self._text.startswith(bracket, self._at):
            return False
        self._at += 1
        return True

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, f"tomllib takes what this does not know at {self._at}"  # noqa: S101
        self._at = match.end()
        return match[0]

    def _skip(self, pattern: re.Pattern[str]) -> int:
        self._take(pattern)
        return self._at

    def _note(self, path: Path, at: int) -> None:
        self._lines.setdefault(path, bisect_right(self._breaks, at - 1) + 1)


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    value = tomllib.loads(f"key = {key}")["key"]
    assert isinstance(value, str)  # noqa: S101  # a quoted key is a string
    return value
