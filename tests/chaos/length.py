"""How long chaos lasts."""

from __future__ import annotations

import os
import uuid

EVENTS = int(os.environ.get("CHAOS_EVENTS", "5000"))
"""In each test. The default is the short cut of `make test`."""
SHORTEST_SECONDS = 10.0
LONGEST_RATE = 1_000.0
SHORT = EVENTS < 50_000
TIMEOUT = 120.0 + EVENTS / 50


def rate() -> float:
    """Return how many events a second are sent: slow enough for the monkey to strike several times."""
    return min(EVENTS / SHORTEST_SECONDS, LONGEST_RATE)


def shop_names(*names: str) -> list[str]:
    """Return names of storefronts that no other test uses: a Kafka may be shared by all of them."""
    mark = uuid.uuid4().hex[:6]
    return [f"{name}-{mark}" for name in names]
