"""What the forwarder tells about one storefront: its metrics and its lines of the log. Nothing of an event, no key, stands in either."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import get_current_span

from consumers.api.answers import Answer
from consumers.api.outcomes import Action, Kind
from consumers.traces import Sent
from runtime.metrics import QUOTA_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Record
    from consumers.api.answers import NoAnswer
    from consumers.api.outcomes import Outcome
    from consumers.delivery.doubt import Placed
    from consumers.letters.dead_letters import DeadLetter
    from consumers.traces import Traces
    from runtime.clock import Clock
    from runtime.metrics import Metrics


class Report:
    """Counts, logs and traces for one storefront: once per request, never per event. Nothing here waits.

    `traces`: None when nobody listens to them.
    """

    def __init__(
        self,
        storefront: str,
        metrics: Metrics,
        clock: Clock,
        log: FilteringBoundLogger,
        *,
        traces: Traces | None = None,
    ) -> None:
        metrics.initialise_forwarder([storefront], Kind)
        self._storefront = storefront
        self._traces = traces
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._outcomes = {kind: metrics.forwarder_requests_total.labels(storefront, kind) for kind in Kind}
        self._delivered = metrics.forwarder_events_total.labels(storefront, "delivered")
        self._dead_lettered = metrics.forwarder_events_total.labels(storefront, "dead_lettered")
        self._in_flight = metrics.forwarder_in_flight.labels(storefront)
        self._possible_duplicates = metrics.forwarder_possible_duplicates_total.labels(storefront)
        self._mismatches = metrics.forwarder_accepted_mismatch_total.labels(storefront)
        self._reason: str | None = None
        self.trouble = -math.inf
        """When a request last came to nothing, on the monotonic clock."""

    def request(
        self, events: int, size: int, answer: Answer | NoAnswer, outcome: Outcome, attempt: int, seconds: float
    ) -> None:
        """Tell of one request: `events` in a body of `size` bytes, what came of it, which try it was, how long it took."""
        self._outcomes[outcome.kind].inc()
        if outcome.action is not Action.SETTLE:
            self.trouble = self._clock.monotonic()
        self._metrics.forwarder_batch_events.observe(events)
        if outcome.in_doubt:
            self._possible_duplicates.inc(events)
        if outcome.mismatch:
            self._mismatches.inc()
        if outcome.kind in QUOTA_KINDS:
            self._metrics.forwarder_quota_errors_total.labels(self._storefront, outcome.kind).inc()
        facts: dict[str, Any] = {
            "storefront": self._storefront,
            "events": events,
            "bytes": size,
            "status": answer.status if isinstance(answer, Answer) else None,
            "outcome": outcome.kind,
            "attempt": attempt,
            "ms": round(seconds * 1000, 1),
        }
        if self._traces is not None:
            self._traces.request(Sent(events, size, attempt, seconds), answer, outcome.kind, self._clock.now())
        if outcome.action is Action.SETTLE:
            self._log.info("batch", refused=len(outcome.refused), **facts)
        elif outcome.action is Action.HALVE:
            # Words about events may quote them.
            self._log.warning("batch", **facts)
        else:
            self._log.warning("batch", error=outcome.words, **facts)

    def delivered(self, records: Sequence[Record]) -> None:
        """Tell that records were delivered. The first and the last of them stand for all in the time it took."""
        self._delivered.inc(len(records))
        now = self._clock.now()
        for record in (records[0], records[-1]):
            self._metrics.forwarder_delivery_seconds.observe(max(0.0, now - record.timestamp / 1000))

    def dead_lettered(self, letters: Sequence[DeadLetter]) -> None:
        """Tell that records were dead-lettered: how many for which reason, and where the first of them stands."""
        self._dead_lettered.inc(len(letters))
        first = letters[0].record
        reasons = Counter(letter.reason for letter in letters)
        get_current_span().add_event("dead-lettered", {str(reason): count for reason, count in reasons.items()})
        self._log.warning(
            "dead-lettered",
            storefront=self._storefront,
            events=len(letters),
            reasons=dict(reasons),
            first=f"{first.topic}/{first.partition}/{first.offset}",
        )

    def given_up(self, events: int) -> None:
        """Tell that a request was given up before its answer came: whoever has its partitions next sends its events again."""
        self._possible_duplicates.inc(events)

    def overdue(self, transactions: Sequence[Placed]) -> None:
        """Tell of purchases and refunds that may have been taken a day ago, and could not be sent again in time to be known as repeats."""
        self._log.error(
            "purchases or refunds may be counted twice: the API forgets their ids after 24 h, and until now nothing could be sent again",
            storefront=self._storefront,
            transactions=len(transactions),
            places=_places(transactions),
        )

    def inherited_in_doubt(self, transactions: Sequence[Placed], seconds: float) -> None:
        """Tell of purchases and refunds that another forwarder sent so many seconds ago, and that may have been taken."""
        self._log.warning(
            "purchases or refunds that may have been taken are taken over, and sent again first of all",
            storefront=self._storefront,
            transactions=len(transactions),
            places=_places(transactions),
            first_sent_seconds_ago=round(seconds, 1),
        )

    def left_in_doubt(self, transactions: Sequence[Placed], seconds: float) -> None:
        """Tell of purchases and refunds that may have been taken so many seconds ago, and are left to whoever reads them next."""
        self._log.warning(
            "purchases or refunds that may have been taken are left to the next forwarder",
            storefront=self._storefront,
            transactions=len(transactions),
            places=_places(transactions),
            first_sent_seconds_ago=round(seconds, 1),
        )

    def usage(self, percent: int | None) -> None:
        """Tell that the API warns, or no longer warns, how much of the month's calls is used up, in per cent."""
        if percent is None:
            self._log.info("the API no longer warns of its usage", storefront=self._storefront)
        else:
            self._log.warning(
                "the API warns that the month's calls are being used up", storefront=self._storefront, percent=percent
            )

    def gate(self, in_flight: int, reason: str | None, rest_seconds: float) -> None:
        """Tell how many requests are out and, when that has changed, why the storefront rests, or that it no longer does."""
        self._in_flight.set(in_flight)
        if reason == self._reason:
            return
        if self._reason is not None:
            self._metrics.forwarder_paused.labels(self._storefront, self._reason).set(0)
        if reason is None:
            self._log.info("storefront resumed", storefront=self._storefront, after=self._reason)
        else:
            self._metrics.forwarder_paused.labels(self._storefront, reason).set(1)
            # No probe ends what somebody wants.
            probe = {"probe_in_seconds": round(max(0.0, rest_seconds), 1)} if math.isfinite(rest_seconds) else {}
            self._log.warning("storefront rests", storefront=self._storefront, reason=reason, **probe)
        self._reason = reason


def _places(records: Sequence[Placed]) -> list[str]:
    return [f"{record.topic}/{record.partition}/{record.offset}" for record in records]
