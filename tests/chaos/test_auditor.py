"""An auditor that finds nothing is worth nothing, and so is a stopwatch that stands still."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from tests.chaos.auditor import Auditor
from tests.chaos.delay import Delays, Window
from tests.chaos.world import Balance

if TYPE_CHECKING:
    from tests.chaos.world import World

GOOD = Balance("acme", accepted=10, delivered=6, dead_lettered=1, waiting=3, unaccounted=0)


class Saying:
    """A world in which `sluice audit` says what it is told to."""

    def __init__(self, *answers: tuple[int, list[Balance]]) -> None:
        self.shops = {"acme": None}
        self._answers = list(answers)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        assert arguments == ("audit", "--json")
        code, balances = self._answers.pop(0)
        lines = b"".join([msgspec.json.encode(each) + b"\n" for each in balances])
        return subprocess.CompletedProcess([], code, lines, b"" if lines else b"Kafka does not answer\n")


async def audited(*answers: tuple[int, list[Balance]]) -> Auditor:
    auditor = Auditor(cast("World", Saying(*answers)))
    for _ in answers:
        await auditor._sample()
    return auditor


async def test_what_balances_is_counted_and_a_broker_that_is_away_is_no_fault() -> None:
    later = msgspec.structs.replace(GOOD, accepted=12, delivered=8)
    auditor = await audited((0, [GOOD]), (1, []), (0, [later]), (0, [later]))
    assert (auditor.balanced, auditor.faults, dict(auditor.unanswered)) == (3, [], {"Kafka does not answer": 1})


@pytest.mark.parametrize(
    ("code", "changes", "fault"),
    [
        (1, {"unaccounted": 1}, "out of balance"),
        (0, {"waiting": 2}, "out of balance"),
        (0, {"accepted": 9, "delivered": 5}, "7 were settled before"),
        (1, {}, "exit code 1"),
    ],
)
async def test_what_does_not_balance_is_named(code: int, changes: dict[str, int], fault: str) -> None:
    auditor = await audited((0, [GOOD]), (code, [msgspec.structs.replace(GOOD, **changes)]))
    assert auditor.balanced == 1
    assert any(fault in each for each in auditor.faults)


def test_the_slowest_hundredth_of_a_window_counts() -> None:
    delays = Delays([(moment / 10, moment / 100) for moment in range(1000)])
    assert delays.p99(Window(0, 10)) == 0.99
    assert delays.p99(Window(50, 100)) == 9.95
    with pytest.raises(AssertionError, match="only 10 events"):
        delays.p99(Window(99, 200))
