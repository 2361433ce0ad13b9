"""What became of the events that were sent."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.ndjson import Line

LINES_SHOWN = 5


@dataclass(slots=True)
class Refused:
    """How many events were refused for one reason, and the numbers of the first few lines."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """Counted while it happens, so it is true at any moment.

    `taken` are all lines that were read; what is neither accepted nor refused has no answer (yet).
    """

    taken: int = 0
    accepted: int = 0
    answered_bytes: int = 0
    refused: dict[str, Refused] = field(default_factory=dict)

    @property
    def refused_total(self) -> int:
        """How many were refused, here or by the gateway."""
        return sum(refused.count for refused in self.refused.values())

    @property
    def unanswered(self) -> int:
        """How many have no answer: nobody knows whether the gateway has them."""
        return self.taken - self.accepted - self.refused_total

    def answer(self, batch: Sequence[Line], errors: dict[int, str]) -> None:
        """Count the gateway's answer to a batch: `errors` holds the reason by index of each event that it refused."""
        for index, line in enumerate(batch):
            reason = errors.get(index)
            if reason is not None:
                self.refuse(line.number, reason)
            self.answered_bytes += len(line.text) + 1
        self.accepted += len(batch) - len(errors)

    def refuse(self, number: int, reason: str) -> None:
        """Count one refused line."""
        refused = self.refused.setdefault(reason, Refused())
        refused.count += 1
        bisect.insort(refused.lines, number)
        del refused.lines[LINES_SHOWN:]
