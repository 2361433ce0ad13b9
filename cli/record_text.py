"""A record as a line: for people, and for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from cli.printable import printable
from schemas import cloudevents

if TYPE_CHECKING:
    from broker.interface import Record

_PREFIX = "ecommerce."
_KEY_WIDTH = 20
_KIND_WIDTH = 16


def as_json(record: Record) -> bytes:
    """Return one JSON object: topic, partition, offset, timestamp, key, headers, value.

    A value that is JSON stands there as it is, digit for digit; any other as text; a tombstone as null.
    """
    return orjson.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": _time(record),
            "key": None if record.key is None else _text(record.key),
            "headers": {name: _text(value) for name, value in record.headers},
            "value": _value(record.value),
        }
    )


def as_text(record: Record, width: int | None) -> bytes:
    """Return time, partition:offset, key, event type or reason, value; cut to `width` columns unless that is None."""
    headers = dict(record.headers)
    kind = headers.get("reason") or headers.get(cloudevents.TYPE) or b""
    place = f"{record.partition}:{record.offset}"
    key = "-" if record.key is None else _printable(record.key)
    value = "(tombstone)" if record.value is None else _printable(record.value)
    columns = (
        _time(record),
        f"{place:>8}",
        f"{_cut(key, _KEY_WIDTH):{_KEY_WIDTH}}",
        f"{_printable(kind).removeprefix(_PREFIX):{_KIND_WIDTH}}",
        value,
    )
    line = "  ".join(columns)
    return (line if width is None else _cut(line, width)).encode()


def _time(record: Record) -> str:
    return (
        datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _printable(data: bytes) -> str:
    return printable(_text(data))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _value(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _text(value)
    # Line feeds between the tokens would break the line in which this stands.
    return parsed if b"\n" in value or b"\r" in value else orjson.Fragment(value)
