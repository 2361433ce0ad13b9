"""Answers read piece by piece."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest

from scheduler.sources.profitmetrics.stream import Malformed, values

WANTED = frozenset(("success", "data.item"))
OPENED = frozenset(("data", "data.item"))


def read(
    text: str | bytes, wanted: frozenset[str] = WANTED, opened: frozenset[str] = frozenset()
) -> list[tuple[str, Any]]:
    return list(values(io.BytesIO(text if isinstance(text, bytes) else text.encode()), wanted, opened))


def test_values_come_in_the_order_of_the_document() -> None:
    text = '{"data": [1, {"a": [1, {"b": null}]}, "x", [], {}], "other": [1], "success": true}'
    items: list[Any] = [1, {"a": [1, {"b": None}]}, "x", [], {}]
    assert read(text) == [*(("data.item", item) for item in items), ("success", True)]


def test_what_begins_is_told() -> None:
    assert read('{"data": [{}, []]}', frozenset(), OPENED) == [
        ("data", "start_array"), ("data.item", "start_map"), ("data.item", "start_array"),
    ]  # fmt: skip
    assert read('{"data": {}}', frozenset(), OPENED) == [("data", "start_map")]
    assert read('{"data": null}', frozenset(), OPENED) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-7", -7),
        ("9007199254740993", 9007199254740993),
        ("9223372036854775807", 9223372036854775807),
        ("0.1", 0.1),
        ("48320.50", 48320.5),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("0.30000000000000004", 0.30000000000000004),
        ("5e-324", 5e-324),
        ("2.2250738585072011e-308", 2.2250738585072011e-308),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("9007199254740993.0", 9007199254740992.0),
    ],
)
def test_numbers_stay_what_they_are(text: str, number: float) -> None:
    ((_, found),) = read(f'{{"data": [{text}]}}')
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"data": [1, 2',
        '{"data": [1, 2]',
        '{"data": [1]} {"data": [2]}',
        '{"data": [1]} garbage',
        '{"data": [01]}',
        '{"data": [NaN]}',
        '{"data": [1e999]}',
        "<html></html>",
        b'{"data": ["\xff\xfe"]}',
        b'{"data": ["a\x00b"]}',
    ],
)
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(Malformed, match="not as documented"):
        read(text)


def test_memory_does_not_grow_with_the_answer() -> None:
    bucket = (
        b'{"timestamp": "2026-06-16", "metrics": {'
        + b", ".join(b'"Metric %d": %d.25' % (n, n) for n in range(150))
        + b"}}"
    )
    count = 600
    file = io.BytesIO(b'{"success": true, "data": [' + b",".join([bucket] * count) + b"]}")
    tracemalloc.start()
    try:
        assert sum(1 for path, _ in values(file, WANTED) if path == "data.item") == count
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_500_000 < len(file.getbuffer())
