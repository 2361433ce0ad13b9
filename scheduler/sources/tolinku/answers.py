"""Answers of the query endpoints, read from their bytes piece by piece: however long a list is, one element at a time is in memory.

Read in two passes. The first reads everything but the list and finds out whether the text is whole and has the
endpoint's shape; only then the second takes the elements. So a broken answer leaves no rows behind, and what the vendor
says after the list (its attribution model) is known to the list's rows.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Final, TypeGuard

import ijson

from scheduler.errors import Retryable
from scheduler.sources.in_thread import stoppable

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from schemas.exports import Number, Scalar

LARGEST_INT: Final = 2**63 - 1
"""What readers of JSON can be trusted with; a longer whole number becomes a float."""
_SAID: Final = 200


class Misshapen(Retryable):
    """An answer is not what its endpoint answers, or broke off. It may be another when it is asked for again."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the answer is not this endpoint's: {how}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything of an answer but its list: `fields` as the vendor wrote them, `count` of the list's elements (0 without a list)."""

    fields: Mapping[str, Any]
    count: int


def envelope(answer: IO[bytes], elements: str | None, stop: threading.Event) -> Envelope:
    """Read an answer through to its end; the list called `elements` (None: it has none) is only counted. Waits for the disk.

    Raises Misshapen when it is no JSON object, says of itself that it failed, or the list is missing or no list of objects;
    Stopped when `stop` is set.
    """
    with _misshapen_if_broken():
        return _envelope(stoppable(ijson.basic_parse(answer), stop), elements)


def elements(answer: IO[bytes], name: str, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
    """Yield the elements of the list called `name`, of an answer that `envelope` has read. Waits for the disk; raises as that does."""
    with _misshapen_if_broken():
        for element in stoppable(ijson.items(answer, f"{name}.item"), stop):
            yield plain(element)


def _envelope(events: Iterator[tuple[str, Any]], name: str | None) -> Envelope:
    if next(events)[0] != "start_map":
        raise Misshapen("it is no JSON object")
    fields: dict[str, Any] = {}
    count: int | None = None
    for event, value in events:
        if event == "end_map":
            break
        key = value
        if key == name:
            count = _count(events, key)
        else:
            fields[key] = plain(_value(events))
    for _ in events:
        pass  # to the end of the text: what follows the object would be a fault
    if fields.get("success") is False or fields.get("ok") is False:
        raise Misshapen(f"it says that it failed ({str(fields.get('error', 'no reason'))[:_SAID]})")
    if name is not None and count is None:
        raise Misshapen(f"it has no {name}")
    return Envelope(fields, count or 0)


def _count(events: Iterator[tuple[str, Any]], name: str) -> int:
    if next(events)[0] != "start_array":
        raise Misshapen(f"{name} is no list")
    depth = count = 0
    for event, _ in events:
        if depth == 0:
            if event == "end_array":
                return count
            if event != "start_map":
                raise Misshapen(f"{name} holds what is no object")
            count += 1
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
    raise Misshapen(f"{name} has no end")


def _value(events: Iterator[tuple[str, Any]]) -> Any:
    builder = ijson.ObjectBuilder()
    depth = 0
    for event, value in events:
        builder.event(event, value)
        depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
        if depth == 0:
            break
    return builder.value


@contextmanager
def _misshapen_if_broken() -> Iterator[None]:
    try:
        yield
    except ijson.JSONError as error:
        raise Misshapen("it is no JSON, or breaks off") from error
    except RecursionError as error:
        raise Misshapen("it is nested too deeply") from error


def plain(value: Any) -> Any:
    """Return a parsed value as rows may hold it: whole numbers whole, others as floats. Raises Misshapen beyond a float."""
    if isinstance(value, Decimal):
        return _float(value)
    if type(value) is int and abs(value) > LARGEST_INT:
        return _float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _float(value: Decimal | int) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise Misshapen("a number is beyond what a double holds")
    return number


def number(name: str, value: Any) -> Number:
    """Return a plain value that must be a number or null. Raises Misshapen."""
    if value is None or is_number(value):
        return value
    raise Misshapen(f"{name} is no number")


def is_number(value: Any) -> TypeGuard[int | float]:
    """Say whether a plain value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def scalar(name: str, value: Any) -> Scalar:
    """Return a plain value that must not be a list or an object. Raises Misshapen."""
    if value is None or isinstance(value, str | int | float):
        return value
    raise Misshapen(f"{name} is no text")
