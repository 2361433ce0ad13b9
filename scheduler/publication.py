"""One piece of a pull on its way into the log, and which of those that wait go there together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from broker.interface import Message
    from scheduler.cache import Cache, Change, Scope
    from scheduler.stage import Piece, Stage
    from schemas.ledger import AccountState, ExportState

MOST_TOGETHER: Final = 64
TOGETHER_BYTES: Final = 1024 * 1024
"""About how much small pulls bring into one transaction at most, all of it in memory."""


class Target(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Publication:
    """What a piece changes, and where that goes. Life: made → `Ledger.publish`, once.

    `settled` makes the states to be written along of the change and of the number of rows that then stand. `accepts`: asked, in
    a thread, with how many of the rows in `scope` the stage lacks and how many there are; when it says no, nothing is published.
    `done`: it was published, or not accepted.
    """

    def __init__(
        self,
        export: str,
        target: Target,
        stage: Stage,
        piece: Piece,
        scope: Scope | None,
        pulled_at: str,
        settled: Callable[[Change, int], tuple[ExportState, AccountState]],
        accepts: Callable[[int, int], bool] | None = None,
    ) -> None:
        self.export = export
        self.target = target
        self.settled = settled
        self.done = False
        self.change: Change | None = None
        self.standing = 0
        self.rows: Iterator[Message] = iter(())
        self.shards: Iterator[Message] = iter(())
        self._stage = stage
        self._piece = piece
        self._scope = scope
        self._pulled_at = pulled_at
        self._accepts = accepts
        self._alone = False

    @property
    def is_small(self) -> bool:
        """Whether it may share a transaction."""
        return not self._alone and not self._stage.on_disk

    @property
    def size(self) -> int:
        """About how many bytes it brings."""
        return self._stage.size

    def part(self) -> None:
        """Let it have a transaction of its own: the log did not take one that it shared."""
        self._alone = True

    def prepare(self, cache: Cache) -> None:
        """Take over into the cache what it changes, in the transaction that is open there. Waits for the disk.

        Sets `change`, None when it is not accepted; `standing`, how many rows there are then; `rows` and `shards`, which are read
        from the cache bit by bit unless it is small. Raises TooMuch.
        """
        self.change = None
        if self._scope is not None and self._accepts is not None:
            lacking, of = cache.vanishing(self.export, self._stage, self._scope)
            if not self._accepts(lacking, of):
                return
        self.change = cache.apply(self.export, self._stage, self._piece, self._scope)
        self.standing = cache.live(self.export)
        self.rows = cache.messages(self.export, self._pulled_at)
        self.shards = cache.shards(self.export, self.change)
        if self.is_small:
            self.rows, self.shards = iter(list(self.rows)), iter(list(self.shards))


def together(first: Publication, waiting: Iterable[Publication]) -> list[Publication]:
    """Return what goes into one transaction with the first: of those that wait the small ones, as many as fit, if it is small, too."""
    group, size = [first], first.size
    if not first.is_small:
        return group
    for each in waiting:
        if len(group) == MOST_TOGETHER or size + each.size > TOGETHER_BYTES:
            break
        if each is not first and each.is_small and not each.done:
            group.append(each)
            size += each.size
    return group
