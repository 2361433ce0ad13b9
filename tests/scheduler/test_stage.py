"""What waits of a pull reads the same from memory and from disk, and a part of a bucket takes no whole one's place."""

from __future__ import annotations

import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from scheduler.errors import Retryable
from scheduler.plan import Plan, Shape, Window
from scheduler.sources.interface import Answer, Found
from scheduler.stage import EVERYTHING, MEMORY_BYTES, PIECE_BYTES, Piece, Stage
from schemas.exports import TOTAL_BUCKET, bucket_name
from tests.scheduler.test_cache import FIRST, an_ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.sources.interface import Ask
    from scheduler.stage import AskSink

DAY = timedelta(days=1)
IN_MEMORY, ON_DISK = "", "x" * MEMORY_BYTES


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def put(sink: AskSink, day: int, channel: str, filling: str = "") -> None:
    bucket = Window(FIRST + day * DAY, FIRST + (day + 1) * DAY)
    sink.put(Found(bucket, {"channel": channel}, {"TURNOVER": day}, {"filling": filling}))


def put_many(sink: AskSink, days: int) -> None:
    for day in range(days):
        put(sink, day, "a", ON_DISK)


def kept(stage: Stage, piece: Piece = EVERYTHING) -> list[tuple[str, str]]:
    return [(bucket[8:10], content["dimensions"]["channel"]) for bucket, _, _, content in stage.rows(piece)]


@pytest.mark.parametrize("filling", [IN_MEMORY, ON_DISK])
def test_rows_come_in_order_the_last_of_a_key_alone_wherever_they_lie(stage: Stage, filling: str) -> None:
    sink = stage.sink(an_ask())
    for day, channel in ((1, "b"), (0, "b"), (1, "a"), (1, "b")):
        put(sink, day, channel, filling)
    stage.answered(sink, Answer())
    assert stage.on_disk == bool(filling)
    assert kept(stage) == [("01", "b"), ("02", "a"), ("02", "b")]
    second = bucket_name(FIRST + DAY)
    assert kept(stage, Piece(second, None)) == [("02", "a"), ("02", "b")]
    assert kept(stage, Piece("", second)) == [("01", "b")]
    assert (second, '{"channel":"a","shop":"dk"}') in stage
    assert (second, '{"channel":"c","shop":"dk"}') not in stage


def test_the_digest_tells_which_rows_there_are_and_nothing_else(stage: Stage) -> None:
    other, less = Stage(), Stage()
    for each, days, filling in ((stage, 3, IN_MEMORY), (other, 3, ON_DISK), (less, 2, ON_DISK)):
        sink = each.sink(an_ask())
        for day in range(days):
            put(sink, day, "a", filling)
    assert stage.digest() == other.digest() != less.digest()
    other.close()
    less.close()


@pytest.mark.parametrize("filling", [IN_MEMORY, ON_DISK])
def test_what_begins_before_a_clamp_is_forgotten_where_it_was_pulled_whole(stage: Stage, filling: str) -> None:
    mine, another = stage.sink(an_ask()), stage.sink(replace(an_ask(), dimensions={"shop": "se"}))
    for day in range(4):
        put(mine, day, "a", filling)
        put(another, day, "b")
    whole = (bucket_name(FIRST + DAY), bucket_name(FIRST + 4 * DAY))
    # The clamp is within the third day; the first was never pulled whole.
    stage.forget(mine, FIRST + 2.5 * DAY, [whole])
    stage.answered(mine, Answer())
    stage.answered(another, Answer())
    assert [key for key in kept(stage) if key[1] == "a"] == [("01", "a"), ("04", "a")]
    assert len([key for key in kept(stage) if key[1] == "b"]) == 4


def test_a_total_says_what_it_really_spans_and_is_never_forgotten(stage: Stage) -> None:
    ask = _total()
    sink = stage.sink(ask)
    sink.put(Found(None, {}, {"TURNOVER": 1}))
    clamped = Window(FIRST + DAY, FIRST + 3 * DAY)
    stage.answered(sink, Answer(covered=clamped, flags=["clamped"]))
    stage.forget(sink, clamped.start, [("", "9999")])
    [(bucket, _, until, content)] = stage.rows()
    assert (bucket, until) == (TOTAL_BUCKET, "")
    assert content["bucket_start"] == clamped.start.isoformat()
    assert content["bucket_end"] == (FIRST + 3 * DAY).isoformat()
    assert content["flags"] == ["clamped"]
    assert (content["timezone"], content["currency"]) == (None, None)


def test_pieces_hold_whole_buckets_and_together_all_rows(stage: Stage) -> None:
    sink = stage.sink(an_ask())
    for day in range(5):
        for channel in "ab":
            put(sink, day, channel, "x" * (PIECE_BYTES // 5))
    stage.answered(sink, Answer())
    pieces = stage.pieces()
    assert [kept(stage, piece) for piece in pieces] == [
        [(f"{day + 1:02}", channel) for day in days for channel in "ab"] for days in ((0, 1), (2, 3), (4,))
    ]
    assert [piece.low for piece in pieces[1:]] == [piece.high for piece in pieces[:-1]]


def test_a_disk_that_takes_no_more_is_a_fault_that_may_pass(stage: Stage) -> None:
    sink = stage.sink(an_ask())
    put(sink, 0, "a", ON_DISK)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(Retryable, match="cannot be staged on disk"):
            put_many(sink, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_row_without_a_bucket_is_a_fault_where_there_are_buckets(stage: Stage) -> None:
    with pytest.raises(ValueError, match="no bucket"):
        stage.sink(an_ask()).put(Found(None, {}, {}))


def test_what_is_closed_is_gone() -> None:
    stage = Stage()
    put(stage.sink(an_ask()), 0, "a")
    stage.close()
    stage.close()
    assert list(stage.rows()) == []


def _total() -> Ask:
    ask = an_ask()
    shape = Shape("TOTAL", ask.plan.shape.zone)
    return replace(
        ask,
        plan=Plan(ask.plan.export, ask.plan.account, shape),
        window=Window(FIRST, datetime(FIRST.year, FIRST.month, 4, tzinfo=UTC)),
    )
