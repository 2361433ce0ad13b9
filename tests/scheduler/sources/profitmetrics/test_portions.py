"""Reports that do not come in time together are asked for in smaller portions before any of them has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scheduler.errors import TimedOut
from scheduler.exchange import Exchange
from scheduler.sources.interface import Answer
from scheduler.sources.profitmetrics.portions import HOPELESS, MOST
from tests.scheduler.sources.profitmetrics.world import ask, export

if TYPE_CHECKING:
    from collections.abc import Callable

    from scheduler.exchange import Request
    from tests.scheduler.sources.profitmetrics.world import Pulled, World


class Slow:
    """A vendor that brings nothing in time for which `too_slow` holds, told the exports that a request asks for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.too_slow: Callable[[list[str]], bool] = lambda _: False
        self.asked: list[int] = []
        send = Exchange.send

        async def sent(exchange: Exchange, request: Request, credentials: Any) -> Any:
            reports = [] if request.body is None else [each["id"] for each in request.body["reports"]]
            if reports:
                self.asked.append(len(reports))
            if self.too_slow(reports):
                raise TimedOut("the vendor did not begin to answer within 120 s")
            return await send(exchange, request, credentials)

        monkeypatch.setattr(Exchange, "send", sent)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


async def pull(profit: World, *numbers: int) -> dict[int, Pulled]:
    """Ask for an export of each number."""
    asks = [ask(export(["TURNOVER"], name=f"daily-{number}"), number=number) for number in numbers]
    return dict(zip(numbers, await profit.pull(*asks), strict=True))


def good(pulled: dict[int, Pulled]) -> list[int]:
    return [number for number, each in pulled.items() if isinstance(each.outcome, Answer) and len(each.rows.found) == 3]


async def test_too_many_are_asked_for_in_smaller_portions_and_none_has_failed(profit: World, slow: Slow) -> None:
    slow.too_slow = lambda reports: len(reports) > 6
    pulled = await pull(profit, *range(20))
    assert good(pulled) == [*range(20)]
    assert slow.asked == [20, 10, 5, 6, 7, 3, 4, 2]
    slow.asked.clear()
    assert len(good(await pull(profit, *range(6)))) == 6
    assert slow.asked[0] < MOST, "what came in time once is remembered"


async def test_one_that_is_too_slow_fails_alone(profit: World, slow: Slow) -> None:
    slow.too_slow = lambda reports: "pull-3" in reports
    pulled = await pull(profit, *range(8))
    assert good(pulled) == [0, 1, 2, 4, 5, 6, 7]
    assert str(pulled[3].error) == "the vendor did not begin to answer within 120 s"
    assert isinstance(pulled[3].error, TimedOut)
    slow.asked.clear()
    assert good(await pull(profit, *range(8))) == [0, 1, 2, 4, 5, 6, 7]
    assert slow.asked[-1] == 1, "it makes no others late again"
    assert sum(slow.asked) == 8


async def test_where_nothing_comes_not_everything_is_asked_for_and_the_next_time_others_come_first(
    profit: World, slow: Slow
) -> None:
    slow.too_slow = bool  # the live catalogue comes
    pulled = await pull(profit, *range(20))
    assert good(pulled) == []
    assert all(isinstance(each.error, TimedOut) for each in pulled.values())
    assert slow.asked == [20, 10, 5, 2, *[1] * HOPELESS]
    slow.asked.clear()
    slow.too_slow = lambda reports: not {"pull-0", "pull-1"}.isdisjoint(reports)
    assert good(await pull(profit, *range(20))) == [*range(2, 20)]
    slow.too_slow = lambda _: False
    assert len(good(await pull(profit, *range(20)))) == 20


async def test_portions_grow_again(profit: World, slow: Slow) -> None:
    slow.too_slow = lambda reports: len(reports) > 1
    await pull(profit, *range(4))
    slow.too_slow = lambda _: False
    slow.asked.clear()
    assert len(good(await pull(profit, *range(45)))) == 45
    assert slow.asked[-3:] != [1, 1, 1]
    assert max(slow.asked) > 5
