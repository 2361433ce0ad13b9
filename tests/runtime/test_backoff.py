from __future__ import annotations

import pytest

from runtime.backoff import Backoff
from tests.chance import seeded


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    backoff = Backoff(seeded(1), base=0.1, cap=30)
    longest = [backoff.longest(failures) for failures in (1, 2, 3, 9, 10, 10_000)]
    assert longest == pytest.approx([0.1, 0.2, 0.4, 25.6, 30, 30])


def test_the_jitter_is_full() -> None:
    backoff = Backoff(seeded(1), base=0.1, cap=30)
    delays = [backoff.delay(9) for _ in range(1000)]
    assert min(delays) < 0.5
    assert max(delays) > 25
    assert all(0 <= delay <= 25.6 for delay in delays)


def test_a_seed_makes_it_repeatable() -> None:
    first, second = (Backoff(seeded(7), base=0.1, cap=30) for _ in range(2))
    assert [first.delay(n) for n in range(1, 20)] == [second.delay(n) for n in range(1, 20)]
