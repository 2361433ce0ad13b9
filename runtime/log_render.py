"""A log line's text: one JSON object, or the readable form for a terminal. No secret is ever written out."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from structlog.typing import EventDict, WrappedLogger

_HIDDEN = "**********"
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class _Timestamp:
    """The present time as RFC 3339 in UTC with milliseconds; the part up to the second is formatted once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def __call__(self) -> str:
        now = time.time_ns() // 1_000_000
        second, millisecond = divmod(now, 1000)
        if second != self._second:
            # Two threads may both do this; the prefix goes first, so that neither sees a new second with an old prefix.
            self._prefix = prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second = second
        else:
            prefix = self._prefix
        return f"{prefix}{millisecond:03d}Z"


def plain(value: object) -> object:
    """Return what to write for a value without a JSON form: secrets hidden, bytes as text, the rest as its str."""
    if isinstance(value, SecretStr | SecretBytes):
        return _HIDDEN
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # whatever is wrong with it, the line goes out
        return f"<{type(value).__name__}>"


def exception_text(exc_info: object) -> str | None:
    """Return the traceback that structlog's `exc_info` stands for, without local variables; None without one."""
    error = _error_of(exc_info)
    return None if error is None else "".join(traceback.format_exception(error)).rstrip()


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


def _tolerant(line: dict[str, Any]) -> bytes:
    """Render what orjson refuses (lone surrogates, integers over 64 bits): a line must not fail what it tells of."""
    try:
        text = json.dumps(line, default=plain, skipkeys=True, ensure_ascii=False)
    except (ValueError, RecursionError):  # it holds itself, or is too deep
        text = json.dumps({name: str(type(value)) for name, value in line.items()})
    return text.encode("utf-8", "replace") + b"\n"


class JsonLine:
    """Renders a line as JSON: the last and only processor."""

    def __init__(self) -> None:
        self._timestamp = _Timestamp()

    def __call__(self, _logger: WrappedLogger, method: str, fields: EventDict) -> bytes:
        """Return the line, its end included. Never raises: a value that has no JSON form is written as text."""
        if "exc_info" in fields:
            fields["exception"] = exception_text(fields.pop("exc_info"))
        return self.line(method, fields.pop("event", None), fields, {})

    def line(self, level: str, event: object, context: Mapping[str, object], fields: Mapping[str, object]) -> bytes:
        """Return a line of what is bound and what is given."""
        line: dict[str, Any] = {"timestamp": self._timestamp(), "level": level, "event": event, **context, **fields}
        try:
            return orjson.dumps(line, plain, _OPTIONS)
        except TypeError:
            return _tolerant(line)

    def lines(
        self, level: str, event: object, shared: Mapping[str, object], each: Sequence[Mapping[str, object]]
    ) -> bytes:
        """Return a line for each of `each`, none empty and all simple, of what they share and what they have of their own."""
        start = self.line(level, event, shared, {})[:-2] + b","
        return b"".join([start + orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)[1:] for fields in each])


class ConsoleLine:
    """Renders a line for a terminal; a traceback only when asked for."""

    def __init__(self, *, colors: bool, tracebacks: bool) -> None:
        self._timestamp = _Timestamp()
        self._tracebacks = tracebacks
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        )

    def __call__(self, logger: WrappedLogger, method: str, fields: EventDict) -> bytes:
        """Return the line, its end included."""
        error = fields.pop("exc_info", None)
        shown = {
            name: _HIDDEN if isinstance(value, SecretStr | SecretBytes) else value for name, value in fields.items()
        }
        shown |= {"timestamp": self._timestamp(), "level": method}
        if self._tracebacks and error:
            shown["exception"] = exception_text(error)
        return (self._render(logger, method, shown) + "\n").encode("utf-8", "backslashreplace")
