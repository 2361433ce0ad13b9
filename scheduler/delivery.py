"""How a step's rows come to be published: the guard against vanishing, then piece by piece, each with its coverage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.cache import Change, Scope
from scheduler.export_work import instant, text
from scheduler.plan import Window
from scheduler.publication import Publication, Target
from scheduler.question import as_span
from schemas.exports import TOTAL_BUCKET, bucket_name
from schemas.ledger import NO_BUCKET, AccountState, HeldBack
from schemas.topics import metrics_topic, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.clock import Clock
    from scheduler.export_work import ExportWork
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

        `account`: the account's state, which is written along. Raises ExportRefused, BrokerError; Retryable when the disk fails.
        """
        work, stage = question.work, question.stage
        pieces = await question.at_stage(stage.pieces)
        scope, guard = _scope(question), _Guard(question)
        pulled_at = instant(self._clock.now())
        total = Change()
        for piece in pieces:
            last = piece is pieces[-1]
            covered = _part(question.covered, piece)

            def settled(_: Change, rows: int) -> tuple[ExportState, AccountState]:
                return work.published(question.step, covered, pulled_at, rows, last=last), account()  # noqa: B023  # called before the next round

            accepts = guard.accepts if piece is pieces[0] else None
            publication = Publication(
                work.plan.name,
                self._target(question),
                stage,
                piece,
                scope,
                text(pulled_at.timestamp()),
                settled,
                accepts,
            )
            change = await self._ledger.publish(publication)
            if change is None:
                await self._hold(work, guard)
                return None
            work.state = self._ledger.exports[work.plan.name]
            total.add(change)
        work.done(question.step)
        return total

    async def _hold(self, work: ExportWork, guard: _Guard) -> None:
        assert guard.held is not None  # noqa: S101  # it is what did not accept
        state = work.held(self._clock.now(), guard.held)
        await self._ledger.write({work.plan.name: state}, {})
        work.state = state

    def _target(self, question: Question) -> Target:
        plan = question.work.plan
        topic = metrics_topic(plan.account.source, plan.export.dataset)
        return Target(topic, partition_of(plan.name.encode(), self._partitions[topic]))


class _Guard:
    """Holds an answer back under which more than half of the rows would vanish, unless the one before had the same rows."""

    def __init__(self, question: Question) -> None:
        self.held: HeldBack | None = None
        self._question = question

    def accepts(self, lacking: int, of: int) -> bool:
        """Say whether it may be published; otherwise `held` tells what is held back. May wait for the disk."""
        if lacking * 2 <= of:
            return True
        keys = self._question.stage.digest()
        window = as_span(self._question.step.window)
        before = self._question.work.state.held
        if before is not None and (before.keys, before.window) == (keys, window):
            return True
        self.held = HeldBack(window=window, keys=keys, vanishing=lacking, of=of)
        return False


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
