"""What operators see of pulls: one canonical line each, and the metrics of RECORDS §3."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock
    from runtime.metrics import Metrics
    from scheduler.cache import Change
    from scheduler.export_work import ExportWork
    from scheduler.plan import Plan, Window
    from scheduler.question import Question

RESULTS: Final = ("published", "held_back", "retry", "parked", "refused", "cancelled")
CHANGES: Final = ("new", "restated", "vanished", "unchanged")


class Report:
    """Tells of every pull. Made once for a process."""

    def __init__(self, metrics: Metrics, clock: Clock, log: FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._clock = clock
        self._log = log

    def initialise(self, plans: Iterable[Plan]) -> None:
        """Set what may be counted to 0, so that a rate is right from the first pull on."""
        metrics = self._metrics
        for plan in plans:
            source, name = plan.account.source, plan.name
            for result in RESULTS:
                metrics.export_pulls_total.labels(source, name, result)
            for change in CHANGES:
                metrics.export_rows_total.labels(name, change)
            for kind in ("rate", "quota", "plan"):
                metrics.export_quota_errors_total.labels(source, plan.account.name, kind)
            metrics.export_pull_seconds.labels(source)

    def took_over(self, work: ExportWork) -> None:
        """Tell what the ledger knows of an export."""
        if work.state.succeeded:
            success = datetime.fromisoformat(work.state.succeeded).timestamp()
            self._metrics.export_last_success_timestamp_seconds.labels(work.plan.name).set(success)

    def pulled(self, question: Question, change: Change, seconds: float) -> None:
        """Tell of a step that was published."""
        plan = question.work.plan
        self._count(plan, "published", seconds)
        for name in CHANGES:
            self._metrics.export_rows_total.labels(plan.name, name).inc(getattr(change, name))
        self._metrics.export_last_success_timestamp_seconds.labels(plan.name).set(self._clock.now())
        changes = {name: getattr(change, name) for name in CHANGES}
        self._log.info(
            "pull", **_facts(plan, question.step.window), result="published", **changes, seconds=round(seconds, 3)
        )

    def held(self, work: ExportWork, question: Question, seconds: float) -> None:
        """Tell of an answer that is held back."""
        self._count(work.plan, "held_back", seconds)
        self._log.warning(
            "pull",
            **_facts(work.plan, question.step.window),
            result="held_back",
            reason=work.state.reason,
            seconds=round(seconds, 3),
        )

    def failed(self, work: ExportWork, window: Window | None, error: PullError, seconds: float) -> None:
        """Tell of a step that failed; `work` has its state after that."""
        plan = work.plan
        match error:
            case Parked(kind=kind):
                result = "parked"
                self._metrics.export_quota_errors_total.labels(plan.account.source, plan.account.name, kind).inc()
            case AccountRefused() | ExportRefused():
                result = "refused"
            case Retryable(whole_account=True):
                result = "retry"
                self._metrics.export_quota_errors_total.labels(plan.account.source, plan.account.name, "rate").inc()
            case _:
                result = "retry"
        self._count(plan, result, seconds)
        log = self._log.error if result == "refused" else self._log.warning
        log(
            "pull",
            **_facts(plan, window),
            result=result,
            reason=str(error),
            retry_at=work.state.retry_at,
            seconds=round(seconds, 3),
        )

    def broke(self, plan: Plan, error: Exception) -> None:
        """Tell of a fault of ours, or of an answer that nobody thought of."""
        self._log.error("pull broke", export=plan.name, source=plan.account.source, exc_info=error)

    def _count(self, plan: Plan, result: str, seconds: float) -> None:
        self._metrics.export_pulls_total.labels(plan.account.source, plan.name, result).inc()
        self._metrics.export_pull_seconds.labels(plan.account.source).observe(seconds)


def _facts(plan: Plan, window: Window | None) -> dict[str, Any]:
    span = {} if window is None else {"start": window.start.isoformat(), "end": window.end.isoformat()}
    return {
        "export": plan.name,
        "source": plan.account.source,
        "dataset": plan.export.dataset,
        "account": plan.account.name,
        **span,
    }
