"""Dead letters as a forwarder leaves them, in the log of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from consumers.letters.dead_letters import DeadLetter, Reason, message
from consumers.letters.letter import Place, Settled, settlement
from schemas.topics import DEAD_LETTERS, events_topic, partition_of
from tests.cli.events import publish
from tests.consumers.records import record

if TYPE_CHECKING:
    from broker.interface import Broker


async def bury(
    broker: Broker,
    name: str,
    offset: int,
    *,
    storefront: str = "shop",
    kind: str = "purchase",
    reason: Reason = Reason.REFUSED_BY_NAME,
    size: int = 0,
) -> Place:
    """Leave a dead letter; it is named like events of the forwarder's tests are, `<key><anything>`. Returns where it stands."""
    key = None if name[0] == "-" else name[0].encode()
    value = orjson.dumps({"name": name, "filler": "x" * size} if size else {"name": name})
    headers = (("ce_id", name.encode()), ("ce_type", f"ecommerce.{kind}".encode()))
    original = record(offset, key, value, topic=events_topic(storefront), headers=headers)
    count = await broker.partitions(DEAD_LETTERS)
    partition = offset % count if key is None else partition_of(key, count)
    ends = {each.partition: log.end for each, log in (await broker.log_ranges([DEAD_LETTERS])).items()}
    letter = DeadLetter(original, reason, f"no {name}", 1)
    await publish(broker, DEAD_LETTERS, partition, message(storefront, letter))
    return Place(partition, ends[partition])


async def settle(broker: Broker, place: Place, key: bytes | None, outcome: Settled) -> None:
    await publish(broker, DEAD_LETTERS, place.partition, settlement(key, place, outcome))


async def events(broker: Broker, storefront: str = "shop") -> dict[str, list[str]]:
    """The names of the events of a storefront, by key, in the order of the log."""
    found: dict[str, list[str]] = {}
    async for each in broker.read(events_topic(storefront)):
        found.setdefault((each.key or b"-").decode(), []).append(orjson.loads(each.value or b"")["name"])
    return found
