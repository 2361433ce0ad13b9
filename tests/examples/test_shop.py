from __future__ import annotations

import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from examples import money, shop
from examples.figures import Figures, Line, tally
from schemas import judge
from schemas.events import EVENT_TYPES

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.ndjson"


@pytest.fixture(scope="module")
def day() -> list[Line]:
    return shop.lines(1)


def decoded(line: Line) -> Any:
    return orjson.loads(line.text)


def test_a_day_has_ten_thousand_events_of_all_types(day: list[Line]) -> None:
    good = Counter(line.event_type for line in day if line.fault is None)

    assert len(day) >= 10_000
    assert set(good) == set(EVENT_TYPES)
    assert min(good.values()) >= 20


def test_the_same_day_is_the_same_bytes_and_another_day_or_seed_is_not(day: list[Line]) -> None:
    assert shop.lines(1) == day
    assert shop.lines(2) != day
    assert shop.lines(1, seed="another") != day


def test_every_line_is_good_or_bad_for_the_reason_it_tells(day: list[Line]) -> None:
    wrong = [(line, said) for line in day if (said := judge.fault(decoded(line))) != line.fault]

    assert wrong == []


def test_about_one_event_in_a_hundred_is_bad_in_each_known_way(day: list[Line]) -> None:
    figures = tally(day)

    assert 0.005 < figures.refused.total() / figures.sent < 0.02
    assert len(figures.refused) == 14


def test_the_figures_are_what_the_bytes_say(day: list[Line]) -> None:
    """The same sums once more, from the text of the lines alone."""
    firsts: dict[tuple[str, str], Decimal] = {}
    for line in day:
        event = orjson.loads(line.text)
        if judge.fault(event) is None and "transaction_id" in event:
            revenue = Decimal(line.text.split(b'"revenue":', 1)[1].split(b",", 1)[0].rstrip(b"}").decode())
            firsts.setdefault((event["event_type"], event["transaction_id"]), revenue)
    orders = [revenue for (kind, _), revenue in firsts.items() if kind == "purchase"]
    refunds = [revenue for (kind, _), revenue in firsts.items() if kind == "refund"]
    figures = tally(day)

    assert (figures.orders, figures.revenue_cents) == (len(orders), money.cents(sum(orders, Decimal())))
    assert (figures.refunds, figures.refund_cents) == (len(refunds), money.cents(sum(refunds, Decimal())))
    assert figures.repeated > 0


def test_a_refund_follows_its_order_and_is_no_larger(day: list[Line]) -> None:
    ordered: dict[str, tuple[int, str]] = {}
    refunds = 0
    for line in day:
        if line.transaction_id is None:
            continue
        event = decoded(line)
        key = event.get("user_id") or event["cart_id"]
        if line.event_type == "purchase":
            ordered[line.transaction_id] = (line.cents, key)
        else:
            refunds += 1
            cents, buyer = ordered[line.transaction_id]
            assert 0 < line.cents <= cents
            assert key == buyer
    assert refunds > 0


def test_days_share_no_user_cart_or_transaction(day: list[Line]) -> None:
    def names(lines: list[Line]) -> set[str]:
        fields = ("user_id", "cart_id", "transaction_id")
        return {
            str(decoded(line)[name]) for line in lines if line.fault is None for name in fields if name in decoded(line)
        }

    assert names(day).isdisjoint(names(shop.lines(2)))
    assert all(line.transaction_id.startswith(shop.day_mark(1)) for line in day if line.transaction_id is not None)


def test_figures_of_days_add_up(day: list[Line]) -> None:
    other = shop.lines(2)
    both = Figures()
    both.add(tally(day))
    both.add(tally(other))

    assert both == tally([*day, *other])
    assert Figures.from_json(orjson.loads(orjson.dumps(both.as_json()))) == both


def test_the_committed_sample_is_what_the_generator_gives() -> None:
    generated = subprocess.run([sys.executable, "-m", "examples", "--sample"], check=True, capture_output=True).stdout

    assert generated == SAMPLE.read_bytes()
    assert tally(shop.sample()).refused.total() == 2


def test_the_command_tells_what_a_day_must_come_to() -> None:
    command = [sys.executable, "-m", "examples", "--day", "1", "--figures"]
    written = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603  # our own command

    assert orjson.loads(written) == tally(shop.lines(1)).as_json()


@pytest.mark.parametrize(
    ("cents", "text"), [(4999, "49.99"), (5, "0.05"), (-5, "-0.05"), (0, "0.00"), (123456700, "1234567.00")]
)
def test_money_is_exact_text(cents: int, text: str) -> None:
    assert money.text(cents) == text
    assert orjson.dumps(money.number(cents)) == text.encode()
    assert money.cents(Decimal(text)) == cents


def test_a_fraction_of_a_cent_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"1\.001 is no whole number of cents"):
        money.cents(Decimal("1.001"))
