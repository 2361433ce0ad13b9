from __future__ import annotations

from scheduler.backoffs import Backoffs
from tests.chance import seeded


def test_retries_wait_anything_up_to_a_bound_that_doubles_up_to_ten_minutes() -> None:
    backoffs = Backoffs(seeded(1))
    longest = [max(backoffs.retry(failures) for _ in range(500)) for failures in (1, 2, 7, 8, 1000)]
    for found, bound in zip(longest, [5, 10, 320, 600, 600], strict=True):
        assert bound * 0.95 < found <= bound
    assert min(backoffs.retry(8) for _ in range(500)) < 20


def test_probes_grow_to_an_hour_and_never_come_early() -> None:
    backoffs = Backoffs(seeded(1))
    for probes, bound in [(1, 60), (2, 120), (6, 1920), (7, 3600), (1000, 3600)]:
        waits = [backoffs.probe(probes) for _ in range(200)]
        assert bound / 2 <= min(waits) < bound * 0.55
        assert bound * 0.95 < max(waits) <= bound


def test_a_seed_makes_it_repeatable() -> None:
    first, second = Backoffs(seeded(3)), Backoffs(seeded(3))
    assert [first.retry(n) + first.probe(n) for n in range(1, 9)] == [
        second.retry(n) + second.probe(n) for n in range(1, 9)
    ]
