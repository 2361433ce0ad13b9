"""What the demo came to: what went in beside what came out, and whether the two agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.demo import tables
from cli.demo.sums import BASE_CURRENCY, Sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from cli.demo.pulls import Exports, Overview
    from cli.outcome import Outcome
    from consumers.audit import Balance
    from examples.figures import Figures


@dataclass(slots=True)
class Verdict:
    """The figures of one demo. Everything but `day` and `outcome` is of all that this data directory ever saw.

    `day`: what its file must come to; `outcome`: what the gateway answered; `files`: what all files sent came to; `other`:
    what else the log holds; `elsewhere`: what the ingestion API had beforehand that never was in this log; `dead`: what stands
    in the dead letters; `api`: what the ingestion API computes, None when it could not be asked, for the reason in `api_fault`;
    `exports`: what came of those at the sandbox, None when there are none.
    """

    day: Figures
    outcome: Outcome
    balance: Balance
    files: Sums
    other: Sums = field(default_factory=Sums)
    elsewhere: Sums = field(default_factory=Sums)
    dead: Sums = field(default_factory=Sums)
    api: Sums | None = None
    api_fault: str = ""
    exports: Exports | None = None

    @property
    def expected(self) -> Sums:
        """What the ingestion API must have computed."""
        return self.files.plus(self.other).plus(self.elsewhere).plus(self.dead, -1)

    @property
    def overview(self) -> Overview | None:
        """What an export says of all that was ever delivered; None when there is no such export, or it rests."""
        return None if self.exports is None else self.exports.overview

    @property
    def arrived(self) -> bool:
        """Whether what went in is what the ingestion API has."""
        return not any(self._not_arrived())

    @property
    def balanced(self) -> bool:
        """Whether all of it agrees, the exports too."""
        return not any(self.differences())

    def differences(self) -> Iterator[str]:
        """Yield each thing that does not agree, as a sentence."""
        yield from self._not_arrived()
        yield from self._not_pulled()

    def _not_arrived(self) -> Iterator[str]:
        yield from self._answers()
        balance = self.balance
        if balance.waiting:
            yield f"waiting for delivery: {balance.waiting:,}"
        if balance.unaccounted:
            yield f"unaccounted for: {balance.unaccounted:,}"
        if self.api is None:
            yield f"the ingestion API did not tell its figures ({self.api_fault})"
            return
        expected, api = self.expected, self.api.rows()
        for name, figure in expected.rows().items():
            # What is in other currencies the ingestion API converts, at rates that are its own.
            compared = expected.foreign == 0 or not name.endswith(BASE_CURRENCY)
            if compared and figure != api[name]:
                yield f"{name}: {api[name]} at the ingestion API, {figure} went in"

    def _not_pulled(self) -> Iterator[str]:
        for export in () if self.exports is None else self.exports.pulled:
            if export.fault:
                yield f"{export.name} was not pulled: {export.fault}"
        overview = self.overview
        if overview is None or self.api is None:
            return
        if overview.sums is None:
            yield f"{overview.name} has no row"
            return
        api = self.api.rows()
        for name, figure in overview.sums.rows().items():
            if figure != api[name]:
                yield f"{name}: {figure} in {overview.name}, {api[name]} at the ingestion API"

    def _answers(self) -> Iterator[str]:
        outcome, day = self.outcome, self.day
        if outcome.unanswered or outcome.taken != day.sent:
            yield f"the gateway answered {outcome.taken - outcome.unanswered:,} of {day.sent:,} events"
        if outcome.accepted != day.accepted:
            yield f"the gateway accepted {outcome.accepted:,} events, {day.accepted:,} are good"
        found = {reason: refused.count for reason, refused in outcome.refused.items()}
        for reason in found.keys() | day.refused.keys():
            if found.get(reason, 0) != day.refused[reason]:
                yield f'refused because "{reason}": {found.get(reason, 0):,}, and {day.refused[reason]:,} should be'

    def print(self, console: Console, title: str) -> None:
        """Show it; `title`: what the day is called."""
        shown = [tables.counts(self, title), tables.money(self)]
        if self.exports is not None:
            shown.append(tables.exports(self.exports.pulled))
        for table in shown:
            console.print(table)
            console.print()
        if self.balanced:
            too = "" if self.overview is None else f", in the export {self.overview.name} too"
            console.print(
                f"balanced: every event is accounted for, and the revenue agrees to the cent{too}",
                style="green",
                soft_wrap=True,
            )
        for difference in self.differences():
            console.print(f"does not balance: {difference}", style="bold red", soft_wrap=True)
