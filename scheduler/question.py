"""One step of an export as questions: one ask for each value of what the configuration splits, all into one stage."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from scheduler.buckets import shifted
from scheduler.errors import PullError
from scheduler.export_work import instant
from scheduler.sources.interface import Ask
from scheduler.stage import Stage
from scheduler.uninterrupted import in_thread
from schemas.exports import bucket_name
from schemas.ledger import VendorJob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from scheduler.export_work import ExportWork, Step
    from scheduler.plan import Window
    from scheduler.sources.interface import Answer
    from schemas.exports import Scalar
    from schemas.ledger import Span

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Question:
    """What is asked for in one step. Life: made → its asks are answered → `settle` → read → `close`."""

    def __init__(
        self,
        work: ExportWork,
        step: Step,
        now: float,
        keep_job: Callable[[ExportWork, VendorJob], Awaitable[None]],
    ) -> None:
        self.work = work
        self.step = step
        self.stage = Stage()
        self.asked_at = instant(now)
        self._keep_job = keep_job
        self.asks = list(self._asks())
        self.sinks = [self.stage.sink(ask) for ask in self.asks]
        self.answers: list[Answer] = []

    @property
    def whole(self) -> bool:
        """Whether nothing is missing from any of the answers."""
        return all(answer.whole for answer in self.answers)

    @property
    def covered(self) -> Window | None:
        """What all the answers span."""
        spans = [answer.covered for answer in self.answers if answer.covered is not None]
        return min(spans, key=lambda span: span.end.timestamp() - span.start.timestamp(), default=self.step.window)

    async def settle(self, outcomes: Sequence[Answer | PullError]) -> PullError | None:
        """Take the outcomes of the asks, in their order; return the first error, if there is any."""
        for sink, outcome in zip(self.sinks, outcomes, strict=True):
            if isinstance(outcome, PullError):
                return outcome
            self.answers.append(outcome)
            self.stage.answered(sink, outcome)
            if outcome.covered is not None:
                # A part of a bucket must not take the place of what was pulled while the vendor had all of it.
                await self.at_stage(self.stage.forget, sink, outcome.covered.start, self.work.state.covered)
        return None

    async def at_stage(self, work: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        """Do something at the stage: in a thread when that has to wait for the disk."""
        if self.stage.on_disk:
            return await in_thread(work, *arguments, **options)
        return work(*arguments, **options)

    def close(self) -> None:
        """Throw away what was staged. Idempotent."""
        self.stage.close()

    def _asks(self) -> Iterator[Ask]:
        plan, window, job = self.work.plan, self.step.window, self.work.state.job
        compare = plan.export.compare
        for number, (query, dimensions) in enumerate(split(plan.export.query, plan.export.split)):
            mine = job is not None and (job.window, job.ask) == (as_span(window), number)
            yield Ask(
                plan=plan,
                window=window,
                compare=None if compare is None or window is None else shifted(window, compare),
                query=query,
                dimensions=dimensions,
                now=self.asked_at,
                id=f"{self.step.id}-{number}",
                job=job.handle if job is not None and mine else None,
                keep_job=partial(self._keep, number),
            )

    async def _keep(self, number: int, handle: Mapping[str, Any]) -> None:
        await self._keep_job(self.work, VendorJob(window=as_span(self.step.window), ask=number, handle=dict(handle)))


def as_span(window: Window | None) -> Span | None:
    """Return a window as the ledger writes it."""
    return None if window is None else (bucket_name(window.start), bucket_name(window.end))


def split(query: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Scalar]]]:
    """Yield the query once for every combination of values of the lists `names`, with that combination."""
    for values in itertools.product(*(query[name] for name in names)):
        chosen = dict(zip(names, values, strict=True))
        yield {**query, **{name: [value] for name, value in chosen.items()}}, chosen
