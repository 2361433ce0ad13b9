"""Request bodies in, events out: what is good, what is not and why, and the very bytes of each.

The way most bodies go is one typed decode of the whole and one that slices each event's bytes. When either finds a fault,
the events are judged one by one, slowly and in words: a faulty event costs its neighbours nothing but time.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson

from gateway.errors import Refusal
from runtime.metrics import UNKNOWN_EVENT_TYPE
from schemas.events import EVENT_TYPES, AnyEvent
from schemas.judge import fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVENTS_REQUIRED = "events array is required and must not be empty"

_OTHER, _DIGIT, _EXPONENT = b" ", b"0", b"e"
_NUMBER_SHAPE = bytes(
    (_DIGIT if byte in b"0123456789" else _EXPONENT if byte in b"eE+" else _OTHER)[0] for byte in range(256)
)
"""An exponent's sign counts as its letter: e+308 looks like ee000."""
_LONG_EXPONENT = _EXPONENT + _DIGIT * 3
_LONG_NUMBER = _DIGIT * 200
_MANY_BRACKETS = 1000
_C_STACK_IS_DEEP = sys.version_info >= (3, 12)
"""From here on msgspec's recursion is bounded by the C stack only, deeper than other parsers go."""


class Identified(msgspec.Struct, gc=False):
    """What an event is known by: a typed event has the same attributes."""

    event_type: str
    transaction_id: str | None = None
    user_id: str | None = None
    cart_id: str | None = None


class Good(NamedTuple):
    """The good events of a request, as columns of equal length: each one's place in it, its bytes as sent, its identity.

    Columns, because an object for every event would cost as much as reading it.
    """

    places: Sequence[int]
    values: Sequence[bytes]
    events: Sequence[AnyEvent | Identified]

    @property
    def types(self) -> list[str]:
        """The type of each."""
        return [event.event_type for event in self.events]


class Refused(NamedTuple):
    """A faulty event: its place in the request, its bytes as sent (None when it is too large to keep), its type if it has one, why."""

    place: int
    value: bytes | None
    event_type: str
    reason: str


class Events(NamedTuple):
    """A request's events, judged. `api_key` is what the body carried."""

    good: Good
    refused: Sequence[Refused]
    api_key: str | None


class _Typed(msgspec.Struct, gc=False):
    events: list[AnyEvent]


class _Sliced(msgspec.Struct, gc=False):
    events: list[msgspec.Raw] | None = None
    api_key: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="apiKey", default=msgspec.UNSET)


_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_sliced = msgspec.json.Decoder(_Sliced).decode
_decode_one: Callable[[bytes], AnyEvent] = msgspec.json.Decoder(AnyEvent).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_key = msgspec.json.Decoder(str).decode
_NONE = Good((), (), ())
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""msgspec's own, and the two that it lets through."""


def batch(body: bytes, *, max_events: int, max_event_bytes: int) -> Events:
    """Return the events of a `batch` body, each judged for itself.

    Raises Refusal: INVALID_JSON, INVALID_EVENT when there is no events array or an empty one, TOO_MANY_EVENTS.
    """
    require_utf8(body)
    try:
        sliced = _decode_sliced(body)
    except _UNREADABLE as error:
        _require_json(body)
        raise Refusal("INVALID_EVENT", EVENTS_REQUIRED) from error
    slices = sliced.events
    if not slices:
        raise Refusal("INVALID_EVENT", EVENTS_REQUIRED)
    if len(slices) > max_events:
        raise Refusal("TOO_MANY_EVENTS", f"Maximum {max_events} events per batch")
    api_key = _key(sliced.api_key)
    if len(body) <= max_event_bytes and not is_suspicious(body) and (typed := _typed(body)) is not None:
        return Events(Good(range(len(slices)), list(map(bytes, slices)), typed.events), (), api_key)
    places: list[int] = []
    values: list[bytes] = []
    events: list[AnyEvent | Identified] = []
    refused: list[Refused] = []
    for index, raw in enumerate(slices):
        value = bytes(raw)
        verdict = _judge(index, value, max_event_bytes)
        if isinstance(verdict, Refused):
            refused.append(verdict)
        else:
            places.append(index)
            values.append(value)
            events.append(verdict)
    return Events(Good(places, values, events), refused, api_key)


def track(body: bytes, *, max_event_bytes: int) -> Events:
    """Return the one event of a `track` body, without the key that it may carry.

    Raises Refusal: INVALID_JSON.
    """
    require_utf8(body)
    if len(body) <= max_event_bytes and (event := plain_event(body)) is not None:
        return Events(Good((0,), (body,), (event,)), (), None)
    try:
        fields = _decode_fields(body)
    except _UNREADABLE:
        _require_json(body)
        return Events(_NONE, (Refused(0, body, UNKNOWN_EVENT_TYPE, "event must be an object"),), None)
    api_key = _key(fields.pop("apiKey", msgspec.UNSET))
    if api_key is not None:
        body = b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"
    verdict = _judge(0, body, max_event_bytes)
    if isinstance(verdict, Refused):
        return Events(_NONE, (verdict,), api_key)
    return Events(Good((0,), (body,), (verdict,)), (), api_key)


def plain_event(body: bytes) -> AnyEvent | None:
    """Return the event of a `track` body (UTF-8) that is good and carries no key; None for one that wants a closer look."""
    if is_suspicious(body):
        return None
    try:
        event = _decode_one(body)
    except _UNREADABLE:
        return None
    return event if event.api_key is msgspec.UNSET else None


def require_utf8(body: bytes) -> None:
    """Raise Refusal unless the body is UTF-8: unknown fields are never decoded, and bad bytes would poison a whole forwarded batch."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refusal("INVALID_JSON", f"body is not valid UTF-8 at byte {error.start}") from error


def is_utf8(body: bytes) -> bool:
    """Return whether the body is UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_suspicious(body: bytes) -> bool:
    """Return whether the body may hold what a typed decode passes over in unknown fields and other parsers refuse: a number beyond
    a double (an exponent of three digits, 200 digits in a row), or very deep nesting. It errs towards yes.
    """
    shape = body.translate(_NUMBER_SHAPE)
    return (
        _LONG_EXPONENT in shape
        or (len(body) >= len(_LONG_NUMBER) and _LONG_NUMBER in shape)
        or (_C_STACK_IS_DEEP and body.count(b"[") + body.count(b"{") > _MANY_BRACKETS)
    )


def _typed(body: bytes) -> _Typed | None:
    """Return a batch of which every event is good, else None."""
    try:
        return _decode_typed(body)
    except _UNREADABLE:
        return None


def _judge(index: int, value: bytes, max_event_bytes: int) -> Identified | Refused:
    if len(value) > max_event_bytes:
        return Refused(index, None, UNKNOWN_EVENT_TYPE, f"event is larger than {max_event_bytes} bytes")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return Refused(index, value, UNKNOWN_EVENT_TYPE, f"event cannot be read: {error.msg}")
    reason = fault(event)
    if reason is None:
        # From what was judged, not from the bytes: where a name stands twice, only the last was judged.
        return msgspec.convert(event, Identified)
    kind = event.get("event_type") if isinstance(event, dict) else None
    return Refused(index, value, kind if isinstance(kind, str) and kind in EVENT_TYPES else UNKNOWN_EVENT_TYPE, reason)


def _key(raw: msgspec.Raw | msgspec.UnsetType) -> str | None:
    if raw is msgspec.UNSET:
        return None
    try:
        return _decode_key(raw)
    except _UNREADABLE:
        return ""


def _require_json(body: bytes) -> None:
    """Raise Refusal with what is wrong and where, unless the body is JSON after all."""
    if not body:
        raise Refusal("INVALID_JSON", "body is empty")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(
            "INVALID_JSON", f"body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from error
