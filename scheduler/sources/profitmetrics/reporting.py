"""Asks for reports, many in a request, until each is answered to its end or has its own error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scheduler.buckets import shifted
from scheduler.errors import ExportRefused, PullError, TimedOut
from scheduler.sources.in_thread import in_thread
from scheduler.sources.interface import Answer
from scheduler.sources.profitmetrics.endpoints import OUTER_FLAG, REPORTS_PATH
from scheduler.sources.profitmetrics.portions import Portions
from scheduler.sources.profitmetrics.refusal import ReportFailed, RequestRefused, SitesRefused, is_whole_account, judge
from scheduler.sources.profitmetrics.reports import ReportRows, body, read
from scheduler.sources.profitmetrics.stream import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.buckets import WeekStart
    from scheduler.caller import Caller
    from scheduler.plan import Window
    from scheduler.sources.interface import Ask, Sink
    from scheduler.sources.profitmetrics.live import LiveCatalogue


@dataclass(slots=True)
class _Part:
    """One ask on its way. `ask` shrinks to what is still to be had, `goes_on` from then on; `outcome` is set at the end."""

    ask: Ask
    sink: Sink
    goes_on: bool = False
    outcome: Answer | PullError | None = None


class Reporting:
    """Asks `data/reports` for one account."""

    def __init__(self, caller: Caller, live: LiveCatalogue, week_starts: WeekStart) -> None:
        self._caller = caller
        self._live = live
        self._week_starts = week_starts
        self._portions = Portions()

    async def pull(self, asks: Sequence[Ask], sinks: Sequence[Sink]) -> list[Answer | PullError]:
        """Return what became of each ask; their outer flag is the same. Raises PullError when the live catalogue cannot be had."""
        parts = [_Part(ask, sink) for ask, sink in zip(asks, sinks, strict=True)]
        now = max(ask.now for ask in asks)
        for part in parts:
            part.outcome = await self._live.refusal(part.ask.query["metrics"], now)
        while going := [part for part in parts if part.outcome is None]:
            if not await self._together(self._portions.next(going, _export)):
                _give_up(parts, TimedOut)
            _give_up_with_the_account(parts)
        return [part.outcome for part in parts if part.outcome is not None]

    async def _together(self, parts: Sequence[_Part]) -> bool:
        """Ask for some parts in one request, and when that is refused for each alone: which one it was for, nobody knows. Those that do
        not come in time go on, to be asked for in smaller portions; alone they fail. Returns whether there is any use in asking for others.
        """
        try:
            await self._ask(parts)
        except TimedOut as error:
            if len(parts) == 1:
                parts[0].outcome = error
            return self._portions.did_not_come([_export(part) for part in parts])
        except (ExportRefused, ReportFailed) as error:
            if len(parts) == 1:
                parts[0].outcome = await self._explained(error, parts[0].ask)
                return True
            for part in parts:
                if part.outcome is None:
                    if not await self._together([part]):
                        return False
                    _give_up_with_the_account(parts)
        except PullError as error:
            for part in parts:
                part.outcome = error
        return True

    async def _ask(self, parts: Sequence[_Part]) -> None:
        """Ask once. A part is over, or goes on with what the answer seems to lack. Raises PullError for the request as a whole."""
        rows = {part.ask.id: ReportRows(part.ask, part.sink, self._week_starts) for part in parts}
        asks = [part.ask for part in parts]
        async with self._caller.ask("POST", REPORTS_PATH, judge=judge, body=body(asks)) as reply:
            try:
                await in_thread(lambda stop: read(reply, rows, stop))
            except ExportRefused as error:
                if any(each.end is not None for each in rows.values()):
                    # Their rows are staged: only a new pull is free of them.
                    raise Malformed(f"rows, and then: {error}") from error
                raise
            finally:
                self._portions.came([_export(part) for part in parts])
            for part in parts:
                _settle(part, rows[part.ask.id])
            reply.faults += [part.outcome for part in parts if isinstance(part.outcome, PullError)]

    async def _explained(self, error: PullError, ask: Ask) -> PullError:
        """Return a refusal of one report with what can be found out about it."""
        if isinstance(error, SitesRefused):
            return SitesRefused(f"{error}; asked for sites {', '.join(map(str, ask.query['sites']))}")
        if isinstance(error, RequestRefused):
            return await self._live.explained(error, ask.query["metrics"], ask.now)
        return error


def _settle(part: _Part, found: ReportRows) -> None:
    """Put down what became of a part of which a good answer had these rows."""
    rest = found.rest(cuts=part.goes_on)
    if found.error is not None:
        part.outcome = found.error
    elif not found.is_answered:
        part.outcome = Malformed("the report is missing")
    elif rest is not None:
        part.ask, part.goes_on = _for(part.ask, rest), True
    else:
        part.outcome = _answer(part.ask)


def _for(ask: Ask, window: Window) -> Ask:
    compare = ask.plan.export.compare
    return replace(ask, window=window, compare=None if compare is None else shifted(window, compare))


def _answer(ask: Ask) -> Answer:
    partial = ask.query.get(OUTER_FLAG) is True
    return Answer(
        flags=["partial_channels"] if partial else [],
        currency=ask.query["currency"],
        timezone=ask.plan.shape.zone.key,
    )


def _export(part: _Part) -> str:
    return part.ask.plan.name


def _give_up(parts: Sequence[_Part], kind: type[PullError]) -> None:
    """Give what is still to be asked for the error of this kind that another part had."""
    error = next(part.outcome for part in parts if isinstance(part.outcome, kind))
    for part in parts:
        part.outcome = part.outcome or error


def _give_up_with_the_account(parts: Sequence[_Part]) -> None:
    """Give what is still to be asked for the error of another part that is the whole account's."""
    error = next((part.outcome for part in parts if is_whole_account(part.outcome)), None)
    for part in parts:
        part.outcome = part.outcome or error
