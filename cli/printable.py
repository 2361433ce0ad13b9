"""Text that others wrote, vendors among them, on its way to a terminal."""

from __future__ import annotations

from typing import Any

import orjson

_LAST_OF_PLANE = 0xFFFF


def printable(text: str) -> str:
    """Return text that does nothing to a terminal but stand there: what would move or hide something is a dot."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "·" for each in text)


def printable_json(value: Any) -> str:
    """Return a value as JSON on one line, with the control characters escaped that JSON itself allows (C1, bidirectional)."""
    text = orjson.dumps(value).decode()
    return text if text.isprintable() else "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    if ord(character) <= _LAST_OF_PLANE:
        return f"\\u{ord(character):04x}"
    pair = character.encode("utf-16-be").hex()
    return f"\\u{pair[:4]}\\u{pair[4:]}"
