"""What was sent to one storefront, and what was promised about it."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.chaos.configuration import Shop
    from tests.chaos.shopping import Event, Order

IN_DOUBT = 0
ACKNOWLEDGED = 1
REFUSED = 2


class Ledger:
    """Every event of `shop`, by its number: 0, 1, 2 … in the order in which they were made.

    A key's events are sent one after the other, or in one request in their order, and never before the answer to those
    before them. So among the acknowledged events of a key the numbers are the order of acceptance. What is kept of an
    event is small: a million of them fit.
    """

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.orders: dict[int, Order] = {}
        """Purchases and refunds by the number of the event; repeats of one order are equal."""
        self.answers: Counter[str] = Counter()
        """How often each kind of answer came."""
        self._states = bytearray()
        self._checksums = array("L")
        self._keys = array("l")
        self._key_ids: dict[str, int] = {}

    def next_number(self) -> int:
        """Return the number of the next event to be entered."""
        return len(self._states)

    def enter(self, events: Sequence[Event]) -> None:
        """Note events that are about to be sent, in the order of their numbers."""
        for event in events:
            assert event.number == self.next_number()
            self._states.append(IN_DOUBT)
            self._checksums.append(zlib.crc32(event.text))
            self._keys.append(-1 if event.key is None else self._key_ids.setdefault(event.key, len(self._key_ids)))
            if event.order is not None:
                self.orders[event.number] = event.order

    def answered(self, event: Event, *, accepted: bool) -> None:
        """Note the gateway's verdict on one event."""
        assert accepted == event.good, (
            f"event {event.number} was {'accepted' if accepted else 'refused'}: {event.text!r}"
        )
        self._states[event.number] = ACKNOWLEDGED if accepted else REFUSED

    @property
    def sent(self) -> int:
        """How many events were made."""
        return len(self._states)

    @property
    def acknowledged(self) -> int:
        """How many are promised."""
        return self._states.count(ACKNOWLEDGED)

    def numbers(self, state: int) -> Iterator[int]:
        """Yield the numbers of the events that are IN_DOUBT, ACKNOWLEDGED or REFUSED."""
        number = self._states.find(state)
        while number >= 0:
            yield number
            number = self._states.find(state, number + 1)

    def state(self, number: int) -> int | None:
        """Return what is known of an event; None when there is no such event."""
        return self._states[number] if 0 <= number < len(self._states) else None

    def key(self, number: int) -> int | None:
        """Return what stands for an event's key; None without one."""
        key = self._keys[number]
        return None if key < 0 else key

    def is_text(self, number: int, text: bytes) -> bool:
        """Say whether `text` is what was sent, byte for byte (as far as a checksum tells)."""
        return self._checksums[number] == zlib.crc32(text)
