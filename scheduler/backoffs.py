"""How long a failing export waits, and an account that gets nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.backoff import Backoff

if TYPE_CHECKING:
    from random import Random

RETRY_SECONDS: Final = 5.0
LONGEST_RETRY: Final = 600.0
PROBE_SECONDS: Final = 60.0
LONGEST_PROBE: Final = 3600.0
TAKEOVER_SECONDS: Final = 0.5
LONGEST_TAKEOVER: Final = 10.0


class Backoffs:
    """Waits in seconds. Whoever asks counts its failures in a row, and begins anew after a success."""

    def __init__(self, random: Random) -> None:
        self._retry = Backoff(random, base=RETRY_SECONDS, cap=LONGEST_RETRY)
        self._takeover = Backoff(random, base=TAKEOVER_SECONDS, cap=LONGEST_TAKEOVER)
        self._probe = Backoff(random, base=PROBE_SECONDS, cap=LONGEST_PROBE)

    def retry(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row: anything up to 5 s · 2ⁿ⁻¹, and up to 10 min."""
        return self._retry.delay(failures)

    def takeover(self, failures: int) -> float:
        """Return how long to wait before a partition of the ledger is taken over again: anything up to 0.5 s · 2ⁿ⁻¹, and up to 10 s."""
        return self._takeover.delay(failures)

    def probe(self, probes: int) -> float:
        """Return how long a parked account rests before it is probed for the `probes`th time.

        It grows to an hour. Only half of it is chance: a request that is sure to be refused must not come early.
        """
        return (self._probe.longest(probes) + self._probe.delay(probes)) / 2
