"""What the demo came to: what went in beside what came out, and whether the two agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table

from cli import pulled, sums
from cli.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from cli.outcome import Outcome
    from cli.pulled import Overview, Pulled
    from consumers.audit import Balance
    from examples.figures import Figures


@dataclass(slots=True)
class Verdict:
    """The figures of one demo. Everything but `day` and `outcome` is of all that this data directory ever saw.

    `day`: what its file must come to; `outcome`: what the gateway answered; `files`: what all files sent came to; `other`:
    what else the log holds; `elsewhere`: what the ingestion API had beforehand that never was in this log; `dead`: what stands
    in the dead letters; `api`: what the ingestion API computes, None when it could not be asked, for the reason in `api_fault`;
    `exports`: what came of those at the sandbox; `overview`: what one of them says of it all, None when there is none.
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
    exports: Sequence[Pulled] = ()
    overview: Overview | None = None

    @property
    def expected(self) -> Sums:
        """What the ingestion API must have computed."""
        return self.files.plus(self.other).plus(self.elsewhere).plus(self.dead, -1)

    @property
    def balanced(self) -> bool:
        """Whether all of it agrees."""
        return not any(self.differences())

    def differences(self) -> Iterator[str]:
        """Yield each thing that does not agree, as a sentence."""
        yield from self._answers()
        balance = self.balance
        if balance.waiting:
            yield f"waiting for delivery: {balance.waiting:,}"
        if balance.unaccounted:
            yield f"unaccounted for: {balance.unaccounted:,}"
        if self.api is None:
            yield f"the ingestion API did not tell its figures ({self.api_fault})"
            return
        expected = self.expected
        api = self.api.rows()
        for name, figure in expected.rows().items():
            # What is in other currencies the ingestion API converts, at rates that are its own.
            compared = expected.foreign == 0 or not name.endswith(sums.BASE_CURRENCY)
            if compared and figure != api[name]:
                yield f"{name}: {api[name]} at the ingestion API, {figure} went in"
        yield from self._exported(api)

    def _exported(self, api: Mapping[str, str]) -> Iterator[str]:
        for export in self.exports:
            if export.fault:
                yield f"{export.name} was not pulled: {export.fault}"
        if self.overview is None:
            return
        if self.overview.sums is None:
            yield f"{self.overview.name} has no row"
            return
        for name, figure in self.overview.sums.rows().items():
            if figure != api[name]:
                yield f"{name}: {figure} in {self.overview.name}, {api[name]} at the ingestion API"

    def _agreement(self) -> str:
        if self.overview is None:
            return "the revenue agrees to the cent"
        return f"the revenue agrees to the cent, in {self.overview.name} too"

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
        """Show it."""
        console.print(_counts(self, title))
        console.print()
        console.print(_money(self))
        console.print()
        if self.exports:
            console.print(pulled.table(self.exports))
            console.print()
        if self.balanced:
            console.print(f"balanced: every event is accounted for, and {self._agreement()}", style="green")
        for difference in self.differences():
            console.print(f"does not balance: {difference}", style="bold red")


def _counts(verdict: Verdict, title: str) -> Table:
    outcome, balance = verdict.outcome, verdict.balance
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(title, f"{outcome.taken:,}", "events sent")
    table.add_row("", f"{outcome.accepted:,}", "accepted by the gateway")
    table.add_row("", f"{outcome.refused_total:,}", "refused by the gateway")
    for reason, refused in sorted(outcome.refused.items(), key=lambda entry: (-entry[1].count, entry[0])):
        table.add_row("", "", f"{refused.count:>5,}  {reason}", style="dim")
    table.add_row("all days", f"{balance.accepted:,}", "accepted")
    table.add_row("", f"{balance.delivered:,}", "delivered to the ingestion API")
    table.add_row("", f"{balance.dead_lettered:,}", "dead-lettered")
    table.add_row("", f"{balance.waiting:,}", "waiting")
    table.add_row("", f"{balance.unaccounted:,}", "unaccounted")
    return table


def _money(verdict: Verdict) -> Table:
    columns = {"in the files": verdict.files}
    more = {"other traffic": verdict.other, "elsewhere": verdict.elsewhere, "dead-lettered": verdict.dead}
    columns |= {name: column for name, column in more.items() if column != Sums()}
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("all days", no_wrap=True)
    said = {"ingestion API": verdict.api}
    if verdict.overview is not None:
        said[verdict.overview.name] = verdict.overview.sums
    for name in (*columns, *said):
        table.add_column(name, justify="right", no_wrap=True)
    for name in verdict.files.rows():
        figures = [column.rows()[name] for column in columns.values()]
        table.add_row(name, *figures, *("unknown" if each is None else each.rows()[name] for each in said.values()))
    return table
