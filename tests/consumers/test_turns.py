from __future__ import annotations

import asyncio

from consumers.pace.turns import Turns


def turns(*, urgent: int = 0, waiting: int = 0) -> tuple[Turns, dict[asyncio.Future[bool], str]]:
    loop = asyncio.get_running_loop()
    found, names = Turns(), {}
    for kind, count in (("waiting", waiting), ("urgent", urgent)):
        for number in range(count):
            future: asyncio.Future[bool] = loop.create_future()
            names[future] = f"{kind} {number}"
            found.add(future, urgent=kind == "urgent")
    return found, names


async def test_the_urgent_go_before_whoever_came_earlier_and_both_before_what_is_new() -> None:
    waiting, names = turns(urgent=2, waiting=2)
    order = []
    while waiting:
        future = waiting.take(new=True, probe=False)
        assert future is not None
        order.append(names[future])
    assert order == ["urgent 0", "urgent 1", "waiting 0", "waiting 1"]
    assert waiting.take(new=True, probe=False) is None


async def test_as_probes_they_take_turns_with_what_is_new_and_the_urgent_begin() -> None:
    waiting, names = turns(urgent=3, waiting=3)
    waiting.rest_begins()
    order = []
    for _ in range(8):
        future = waiting.take(new=True, probe=True)
        if future is None:
            order.append("new")
            waiting.new_probe()
        else:
            order.append(names[future])
    assert order == ["urgent 0", "waiting 0", "new", "urgent 1", "waiting 1", "new", "urgent 2", "waiting 2"]
    waiting, names = turns(urgent=1, waiting=1)
    waiting.new_probe()
    assert waiting.take(new=False, probe=True) is not None
    waiting.rest_begins()
    assert [names[each] for each in [waiting.take(new=True, probe=True)] if each is not None] == ["waiting 0"]


async def test_who_is_given_up_waits_no_longer() -> None:
    waiting, names = turns(urgent=1, waiting=1)
    for future in names:
        waiting.discard(future)
        waiting.discard(future)
    assert not waiting
