"""How a step's rows come to be published: the guard against vanishing, then piece by piece, each with its coverage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.cache import Change, Scope
from scheduler.export_work import instant, text
from scheduler.ledger import Target
from scheduler.plan import Window
from scheduler.question import as_span
from scheduler.uninterrupted import in_thread
from schemas.exports import TOTAL_BUCKET, bucket_name
from schemas.ledger import NO_BUCKET, AccountState, HeldBack
from schemas.topics import metrics_topic, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.clock import Clock
    from scheduler.ledger import Ledger
    from scheduler.question import Question
    from scheduler.stage import Piece
    from schemas.ledger import ExportState


class Delivery:
    """Publishes what questions brought. `partitions`: by topic, as pinned at the start."""

    def __init__(self, ledger: Ledger, partitions: Mapping[str, int], clock: Clock) -> None:
        self._ledger = ledger
        self._partitions = partitions
        self._clock = clock

    async def publish(self, question: Question, account: Callable[[], AccountState]) -> Change | None:
        """Publish all of an answered question, and return what that changed; None when it is held back.

        `account`: the account's state, which is written along. Raises ExportRefused, BrokerError.
        """
        work, stage = question.work, question.stage
        name, scope = work.plan.name, _scope(question)
        if scope is not None and await self._hold(question, scope):
            return None
        pieces = await in_thread(stage.pieces)
        pulled_at = instant(self._clock.now())
        total = Change()
        for piece in pieces:
            last = piece is pieces[-1]
            covered = _part(question.covered, piece)

            def settled(_: Change, rows: int) -> tuple[ExportState, AccountState]:
                return work.published(question.step, covered, pulled_at, rows, last=last), account()  # noqa: B023  # called before the next round

            change = await self._ledger.publish(
                name, self._target(question), stage, piece, scope, text(pulled_at.timestamp()), settled
            )
            work.state = self._ledger.exports[name]
            total.new += change.new
            total.restated += change.restated
            total.vanished += change.vanished
            total.unchanged += change.unchanged
        work.done(question.step)
        return total

    async def _hold(self, question: Question, scope: Scope) -> bool:
        """Hold an answer back under which more than half of the rows would vanish, unless the one before had the same rows."""
        work = question.work
        lacking, of = await self._ledger.vanishing(work.plan.name, question.stage, scope)
        if lacking * 2 <= of:
            return False
        keys = await in_thread(question.stage.digest)
        window = as_span(question.step.window)
        before = work.state.held
        if before is not None and (before.keys, before.window) == (keys, window):
            return False
        state = work.held(self._clock.now(), HeldBack(window=window, keys=keys, vanishing=lacking, of=of))
        await self._ledger.write({work.plan.name: state}, {})
        work.state = state
        return True

    def _target(self, question: Question) -> Target:
        plan = question.work.plan
        topic = metrics_topic(plan.account.source, plan.export.dataset)
        return Target(topic, partition_of(plan.name.encode(), self._partitions[topic]))


def _scope(question: Question) -> Scope | None:
    """Return where a row that is not in the answers has vanished; None where that cannot be told."""
    if not question.whole:
        return None
    resolution, window = question.work.plan.shape.resolution, question.step.window
    if resolution == "NONE":
        return Scope(NO_BUCKET, NO_BUCKET)
    if resolution == "TOTAL":
        return Scope(TOTAL_BUCKET, TOTAL_BUCKET)
    return None if window is None else Scope(bucket_name(window.start), bucket_name(window.end))


def _part(window: Window | None, piece: Piece) -> Window | None:
    """Return the part of a window that a piece spans; None when nothing is left of it."""
    if window is None:
        return None
    start, end = window.start, window.end
    if piece.low > bucket_name(start):
        start = datetime.fromisoformat(piece.low).astimezone(start.tzinfo)
    if piece.high is not None and piece.high < bucket_name(end):
        end = datetime.fromisoformat(piece.high).astimezone(end.tzinfo)
    return Window(start, end) if start.timestamp() < end.timestamp() else None
