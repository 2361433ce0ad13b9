"""One event just over the limit, and one just under it that nothing compresses: the first is refused by name, the second delivered
byte for byte, and the partition that it stands in goes on.
"""

from __future__ import annotations

import base64
from random import Random
from typing import TYPE_CHECKING

from schemas.topics import REJECTED
from tests.e2e.storefront import Storefront, arrived, event

if TYPE_CHECKING:
    import aiohttp

    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

LIMIT = 524_288
REASON = f"event is larger than {LIMIT} bytes"


def _of_size(size: int, number: int) -> bytes:
    noise = base64.b64encode(Random(number).randbytes(size)).decode()  # noqa: S311 - noise that can be repeated
    frame = len(event(number, "ada"))
    text = event(number, "ada", noise[: size - frame])
    assert len(text) == size
    return text


async def test_a_large_event_is_refused_or_delivered_and_the_next_ones_go_on(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    storefront = Storefront(world, world.shop("large"), session)
    over, under = _of_size(LIMIT + 1, 1), _of_size(LIMIT, 2)
    sent = [event(0, "ada"), under, event(3, "ada"), event(4, "ada"), event(5, "ada")]

    assert await storefront.track(sent[0]) == (200, {"ok": True})
    refusal = await storefront.track(over)
    assert (refusal.status, refusal.body) == (413, {"error": REASON, "code": "TOO_LARGE"})
    assert await storefront.track(under) == (200, {"ok": True})
    assert await storefront.batch(sent[2], over, sent[3]) == (
        200,
        {"ok": True, "accepted": 2, "errors": [f"events[1]: {REASON}"]},
    )
    assert await storefront.track(sent[4]) == (200, {"ok": True})

    assert [each.raw for each in await arrived(upstream, storefront.shop, len(sent))] == sent
    async with world.broker() as broker:
        rejected = [each async for each in broker.read(REJECTED) if each.key == storefront.shop.name.encode()]
    assert [(each.value or None, dict(each.headers)["reason"]) for each in rejected] == [(None, REASON.encode())] * 2
